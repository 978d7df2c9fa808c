"""A log made from nothing but drafts, with every key at hand: what an operator who owns the gateway could
publish.

`Story` is a list of named drafts. `write` numbers, chains, seals, hashes and signs them anew, so that after
any change to the drafts the log is in order as far as hashes and signatures go, and only its meaning is
wrong.
"""

from __future__ import annotations

import copy
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keys.canonical import b64u, canonical, sha256_hex, unb64u
from keys.instant import format_instant
from keys.notes import format_vkey, make_vkey
from keys.sealing import SEALING_INFO, hpke_seal, seal_details
from keys.signing import Ed25519PrivateKey
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.members import ZERO_HASH
from ledger.merkle import leaf_hash
from ledger.tiles import TileDirectory

ORIGIN = "credit.example.cn/log0"
START = 1_795_247_200_000
MINUTE = 60_000


@dataclass(frozen=True)
class Ref:
    """In a body: the index at which the draft of this name will stand."""

    name: str


@dataclass
class Draft:
    """One leaf to be. `who` names a person, `sealing` a `key.sealing` draft; `override` replaces finished
    members.
    """

    name: str
    type: str
    body: dict[str, Any]
    at: int
    who: str | None = None
    by: dict[str, str] | None = None
    details: dict[str, Any] | None = None
    sealing: str = "sealing"
    override: dict[str, Any] = field(default_factory=dict)
    raw: Callable[[bytes], bytes] | None = None


class Source:
    """Seeded randomness, so that a story is the same every time."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def bytes(self, size: int) -> bytes:
        return self._random.randbytes(size)

    def uuid(self) -> str:
        return str(uuid.UUID(bytes=self.bytes(16)))

    def salt(self) -> str:
        return b64u(self.bytes(16))


class Story:
    """Drafts in order, the policies published with them, and the log's own key."""

    def __init__(self, seed: str = "story") -> None:
        self.source = Source(seed)
        self.key = Ed25519PrivateKey(self.source.bytes(32))
        self.rotated: list[tuple[str, Ed25519PrivateKey]] = []
        self.origin = ORIGIN
        self.drafts: list[Draft] = []
        self.policies: dict[str, bytes] = {}
        self.first_policy = ""
        self.sealing_keys: dict[str, bytes] = {}
        self.tags: dict[str, str] = {}
        self.blobs: dict[str, bytes] = {}
        self.sealed_of: dict[str, str] = {}
        self.reorder: Callable[[list[bytes]], list[bytes]] = list
        self.after_write: list[Callable[[Path], object]] = []

    @property
    def vkey(self) -> str:
        """Of the log's first key, as an auditor pinned it in the beginning."""
        return self.vkey_of(self.key)

    def vkey_of(self, key: Ed25519PrivateKey) -> str:
        return format_vkey(make_vkey(self.origin, unb64u(key.jwk["x"])))

    def signer(self, size: int) -> Ed25519PrivateKey:
        """The key that signs a tree of this size: the one of the last rotation that is in it."""
        names = [draft.name for draft in self.drafts[:size]]
        keys = [key for name, key in self.rotated if name in names]
        return keys[-1] if keys else self.key

    def copy(self) -> Story:
        """A story of its own to be spoiled; keys and documents are shared, as they never change."""
        other = copy.copy(self)
        other.drafts = copy.deepcopy(self.drafts)
        other.rotated = list(self.rotated)
        other.policies = dict(self.policies)
        other.sealing_keys = dict(self.sealing_keys)
        other.tags = dict(self.tags)
        other.blobs, other.sealed_of = {}, {}
        other.after_write = []
        other.source = Source("spoiled")
        return other

    # --- drafts -------------------------------------------------------------------------------------------

    def add(self, name: str, kind: str, body: dict[str, Any], **members: Any) -> Draft:
        at = self.drafts[-1].at + MINUTE if self.drafts else START
        draft = Draft(name, kind, body, members.pop("at", at), **members)
        self.drafts.append(draft)
        return draft

    def __getitem__(self, name: str) -> Draft:
        return self.drafts[self.index(name)]

    def index(self, name: str) -> int:
        return next(index for index, draft in enumerate(self.drafts) if draft.name == name)

    def insert_after(self, place: str, draft: Draft) -> Draft:
        """Put a draft behind another, at the same time."""
        at = self.index(place)
        draft.at = max(draft.at, self.drafts[at].at) if draft.at else self.drafts[at].at
        self.drafts.insert(at + 1, draft)
        return draft

    def insert(self, place: str, name: str, kind: str, body: dict[str, Any], **members: Any) -> Draft:
        return self.insert_after(place, Draft(name, kind, body, 0, **members))

    def repeat(self, name: str, new: str, after: str | None = None, **body: Any) -> Draft:
        """The same draft once more, behind `after` or at the end of the log as it was before closing."""
        draft = copy.deepcopy(self[name])
        draft.name, draft.at = new, 0
        draft.body |= body
        return self.insert_after(after or name, draft)

    def move_after(self, name: str, place: str) -> None:
        draft = self.drafts.pop(self.index(name))
        draft.at = 0
        self.insert_after(place, draft)

    def remove(self, name: str) -> None:
        self.drafts.pop(self.index(name))

    def publish_policy(self, policy: dict[str, Any]) -> str:
        data = canonical(policy)
        digest = sha256_hex(data)
        self.policies[digest] = data
        return digest

    # --- writing -------------------------------------------------------------------------------------------

    def write(self, directory: Path) -> Path:
        """Number, chain, seal, hash and sign everything into an export directory."""
        leaves = self.reorder(self._leaves())
        root = TileDirectory(directory).extend(0, leaves)
        (directory / "checkpoint").write_bytes(self.note(len(leaves), root))
        for folder, files, suffix in (("policy", self.policies, ".json"), ("sealed", self.blobs, "")):
            (directory / folder).mkdir()
            for name, data in files.items():
                (directory / folder / f"{name}{suffix}").write_bytes(data)
        vkey = self.vkey_of(self.signer(len(leaves)))
        stated = {"origin": self.origin, "vkey": vkey, "keys": self._keys()}
        (directory / "keys.json").write_bytes(canonical(stated))
        for change in self.after_write:
            change(directory)
        return directory

    def note(self, size: int, root: bytes) -> bytes:
        """A checkpoint signed by the log."""
        key = self.signer(size)
        return sign_checkpoint(Checkpoint(self.origin, size, root), key.sign, unb64u(key.jwk["x"]))

    def _keys(self) -> list[dict[str, Any]]:
        """What keys.json says of the keys that the drafts speak of."""
        keys: list[dict[str, Any]] = []
        for index, draft in enumerate(self.drafts):
            body = draft.body
            if draft.type in ("key.published", "key.rotated"):
                said = {name: body[name] for name in ("use", "public", "holder")}
                keys.append(said | {"kid": body.get("kid", body.get("to")), "index": index})
            if draft.type in ("key.rotated", "key.revoked"):
                ended = body.get("kid", body.get("from"))
                for key in keys:
                    if (key["use"], key["kid"]) == (body["use"], ended):
                        key.setdefault("ended", index)
        return keys

    def _leaves(self) -> list[bytes]:
        places = {draft.name: index for index, draft in enumerate(self.drafts)}
        heads: dict[str, tuple[int, str]] = {}
        prev, policy = ZERO_HASH, self.first_policy
        leaves = []
        for index, draft in enumerate(self.drafts):
            if draft.type == "policy.changed":
                policy = draft.body["policy"]
            leaf = self._leaf(draft, index, prev, policy, places)
            if draft.who is not None:
                tag = self.tags.setdefault(draft.who, self.source.salt())
                n, last = heads.get(tag, (0, ZERO_HASH))
                leaf["subject"] = {"tag": tag, "n": n + 1, "prev": last}
            for member, value in draft.override.items():
                leaf[member] = leaf[member] | value if isinstance(value, dict) else value
            data = canonical({name: value for name, value in leaf.items() if value is not None})
            data = draft.raw(data) if draft.raw else data
            leaves.append(data)
            prev = leaf_hash(data).hex()
            if draft.who is not None:
                heads[tag] = (n + 1, prev)
        return leaves

    def _leaf(
        self, draft: Draft, index: int, prev: str, policy: str, places: dict[str, int]
    ) -> dict[str, Any]:
        salt = self.source.bytes(16)
        leaf: dict[str, Any] = {
            "v": 1,
            "log": self.origin,
            "index": index,
            "prev": prev,
            "at": format_instant(draft.at),
            "salt": b64u(salt),
            "type": draft.type,
            "body": _resolved(draft.body, places),
            "by": draft.by,
            "policy": policy,
        }
        if draft.details is not None:
            key = self.sealing_keys[draft.sealing]
            blob = seal_details(key, canonical(draft.details), self.origin, salt, self.source.bytes)
            self.blobs[sha256_hex(blob)] = blob
            self.sealed_of[draft.name] = sha256_hex(blob)
            leaf["sealed"] = {"key": self.sealing_id(draft.sealing), "sha256": sha256_hex(blob)}
        return leaf

    def sealing_id(self, name: str) -> str:
        return str(uuid.UUID(bytes=sha256_hex(name.encode())[:16].encode()))

    def sealing_body(self, name: str, regulators: list[tuple[str, bytes]]) -> dict[str, Any]:
        """A `key.sealing` body under a fresh key; `regulators` are (kid, raw X25519 key)."""
        key = self.sealing_keys[name] = self.source.bytes(32)
        return {
            "id": self.sealing_id(name),
            "sha256": sha256_hex(key),
            "sealed": [
                {"kid": kid, "sealed": b64u(hpke_seal(public, SEALING_INFO, key))}
                for kid, public in sorted(regulators)
            ],
        }


def _resolved(value: Any, places: dict[str, int]) -> Any:
    if isinstance(value, Ref):
        return places[value.name]
    if isinstance(value, dict):
        return {name: _resolved(member, places) for name, member in value.items()}
    return value
