"""C2SP signed notes (c2sp.org/signed-note) with Ed25519 keys, signature type 0x01.

Invariant: the text that `open_note` returns is signed by at least one of the given keys, and by every given
key whose name and id stand on the note. A known key with a bad signature condemns the whole note; lines of
unknown keys are ignored, so that witnesses may sign too.

    text, ending in a newline
    <blank line>
    U+2014, space, key name, space, base64(key id (4 bytes) || signature), newline          one or more
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from keys.canonical import sha256
from keys.errors import BadSignature, Malformed
from keys.signing import SIGNATURE_BYTES, ed25519_public_key

ED25519_NOTE = 0x01
MAX_SIGNATURES = 100
MAX_NOTE_BYTES = 1_000_000

_KEY_ID_BYTES = 4
_DASH = "\u2014 "
_UNWRITTEN = re.compile(r"[\x00-\x09\x0b-\x1f\ud800-\udfff]")  # control characters, and what has no UTF-8


@dataclass(frozen=True, slots=True)
class Vkey:
    """A note verifier's key: who signs (`name`), the 4-byte `key_id` on its lines, and the raw public key."""

    name: str
    key_id: bytes
    algorithm: int
    public: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """An opened note: its text, final newline included, and the names of the keys that verified, in order."""

    text: str
    signers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnverifiedNote:
    """What a note claims: its text, and (key name, 4-byte key id) of each signature line, in order.

    Nothing here was checked against a key.
    """

    text: str
    signers: tuple[tuple[str, bytes], ...]


def make_vkey(name: str, public: bytes) -> Vkey:
    """The verifier key of an Ed25519 public key (32 bytes).

    Its key id is SHA-256(name || 0x0A || 0x01 || public)[:4]. Raises Malformed for a bad name or key.
    """
    _check_name(name)
    ed25519_public_key(public)
    identity = name.encode("utf-8") + b"\n" + bytes([ED25519_NOTE]) + public
    return Vkey(name, sha256(identity)[:_KEY_ID_BYTES], ED25519_NOTE, public)


def format_vkey(vkey: Vkey) -> str:
    """`name+<8 hex>+<base64(type || public key)>`, the form that other C2SP tools take."""
    encoded = base64.b64encode(bytes([vkey.algorithm]) + vkey.public).decode("ascii")
    return f"{vkey.name}+{vkey.key_id.hex()}+{encoded}"


def parse_vkey(text: str) -> Vkey:
    """The key of a vkey line. Raises Malformed unless it is Ed25519 and its id is its own."""
    name, _, rest = text.partition("+")
    _, _, encoded = rest.partition("+")
    material = _unb64(encoded)
    if material[:1] != bytes([ED25519_NOTE]):
        raise Malformed("a verifier key is Ed25519, type 0x01")
    vkey = make_vkey(name, material[1:])
    if format_vkey(vkey) != text:
        raise Malformed("a verifier key is written name+id+key, with its own id")
    return vkey


def sign_note(text: str, name: str, sign: Callable[[bytes], bytes], public: bytes) -> bytes:
    """The signed note of `text` (which ends in a newline) by one Ed25519 key; `sign` returns 64 bytes."""
    _check_text(text)
    vkey = make_vkey(name, public)
    signature = sign(text.encode("utf-8"))
    if len(signature) != SIGNATURE_BYTES:
        raise BadSignature("an Ed25519 signature is 64 bytes")
    line = f"{_DASH}{name} {base64.b64encode(vkey.key_id + signature).decode('ascii')}\n"
    return f"{text}\n{line}".encode()


def open_note(note: bytes, vkeys: Iterable[Vkey]) -> Note:
    """The text of `note`, verified by at least one of `vkeys`.

    Raises Malformed for what is no note, BadSignature if a known key's signature fails or stands twice, or if
    no known key signed at all.
    """
    text, lines = _split(note)
    known = {(vkey.name, vkey.key_id): vkey for vkey in vkeys}
    message = text.encode("utf-8")
    signers: dict[tuple[str, bytes], str] = {}
    for name, key_id, signature in map(_parse_line, lines):
        vkey = known.get((name, key_id))
        if vkey is None:
            continue
        if (name, key_id) in signers:
            raise BadSignature("one key signed the note twice")
        if vkey.algorithm != ED25519_NOTE:
            raise BadSignature("a known key is not Ed25519")
        ed25519_public_key(vkey.public).verify(message, signature)
        signers[name, key_id] = name
    if not signers:
        raise BadSignature("no known key signed the note")
    return Note(text, tuple(signers.values()))


def peek_note(note: bytes) -> UnverifiedNote:
    """What `note` claims, for choosing the key to open it with. Raises Malformed for what is no note."""
    text, lines = _split(note)
    return UnverifiedNote(text, tuple((name, key_id) for name, key_id, _ in map(_parse_line, lines)))


def _split(note: bytes) -> tuple[str, list[str]]:
    """Text and signature lines: the last blank line parts them."""
    if len(note) > MAX_NOTE_BYTES:
        raise Malformed("the note is too long")
    try:
        whole = bytes(note).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed("a note is UTF-8") from error
    head, blank, tail = whole.rpartition("\n\n")
    text = head + "\n"
    if not blank or not tail.endswith("\n"):
        raise Malformed("a note is text, a blank line and signature lines")
    _check_text(text)
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise Malformed("too many signatures")
    return text, lines


def _parse_line(line: str) -> tuple[str, bytes, bytes]:
    """Name, key id and signature of one line."""
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        raise Malformed("not a signature line")
    _check_name(name)
    material = _unb64(encoded)
    if len(material) <= _KEY_ID_BYTES:
        raise Malformed("a signature line is too short")
    return name, material[:_KEY_ID_BYTES], material[_KEY_ID_BYTES:]


def _check_text(text: str) -> None:
    if not text.endswith("\n") or _UNWRITTEN.search(text) is not None:
        raise Malformed("the text of a note ends in a newline and holds no control characters")


def _check_name(name: str) -> None:
    if not name or "+" in name or any(char.isspace() for char in name) or _UNWRITTEN.search(name) is not None:
        raise Malformed("a key name is not empty and has no space or plus")


def _unb64(text: str) -> bytes:
    """Standard padded base64, canonical."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise Malformed("not base64") from error
    if base64.b64encode(data).decode("ascii") != text:
        raise Malformed("base64 is not canonical")
    return data
