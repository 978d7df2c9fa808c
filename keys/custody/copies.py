"""A copy of a `file` custody: its key files as they stand, sealed under the root that its shares restore.

Invariant: a copy holds nothing in clear and no passphrase; it is whole and unaltered exactly if its MAC holds
under the root. Whoever has it and enough shares has every key in it, those destroyed since included.

    JCS {"copy":uuid,"keys":{name: base64url},"mac":base64url,"origin","type":"chengxin/custody-copy/v1"}
    mac = HMAC-SHA-256(root, "chengxin/custody-copy/v1" || 0x00 || JCS without mac)
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec

from keys.canonical import b64u, canonical, parse_canonical, unb64u
from keys.custody import storage
from keys.custody.directory import KEYS, is_key_name
from keys.custody.sealed_file import MAX_FILE_BYTES
from keys.errors import BadShare, CustodyError, KeysError

MAX_COPY_BYTES: Final = 1 << 20
_TYPE = "chengxin/custody-copy/v1"
_EPOCH = "epoch-"


@dataclass(frozen=True, slots=True)
class CustodyCopy:
    """Key files by key name, of the installation `origin`; `copy` is its id, the shares' too."""

    origin: str
    copy: str
    keys: Mapping[str, bytes] = field(repr=False)
    mac: bytes = field(repr=False)

    def require_under(self, root: bytes) -> None:
        """Raises BadShare unless this is the whole copy, made under this root."""
        if not hmac.compare_digest(self.mac, _mac(root, _members(self))):
            raise BadShare("the shares do not open this copy: it is of another root, or was altered")


class _Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    origin: str
    copy: str
    keys: dict[str, str]
    mac: str


def copy_custody(directory: Path, root: bytes, origin: str, copy: str) -> CustodyCopy:
    """What stands in a custody's directory now. Files under a root that is being replaced: see the caller."""
    files = sorted(path for path in (directory / KEYS).iterdir() if is_key_name(path.name))
    keys = {path.name: storage.read_file(path, MAX_FILE_BYTES) for path in files}
    unsealed = CustodyCopy(origin, copy, keys, b"")
    return CustodyCopy(origin, copy, keys, _mac(root, _members(unsealed)))


def epochs_in(names: Mapping[str, object] | tuple[str, ...]) -> tuple[int, ...]:
    """The epochs whose keys are among these names, ascending."""
    numbers = (name.removeprefix(_EPOCH) for name in names if name.startswith(_EPOCH))
    return tuple(sorted(int(number) for number in numbers if number.isdecimal()))


def format_copy(copy: CustodyCopy) -> bytes:
    """The bytes of the file."""
    return bytes(canonical({**_members(copy), "mac": b64u(copy.mac)}))


def parse_copy(data: bytes) -> CustodyCopy:
    """A copy from its bytes. Raises CustodyError for what `format_copy` would not emit."""
    try:
        wire = msgspec.convert(parse_canonical(data), _Wire)
        keys = {name: unb64u(file) for name, file in wire.keys.items()}
        copy = CustodyCopy(wire.origin, wire.copy, keys, unb64u(wire.mac, 32))
        if wire.type != _TYPE or not all(map(is_key_name, keys)) or format_copy(copy) != data:
            raise CustodyError("this is no copy of a custody")
    except (KeysError, msgspec.ValidationError) as error:
        raise CustodyError("this is no copy of a custody, or it is damaged") from error
    return copy


def _members(copy: CustodyCopy) -> dict[str, Any]:
    keys = {name: b64u(file) for name, file in copy.keys.items()}
    return {"type": _TYPE, "origin": copy.origin, "copy": copy.copy, "keys": keys}


def _mac(root: bytes, members: dict[str, Any]) -> bytes:
    return hmac.digest(root, _TYPE.encode() + b"\x00" + canonical(members), "sha256")
