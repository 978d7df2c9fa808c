"""The `pkcs11` custody: the root key never leaves an HSM, nor do the keys that find or sign.

Invariant: no key stands on disk in clear, and the directory is worthless without the token. What is kept in
the token was made there and cannot be extracted; what is kept as a file opens only by asking the token.

    key                          kept         because
    root                         the token    wraps the files
    mac, but `rows-*`            the token    the blind index is for ever: a thief of memory must not have it
    ed25519                      the token    checkpoints and receipts are evidence against us
    aead (epochs), mac `rows-*`  wrapped      destroyed for real, and many uses under the head's lock: see
                                              deploy/docs/adr/0016-keys-in-the-hsm.md

    DIR/root          JCS {"custody":"pkcs11","nonce","root","v":1,"wrapped"}; `root` is the root key's CKA_ID
    DIR/keys/<name>   JCS {"kept","kind","name","nonce","v":1,"wrapped"}; what is wrapped is the key (kept:
                      "file") or the CKA_ID of the token's key (kept: "token")

Both are sealed files (`sealed_file`) under the root with AES-256-GCM, its nonces ours and random. So a key
has its name by a link that cannot be made twice, which PKCS#11 labels do not give; several custodies may
share a token, and each finds only its own keys there. A process killed between token and file leaves at most
a key in the token that no file names.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final

from keys.canonical import b64u, unb64u
from keys.custody import Kind, storage
from keys.custody.directory import (
    ROOT,
    KeyDirectory,
    check_new,
    prepare,
    read_root,
    remove_root,
    write_root,
)
from keys.custody.ready import MacKey, WrappingKey
from keys.custody.sealed_file import SECRET_BYTES, SealedFile, seal_file
from keys.custody.token import TokenSession, open_token
from keys.errors import CustodyError, CustodyLocked, DecryptionFailed, KeyNameTaken, Malformed, UnknownKeyName
from keys.signing import Random

_ID_BYTES: Final = 32
_MIN_PIN_BYTES: Final = 4
_MAX_PIN_BYTES: Final = 255
_ROOT_MEMBERS: Final = frozenset({"v", "custody", "root"})
_KEPT: Final = "kept"
_TOKEN: Final = "token"  # noqa: S105
_FILE: Final = "file"
_WRAPPED_MACS: Final = "rows-"


def read_pin(path: Path) -> str:
    """The token's PIN in `path`: one line of 4 to 255 bytes of UTF-8.

    Raises CustodyPermissions unless the file is ours, mode 0600 or less; CustodyError for other content.
    """
    try:
        return storage.read_line(path, _MIN_PIN_BYTES, _MAX_PIN_BYTES, "PIN").decode()
    except UnicodeDecodeError as error:
        raise CustodyError("the PIN file is not UTF-8") from error


@dataclass(frozen=True, slots=True)
class TokenAccess:
    """Which token, by its label, of which module (a shared library), and the PIN of its user."""

    module: Path
    label: str
    pin: str = field(repr=False)


def create_pkcs11_custody(directory: Path, access: TokenAccess, random: Random = os.urandom) -> Pkcs11Custody:
    """A new, empty custody in `directory`, its root key made in the token.

    Raises KeyNameTaken where one stands, CustodyLocked for a PIN that does not open the token.
    """
    session = open_token(access.module, access.label, access.pin)
    try:
        prepare(directory)
        cipher = _TokenCipher(session, random(_ID_BYTES))
        header = {"v": 1, "custody": "pkcs11", "root": b64u(cipher.ident)}
        session.generate_root(cipher.ident, _label(cipher.ident, ROOT))
        with _undone(session, cipher.ident, directory / ROOT):
            write_root(directory, seal_file(cipher, random(SECRET_BYTES), header, random), random)
        return Pkcs11Custody(directory, session, cipher, random)
    except BaseException:
        session.close()
        raise


def open_pkcs11_custody(directory: Path, access: TokenAccess, random: Random = os.urandom) -> Pkcs11Custody:
    """The custody in `directory`.

    Raises CustodyLocked for a PIN that does not open the token, a token without its root key, or an altered
    root; CustodyPermissions for open modes; CustodyError where there is no custody, module or token.
    """
    file = read_root(directory, _ROOT_MEMBERS, _TokenCipher.nonce_bytes)
    ident = _root_ident(file)
    session = open_token(access.module, access.label, access.pin)
    try:
        cipher = _TokenCipher(session, ident)
        file.open(cipher)
    except UnknownKeyName as error:
        session.close()
        raise CustodyLocked(
            f"token {access.label} holds no root key of this custody: name the token it was made in, "
            "or restore that one's backup"
        ) from error
    except DecryptionFailed as error:
        session.close()
        raise CustodyLocked("the token's root key does not open this custody") from error
    except BaseException:
        session.close()
        raise
    return Pkcs11Custody(directory, session, cipher, random)


class Pkcs11Custody:
    """Keys in one token and, wrapped under its root, in files; those are unwrapped on first use.

    Belongs to the process that opened it, all of whose threads may use it: in a child it is locked. A key
    generated by another process is found when it is first named. A wrapped one that another process destroyed
    stays usable here until `forget` or `close`.
    """

    def __init__(self, directory: Path, session: TokenSession, cipher: _TokenCipher, random: Random) -> None:
        self._place = directory
        self._directory: KeyDirectory | None = KeyDirectory(directory, cipher, random, frozenset({_KEPT}))
        self._session = session
        self._root = cipher.ident
        self._random = random
        self._opened: dict[str, WrappingKey | MacKey | _Inside] = {}

    def names(self) -> tuple[str, ...]:
        return self._unlocked().names()

    def has(self, name: str) -> bool:
        return self._unlocked().has(name)

    def generate(self, name: str, kind: Kind) -> None:
        directory = self._unlocked()
        check_new(name, kind)
        if directory.has(name):  # said before a key is made for nothing; the link decides a race
            raise KeyNameTaken(f"{name}: stands already")
        ident = secret = self._random(SECRET_BYTES)
        if kind == "aead" or name.startswith(_WRAPPED_MACS):
            directory.create(name, kind, secret, {_KEPT: _FILE})
            return
        make = self._session.generate_mac if kind == "mac" else self._session.generate_ed25519
        make(ident, _label(self._root, name))
        with _undone(self._session, ident, directory.path(name)):
            directory.create(name, kind, ident, {_KEPT: _TOKEN})

    def wrap(self, name: str, plaintext: bytes, aad: bytes) -> bytes:
        return self._wrapping(name).wrap(plaintext, aad, self._random)

    def unwrap(self, name: str, blob: bytes, aad: bytes) -> bytes:
        return self._wrapping(name).unwrap(blob, aad)

    def mac(self, name: str, message: bytes) -> bytes:
        key = self._key(name)
        return key.mac(message) if isinstance(key, MacKey) else self._session.mac(_ident(key, "mac"), message)

    def sign(self, name: str, message: bytes) -> bytes:
        return self._session.sign(_ident(self._key(name), "ed25519"), message)

    def public(self, name: str) -> bytes:
        return self._session.public(_ident(self._key(name), "ed25519"))

    def destroy(self, name: str) -> None:
        directory = self._unlocked()
        header, secret = directory.open(name)
        if header[_KEPT] == _TOKEN:
            self._session.destroy(secret)  # first: a key without a file could not be named any more
        directory.remove(name)
        self._opened.pop(name, None)

    def forget(self, name: str) -> None:
        self._opened.pop(name, None)

    def discard(self) -> None:
        """Destroy every key and the root, for an installation that was never finished."""
        for name in self.names():
            self.destroy(name)
        remove_root(self._place)
        self._session.destroy(self._root)

    def close(self) -> None:
        opened, self._directory = self._directory, None
        self._opened.clear()
        if opened is not None:
            self._session.close()

    def __repr__(self) -> str:
        return f"Pkcs11Custody({'closed' if self._directory is None else 'open'})"

    def _unlocked(self) -> KeyDirectory:
        if self._directory is None:
            raise CustodyLocked("the custody is closed")
        self._session.require_ours()
        return self._directory

    def _wrapping(self, name: str) -> WrappingKey:
        key = self._key(name)
        if not isinstance(key, WrappingKey):
            raise UnknownKeyName("custody holds no such key of that kind")
        return key

    def _key(self, name: str) -> WrappingKey | MacKey | _Inside:
        directory = self._unlocked()
        opened = self._opened.get(name)
        if opened is None:
            opened = self._opened[name] = _open(directory, name)
        return opened


@dataclass(frozen=True, slots=True)
class _Inside:
    """A key that is kept inside the token, by its CKA_ID."""

    kind: str
    ident: bytes


_USES: Mapping[str, Callable[[bytes], WrappingKey | MacKey]] = {"aead": WrappingKey, "mac": MacKey}


def _open(directory: KeyDirectory, name: str) -> WrappingKey | MacKey | _Inside:
    header, secret = directory.open(name)
    if header[_KEPT] == _TOKEN:
        return _Inside(header["kind"], secret)
    return _USES[header["kind"]](secret)


def _ident(key: WrappingKey | MacKey | _Inside, kind: Kind) -> bytes:
    """The CKA_ID of a key of that kind inside the token."""
    if not isinstance(key, _Inside) or key.kind != kind:
        raise UnknownKeyName("custody holds no such key of that kind")
    return key.ident


@dataclass(frozen=True, slots=True)
class _TokenCipher:
    """AES-256-GCM under a key that stays in the token."""

    session: TokenSession
    ident: bytes
    nonce_bytes: ClassVar[int] = 12

    def encrypt(self, plaintext: bytes, aad: bytes, nonce: bytes) -> bytes:
        return self.session.encrypt(self.ident, plaintext, aad, nonce)

    def decrypt(self, ciphertext: bytes, aad: bytes, nonce: bytes) -> bytes:
        return self.session.decrypt(self.ident, ciphertext, aad, nonce)


def _root_ident(file: SealedFile) -> bytes:
    try:
        if file.header["custody"] == "pkcs11":
            return unb64u(file.header["root"], _ID_BYTES)
    except Malformed as error:
        raise CustodyError("a custody root of an unknown form") from error
    raise CustodyError("a custody root of an unknown form")


def _label(root: bytes, name: str) -> str:
    """For people who list the token: whose key it is, and which. Nothing is found by it."""
    return f"chengxin {root[:4].hex()} {name}"


@contextmanager
def _undone(session: TokenSession, ident: bytes, file: Path) -> Iterator[None]:
    """Destroy the token's key again, unless the file that names it came to stand."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, KeyNameTaken) or not file.exists():
            session.destroy(ident)
        raise
