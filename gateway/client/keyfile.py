"""Key files: one JSON Web Key each, private ones readable by their owner alone.

Invariant: a file is created once (O_EXCL), never overwritten, and complete and on disk when the call
returns; a private key is never read from a file that another account could have read or replaced.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from gateway.client.errors import KeyFileError, KeyFileExists, KeyFileExposed, KeyFileMalformed
from keys.canonical import canonical, parse_json_strict
from keys.errors import KeysError
from keys.sealing import parse_private_x25519_jwk
from keys.signing import Jwk, PrivateKey, PublicKey, load_private_jwk, parse_public_jwk, private_jwk

PRIVATE_MODE: Final = 0o600
PUBLIC_MODE: Final = 0o644
MAX_BYTES: Final = 4096


def write_private_key(path: Path, key: PrivateKey) -> None:
    """Create `path` with the private JWK of `key`, mode 0600. Raises KeyFileExists, KeyFileError."""
    write_jwk(path, private_jwk(key))


def write_public_key(path: Path, key: PublicKey | PrivateKey) -> None:
    """Create `path` with the public JWK of `key`, mode 0644. Raises KeyFileExists, KeyFileError."""
    write_jwk(path, key.jwk)


def read_private_key(path: Path) -> PrivateKey:
    """The signing key in `path`. Raises KeyFileExposed, KeyFileMalformed."""
    try:
        return load_private_jwk(read_jwk(path))
    except KeysError as error:
        raise KeyFileMalformed(f"{path} holds no private signing key (Ed25519 or ES256)") from error


def read_public_key(path: Path) -> PublicKey:
    """The public key in `path`, which must be a public JWK. Raises KeyFileMalformed."""
    try:
        return parse_public_jwk(read_jwk(path))
    except KeysError as error:
        raise KeyFileMalformed(f"{path} holds no public signing key (Ed25519 or ES256)") from error


def read_decryption_key(path: Path) -> Jwk:
    """The private X25519 JWK in `path`, for encrypted answers. Raises KeyFileExposed, KeyFileMalformed."""
    jwk = read_jwk(path)
    try:
        parse_private_x25519_jwk(jwk)
    except KeysError as error:
        raise KeyFileMalformed(f"{path} holds no private X25519 key") from error
    return jwk


def write_jwk(path: Path, jwk: Mapping[str, str]) -> None:
    """Create `path` with this JWK, of any kind, as one line; with a member `d` it is private (0600)."""
    mode = PRIVATE_MODE if "d" in jwk else PUBLIC_MODE
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError:
        raise KeyFileExists(f"{path} exists; choose another name, keys are never overwritten") from None
    except OSError as error:
        raise KeyFileError(f"{path} cannot be created: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(canonical(dict(jwk)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        _sync_directory(path.parent)
    except OSError as error:
        with suppress(OSError):
            path.unlink()  # ours: O_EXCL made it a moment ago
        raise KeyFileError(f"{path} cannot be written: {error.strerror}") from error


def read_jwk(path: Path) -> Jwk:
    """The JWK in `path`, its form alone checked; a private one only from a file of ours, mode 0600."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise KeyFileMalformed(f"{path} cannot be read: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            raise KeyFileMalformed(f"{path} is no key file")
        data = os.read(descriptor, MAX_BYTES)
    finally:
        os.close(descriptor)
    try:
        jwk = parse_json_strict(data)
    except KeysError as error:
        raise KeyFileMalformed(f"{path} holds no JSON Web Key") from error
    if not isinstance(jwk, dict) or not all(isinstance(value, str) for value in jwk.values()):
        raise KeyFileMalformed(f"{path} holds no JSON Web Key")
    if "d" in jwk:
        _refuse_exposed(path, status)
    return jwk


def _refuse_exposed(path: Path, status: os.stat_result) -> None:
    if stat.S_IMODE(status.st_mode) & 0o177:
        raise KeyFileExposed(f"{path} is open to others; chmod 600 it, or make a new key if it was read")
    if status.st_uid != os.geteuid():
        raise KeyFileExposed(f"{path} belongs to another account")


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
