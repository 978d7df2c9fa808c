"""From the keys that an auditor pinned to those that stand in the log, by the statements of rotation in it.

Invariant: nothing here rests on the leaves it is read from. A rotation counts as both keys signed it; its
place in the log, and with it each key's range, is checked when the leaves are replayed. It is looked for only
where the pinned key itself is not the one that is met.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from keys.canonical import unb64u
from keys.errors import BadSignature, KeysError
from keys.jws import verify_jws
from keys.notes import MAX_NOTE_BYTES, Vkey, make_vkey, peek_note
from keys.rotation import ROTATION_TYP, format_statement, verify_rotation
from keys.signing import PublicKey, ed25519_public_key, parse_public_jwk
from ledger.bodies import KeyRotated
from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.entries import parse_leaf
from ledger.errors import BrokenCheckpoint, Finding, LedgerError, MalformedLeaf
from ledger.logkeys import claimed
from ledger.tiles import WIDTH, TileDirectory
from ledger.verify.reader import Tree
from ledger.verify.signers import rotation_of

_MARK: Final = b'"type":"key.rotated"'


class Opened(NamedTuple):
    """The checkpoint of an export, and the key that signed it: the pinned one, or one that follows it."""

    checkpoint: Checkpoint
    vkey: Vkey


def open_export(directory: Path, pinned: Vkey) -> Opened:
    """The signed tree head that everything else is checked against. Raises Finding."""
    note = _read(directory)
    try:
        if (pinned.name, pinned.key_id) in peek_note(note).signers:
            return Opened(open_checkpoint(note, pinned), pinned)
        said = claimed(note)
    except (KeysError, BrokenCheckpoint) as broken:
        raise Finding(None, "checkpoint", str(broken)) from None
    try:
        found = tuple(rotations(directory, said.size))
    except LedgerError:
        for _ in Tree(directory, said).leaves():
            pass  # says which file cannot be read, and where
        raise
    for key in _followers(ed25519_public_key(pinned.public), pinned.name, found):
        vkey = make_vkey(pinned.name, unb64u(key.jwk["x"], 32))
        try:
            return Opened(open_checkpoint(note, vkey), vkey)
        except BrokenCheckpoint:
            continue
    raise Finding(
        None, "checkpoint", "the checkpoint is not signed by the pinned key, nor by one that was rotated to"
    )


def _read(directory: Path) -> bytes:
    try:
        with (directory / "checkpoint").open("rb") as file:
            return file.read(MAX_NOTE_BYTES + 1)
    except FileNotFoundError:
        raise Finding(None, "checkpoint", "there is no checkpoint") from None


def rotations(directory: Path, size: int) -> Iterator[tuple[int, KeyRotated]]:
    """Index and body of the rotations among the first `size` leaves, in order.

    Raises LedgerError where a bundle cannot be read; a leaf that is none is found when the leaves are walked.
    """
    tiles = TileDirectory(directory)
    for bundle in range((size + WIDTH - 1) // WIDTH):
        leaves = tiles.entries(bundle, min(WIDTH, size - bundle * WIDTH))
        for index, leaf in enumerate(leaves, bundle * WIDTH):
            body = _body(leaf) if _MARK in leaf else None
            if isinstance(body, KeyRotated):
                yield index, body


def _body(leaf: bytes) -> object:
    try:
        return parse_leaf(leaf).body
    except MalformedLeaf:
        return None


def _followers(pinned: PublicKey, log: str, found: Iterable[tuple[int, KeyRotated]]) -> Iterator[PublicKey]:
    """The checkpoint keys after the pinned one, each signed for by the one before. Raises Finding."""
    current, ended = pinned, set[str]()
    for index, body in found:
        if (body.use, body.holder) != ("checkpoint", log):
            continue
        if body.from_ in ended:
            raise Finding(index, "rotated-from", "a key is replaced that was not in force, or is another's")
        if body.from_ == current.kid:
            ended.add(current.kid)
            try:
                current = verify_rotation(rotation_of(log, body), current)
            except KeysError as broken:
                raise Finding(index, "rotation-signed", str(broken)) from None
            yield current


def predecessors(
    directory: Path, checkpoint: Checkpoint, pins: Mapping[str, tuple[PublicKey, ...]] | None
) -> Callable[[str], frozenset[str]]:
    """For a registrar, the thumbprints of the keys that its pinned ones replaced, by the pinned keys' word.

    A registrar hands out its newest key; what it certified before is under older ones, which the newest names
    in the statement that both signed.
    """

    @cache
    def of(registrar: str) -> frozenset[str]:
        trusted = {key.kid: key for key in (pins or {}).get(registrar, ())}
        known: set[str] = set()
        for _, body in reversed(_readable(rotations(directory, checkpoint.size))):
            if (body.use, body.holder) == ("registrar", registrar) and body.to in trusted.keys() | known:
                try:
                    _check_new(checkpoint.origin, body, trusted.get(body.to))
                except KeysError:
                    continue
                known.add(body.from_)
        return frozenset(known)

    return of


def _readable(found: Iterator[tuple[int, KeyRotated]]) -> list[tuple[int, KeyRotated]]:
    """Those before the first bundle that cannot be read, which the walk finds."""
    taken: list[tuple[int, KeyRotated]] = []
    with suppress(LedgerError):
        taken.extend(found)
    return taken


def _check_new(log: str, body: KeyRotated, key: PublicKey | None) -> None:
    """The new key signed the statement: it says itself which it replaced."""
    rotation = rotation_of(log, body)
    new = key or parse_public_jwk(dict(body.public))
    if verify_jws(rotation.new, new, ROTATION_TYP) != format_statement(rotation.statement):
        raise BadSignature("the new key signed another statement")
