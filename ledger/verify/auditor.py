"""The audit of one exported log, from its checkpoint to its last leaf, with nothing but public keys.

Invariant: `audit` returns only if every rule held for every leaf; the first that does not is raised as a
`Finding`. It keeps no leaves; what it finds does not depend on how many processes read them.

    1 checkpoint: the pinned key, or one rotated to    following
    2 each leaf: tile hash, canonical form              crew -> parts, files, spellings
    3 each leaf: chain, enforcement replayed            replaying -> lanes, or chain and replay
    4 each leaf: sealed evidence, with a key for it     sealed, evidence
    5 the other tiles, the root, the published keys     reader, here
    6 the checkpoint is by the key of its size          signers, here
    7 checkpoints the auditor kept: no other history    here
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from keys.canonical import parse_json_strict
from keys.errors import KeysError
from keys.notes import Vkey, format_vkey, peek_note
from keys.signing import PublicKey
from ledger.checkpoint import Checkpoint, open_checkpoint
from ledger.errors import BrokenCheckpoint, Finding
from ledger.logkeys import LogKeys, claimed
from ledger.tiles import WIDTH, TileDirectory
from ledger.verify import citizens, corrections, erasures, signers
from ledger.verify.crew import parts, without_collector
from ledger.verify.following import Opened, open_export, predecessors
from ledger.verify.parts import RUN, Mode, runs
from ledger.verify.policy import read_policy
from ledger.verify.reader import Tree
from ledger.verify.replaying import Progress, Replay, Shelf, grown
from ledger.verify.sealed import Opener
from ledger.verify.state import World


@dataclass(frozen=True, slots=True)
class Trust:
    """What the auditor brings along: a key of the log, and perhaps registrars' keys, a regulator's private
    JWK, the signed notes of checkpoints of this log that were kept earlier, by name, and the indexes of the
    `log.recovered` that they know of: only then may details be missing.
    """

    vkey: Vkey
    registrars: Mapping[str, tuple[PublicKey, ...]] | None = None
    regulator: dict[str, str] | None = None
    kept: Mapping[str, bytes] = field(default_factory=dict)
    recoveries: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Summary:
    """What was found in order. `root` is hex; `opened` and `not_ours` count sealed details, None without a
    key; `kept` counts the earlier checkpoints that the log continues, `deferred` the statutory queries that
    their persons are not told of yet. `recovered` are the leaves (first, end) that came back to a database
    put back, `lost` the sealed details that are missing, of those and of persons who were erased. Unless
    `replayed`, nothing is known of what the leaves say.
    """

    origin: str
    size: int
    root: str
    counts: Mapping[str, int]
    pinned: bool
    opened: int | None
    not_ours: int | None
    kept: int
    deferred: int
    recovered: tuple[tuple[int, int], ...] = ()
    lost: int = 0
    replayed: bool = True


def audit(
    directory: Path,
    trust: Trust,
    progress: Progress = lambda done, total: None,
    jobs: int = 1,
    replayed: bool = True,
) -> Summary:
    """Verify the log exported to `directory`, read by `jobs` processes; what is found does not depend on
    them.

    Unless `replayed`, what the leaves say is left out, their form too: only the checkpoint, the tree, and
    that each leaf names the one before it. Raises Finding for the first thing wrong, keys.errors.Malformed
    for a regulator's key that is none, BrokenCheckpoint for a kept note that is none of this log, OSError for
    a file that is there but cannot be read, and BrokenProcessPool when a process was ended from outside.
    """
    opener = None if trust.regulator is None else Opener(directory, trust.regulator)
    export = open_export(directory, trust.vkey)
    checkpoint = export.checkpoint
    tree, mode = Tree(directory, checkpoint), _mode(opener, replayed)
    read = parts(runs(directory, checkpoint.origin, checkpoint.size, mode), _useful(jobs, checkpoint.size))
    if not replayed:
        for _ in grown(read, tree, progress, checkpoint.size):
            pass
        _check_kept(directory, checkpoint, trust, LogKeys.only(export.vkey))
        return _summary(export, trust, Counter(), None, None)
    shelf = Shelf(directory, checkpoint.size)
    world = World(
        origin=checkpoint.origin,
        find_policy=partial(read_policy, directory),
        find_leaf=shelf.leaf,
        pins=trust.registrars,
        predecessors=predecessors(directory, checkpoint, trust.registrars),
    )
    with without_collector():
        counts = Replay(world, opener, shelf).take(grown(read, tree, progress, checkpoint.size))
    citizens.check_end(world)
    corrections.check_end(world)
    erasures.check_end(world, () if opener is None else opener.unread, trust.recoveries)
    if not counts:
        raise Finding(None, "opened-first", "the log is empty: it was never opened")
    if opener is not None and ("regulator", opener.kid) not in world.keys:
        # An operator with a regulator of their own making would otherwise have nothing opened, and pass.
        raise Finding(None, "regulator-published", "the log never published the regulator's key given")
    _check_signer(export, world)
    _check_keys_file(directory, export.vkey, world)
    _check_kept(directory, checkpoint, trust, signers.log_keys(world, export.vkey))
    return _summary(export, trust, counts, world, opener)


def _mode(opener: Opener | None, replayed: bool) -> Mode:
    """How leaves are handed over: whole where their details are opened, for that takes the rules anyway."""
    if not replayed:
        return "linked"
    return "plain" if opener is None else "whole"


def _useful(jobs: int, size: int) -> int:
    """No more processes than there is work for: starting one costs as much as reading some ten thousand
    leaves.
    """
    return max(1, min(jobs, size // (RUN * WIDTH)))


def _summary(
    export: Opened, trust: Trust, counts: Counter[str], world: World | None, opener: Opener | None
) -> Summary:
    return Summary(
        origin=export.checkpoint.origin,
        size=export.checkpoint.size,
        root=export.checkpoint.root.hex(),
        counts=dict(sorted(counts.items())),
        pinned=trust.registrars is not None,
        opened=None if opener is None else opener.opened,
        not_ours=None if opener is None else opener.not_ours,
        kept=len(trust.kept),
        deferred=0 if world is None else len(world.deferred),
        recovered=() if world is None else tuple((part.start, part.stop) for part in world.recovered),
        lost=0 if opener is None else len(opener.unread),
        replayed=world is not None,
    )


def _check_signer(export: Opened, world: World) -> None:
    """The log published the key that signed the checkpoint as the one for its size."""
    keys = signers.log_keys(world, export.vkey)
    if any(key.vkey == export.vkey and key.covers(export.checkpoint.size) for key in keys.keys):
        return
    newest = max(key.index for (use, _), key in world.keys.items() if use == "checkpoint")
    raise Finding(
        newest, "key-checkpoint", "the checkpoint is not by the key that the log published for its size"
    )


def _check_kept(directory: Path, checkpoint: Checkpoint, trust: Trust, keys: LogKeys) -> None:
    """The log continues every checkpoint that was kept; its tiles were all found right before."""
    tiles = TileDirectory(directory)
    for name, note in trust.kept.items():
        earlier = _kept(name, note, trust.vkey, keys, checkpoint.size)
        if earlier.size > checkpoint.size:
            raise Finding(
                None, "kept", f"a checkpoint of {earlier.size} leaves was kept: leaves were cut off"
            )
        if tiles.root_at(earlier.size) != earlier.root:
            raise Finding(None, "kept", f"the first {earlier.size} leaves are not those of a checkpoint kept")


def _kept(name: str, note: bytes, pinned: Vkey, keys: LogKeys, size: int) -> Checkpoint:
    """A kept note by the key of its size. Raises BrokenCheckpoint, which names it.

    One beyond the log may be by the pinned key: a log cut before a rotation does not know who signed since.
    """
    try:
        if claimed(note).size > size and (pinned.name, pinned.key_id) in peek_note(note).signers:
            return open_checkpoint(note, pinned)
        return keys.open(note)
    except (BrokenCheckpoint, KeysError):
        raise BrokenCheckpoint(f"{name} is no checkpoint of this log by a key of its time") from None


def _check_keys_file(directory: Path, vkey: Vkey, world: World) -> None:
    """`keys.json` says what the leaves published, no more and no less."""
    try:
        stated = parse_json_strict((directory / "keys.json").read_bytes())
    except FileNotFoundError:
        raise Finding(None, "keys-file", "the published keys are missing: no keys.json") from None
    except KeysError:
        raise Finding(None, "keys-file", "keys.json is not strict JSON") from None
    published: dict[int, Any] = {
        key.index: {
            "use": use,
            "kid": kid,
            "public": dict(key.public),
            "holder": key.holder,
            "index": key.index,
            **({} if key.ended is None else {"ended": key.ended}),
        }
        for (use, kid), key in world.keys.items()
    }
    for index, key in sorted(published.items()):
        if not isinstance(stated, dict) or key not in (stated.get("keys") or []):
            raise Finding(index, "keys-file", "keys.json does not list a key that the log published")
    if stated != {
        "origin": world.origin,
        "vkey": format_vkey(vkey),
        "keys": [published[i] for i in sorted(published)],
    }:
        raise Finding(None, "keys-file", "keys.json lists something that the log did not publish")
