"""Exports: a directory that an auditor takes away and checks without the gateway (`ledger.verify`).

    checkpoint              the signed note
    tile/...                C2SP tiles and entry bundles, made from the leaf rows
    policy/<hash>.json      JCS of every policy bundle that was in force
    keys.json               JCS of the keys published in the log, for convenience: the leaves are what counts
    sealed/<sha256>         for regulators: sealed details, no longer wrapped

Invariant: an export shows the rows as they are. What an insider did to them is exported too, for the verifier
to find; the tiles in service are never taken in their place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keys.canonical import canonical
from keys.notes import Vkey, format_vkey
from ledger.bodies import KeyPublished, KeyRevoked, KeyRotated
from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.entries import parse_leaf
from ledger.errors import LedgerError, MalformedLeaf
from ledger.files import make_directory, write_atomic
from ledger.tiles import TileDirectory

_MARKS = (b'"key.published"', b'"key.rotated"', b'"key.revoked"')


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: the checkpoint, whether the rows add up to its root, how many sealed blobs."""

    checkpoint: Checkpoint
    intact: bool
    sealed: int


def export(
    to: Path,
    note: bytes,
    vkey: Vkey,
    leaves: Iterable[bytes],
    policies: Mapping[str, bytes],
    sealed: Iterable[tuple[str, bytes]] = (),
    progress: Callable[[], None] | None = None,
) -> Exported:
    """Write an export into the directory `to`, which must be empty or not there.

    `leaves` are the first `size` leaf rows of the signed checkpoint `note`; `policies` maps hex hashes to JCS
    bundles; `sealed` gives (hex SHA-256, unwrapped blob). `progress` is called once for each leaf and blob.
    Raises LedgerError when `to` is not empty, BrokenCheckpoint when the note is not the log's.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise LedgerError("the directory to export to is not empty")
    checkpoint = open_checkpoint(note, vkey)
    make_directory(to)
    keys: list[dict[str, Any]] = []
    seen = _seen(leaves, keys, progress)
    root = TileDirectory(to).extend(0, seen)
    for digest, bundle in policies.items():
        write_atomic(to / "policy" / f"{_name(digest)}.json", bundle)
    write_atomic(to / "keys.json", canonical({"origin": vkey.name, "vkey": format_vkey(vkey), "keys": keys}))
    count = 0
    for digest, blob in sealed:
        write_atomic(to / "sealed" / _name(digest), blob)
        count += 1
        if progress is not None:
            progress()
    write_atomic(to / "checkpoint", note)
    return Exported(checkpoint, root == checkpoint.root, count)


def _name(digest: str) -> str:
    """A file's name out of the database: a hash and nothing else."""
    if re.fullmatch(r"[0-9a-f]{64}", digest) is None:
        raise LedgerError("a file of the export is not named by a hash")
    return digest


def _seen(
    leaves: Iterable[bytes], keys: list[dict[str, Any]], progress: Callable[[], None] | None
) -> Iterator[bytes]:
    """The leaves, while the keys that they publish are noted."""
    for index, leaf in enumerate(leaves):
        _note(keys, index, _body(leaf))
        if progress is not None:
            progress()
        yield leaf


def _note(keys: list[dict[str, Any]], index: int, body: object) -> None:
    """Take over what a leaf says of a key: that it counts from here on, or no longer (`ended`)."""
    if isinstance(body, KeyPublished | KeyRotated):
        kid = body.kid if isinstance(body, KeyPublished) else body.to
        public, holder = body.public, body.holder
        keys.append({"use": body.use, "kid": kid, "public": public, "holder": holder, "index": index})
    if isinstance(body, KeyRotated | KeyRevoked):
        ended = body.kid if isinstance(body, KeyRevoked) else body.from_
        for key in keys:
            if (key["use"], key["kid"]) == (body.use, ended):
                key.setdefault("ended", index)


def _body(leaf: bytes) -> object:
    """Body of a leaf, or None for what is no leaf: finding that is the verifier's task."""
    if not any(mark in leaf for mark in _MARKS):
        return None
    try:
        return parse_leaf(leaf).body
    except MalformedLeaf:
        return None
