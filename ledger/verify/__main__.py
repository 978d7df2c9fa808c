"""`python -m ledger.verify DIR --vkey VKEY`: the auditor's command.

Exit status: 0 the log is in order, 1 something is wrong (the first thing is printed), 2 it could not be
checked.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from keys.canonical import parse_json_strict
from keys.errors import KeysError
from keys.notes import parse_vkey
from keys.sealing import parse_private_x25519_jwk
from keys.signing import PublicKey, parse_public_jwk
from ledger.errors import BrokenCheckpoint, Finding
from ledger.verify.auditor import Summary, Trust, audit

PROGRESS_SECONDS = 0.2
LINE_SECONDS = 5.0
"""How often progress is shown, on a terminal and elsewhere."""
MOST_JOBS = 256

_PROOFS = "citizens' signatures, requests and registrars' certificates"


class Unusable(Exception):
    """An argument or file that nothing can be checked with: exit status 2."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; argparse itself exits with 2 for a wrong command line."""
    options = _parser().parse_args(argv)
    try:
        trust = _trust(options)
        if not options.directory.is_dir():
            raise Unusable(f"{options.directory} is no directory")
        if options.no_replay and (options.regulator_key or options.registrar):
            raise Unusable("--no-replay looks into no leaf: leave out --regulator-key and --registrar, or it")
        counter = _Counter(sys.stderr, options.progress)
        try:
            jobs = options.jobs or os.cpu_count() or 1
            summary = audit(options.directory, trust, counter.show, jobs, not options.no_replay)
        finally:
            counter.wipe()
    except Finding as finding:
        _print(options.json, _finding_lines(finding), {"ok": False, **_finding_members(finding)})
        return 1
    except (Unusable, BrokenCheckpoint) as error:
        sys.stderr.write(f"cannot verify: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"cannot verify: {error.filename}: {error.strerror}\n")
        return 2
    except BrokenProcessPool:
        sys.stderr.write("cannot verify: a process that read leaves was ended; try again with --jobs 1\n")
        return 2
    _print(options.json, summary_lines(summary), {"ok": True, **asdict(summary), **_scope(summary)})
    return 0


def summary_lines(summary: Summary) -> list[str]:
    """What an auditor reads after a log that is in order."""
    width = max((len(type_) for type_ in summary.counts), default=0)
    scope = _scope(summary)
    return [
        f"in order: {summary.origin}, {summary.size} leaves, root {summary.root}",
        *(f"  {type_:<{width}}  {count}" for type_, count in summary.counts.items()),
        *(f"checked: {line}" for line in scope["checked"]),
        *(f"NOT checked: {line}" for line in scope["not_checked"]),
    ]


def _scope(summary: Summary) -> dict[str, list[str]]:
    """In plain words, what this run did and did not check."""
    if not summary.replayed:
        return _tree_alone(summary)
    checked = [
        "checkpoint signature, tiles, root, chain and each person's chain",
        "every answer replayed against consent, standing, policy and count",
        "every statutory answer against its statute, its approval by another operator, and its deadlines",
        "every ask counted against the quotas of its time",
    ]
    missing = []
    if summary.deferred:
        missing.append(f"{summary.deferred} deferred statutory queries: their persons are not told yet")
    checked += [
        f"nothing is in force that entries {first} to {end - 1} began: a database was put back"
        for first, end in summary.recovered
    ]
    if summary.lost:
        missing.append(f"{summary.lost} sealed details that are gone, erased or lost, and what rests on them")
    if summary.opened is None:
        missing.append(f"{_PROOFS} (no --regulator-key: proofs were not opened)")
    else:
        checked.append(f"citizens' signatures and requests in {summary.opened} sealed details")
    if summary.not_ours:
        missing.append(f"{summary.not_ours} details not sealed to this regulator, and what rests on them")
    if not summary.pinned:
        missing.append("registrars' certificates (no --registrar: nobody outside vouches for the keys)")
    elif summary.opened is None:
        checked.append("enrolments name pinned registrars only")
    else:
        checked.append("registrars' certificates, against the pinned keys")
    _add_kept(summary, checked, missing)
    return {"checked": checked, "not_checked": missing}


def _tree_alone(summary: Summary) -> dict[str, list[str]]:
    """The same where replay was left out."""
    checked = ["checkpoint signature, tiles, root, and that each leaf names the one before it"]
    missing = [
        "replay (--no-replay): what leaves say, their form, persons' chains, whether an answer was allowed",
        "the published keys and policies, and which of them signed the checkpoint (--no-replay)",
    ]
    _add_kept(summary, checked, missing)
    return {"checked": checked, "not_checked": missing}


def _add_kept(summary: Summary, checked: list[str], missing: list[str]) -> None:
    if summary.kept:
        checked.append(f"the log continues the {summary.kept} checkpoints that were kept")
    else:
        missing.append("other histories (no --kept: compare with a checkpoint kept earlier)")


def _finding_lines(finding: Finding) -> list[str]:
    return [f"WRONG: {finding}"]


def _finding_members(finding: Finding) -> dict[str, Any]:
    return {"index": finding.index, "rule": finding.rule, "message": finding.message}


def _print(as_json: bool, lines: list[str], members: dict[str, Any]) -> None:
    sys.stdout.write((json.dumps(members, ensure_ascii=False) if as_json else "\n".join(lines)) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ledger.verify",
        description="Verify an exported log: every leaf, every hash, and that every answer was allowed.",
    )
    parser.add_argument(
        "directory", type=Path, metavar="DIR", help="what `chengxin ledger export --to DIR` wrote"
    )
    parser.add_argument(
        "--vkey",
        required=True,
        help="a verifier key of the log, name+id+key; rotations to later ones are followed",
    )
    parser.add_argument(
        "--registrar",
        action="append",
        metavar="ID=JWK-FILE",
        help="a registrar's public key that you trust; its rotations are followed; repeatable. Without it "
        "certificates are not checked",
    )
    parser.add_argument(
        "--regulator-key",
        type=Path,
        metavar="FILE",
        help="a regulator's private X25519 JWK. Without it sealed details are not opened",
    )
    parser.add_argument(
        "--recovered",
        action="append",
        type=int,
        default=[],
        metavar="INDEX",
        help="entry of a recovery that you know of, whose lost details you accept; repeatable",
    )
    parser.add_argument(
        "--kept",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="a checkpoint of this log that you kept earlier; repeatable. It shows a changed history",
    )
    parser.add_argument(
        "--jobs",
        type=_jobs,
        metavar="N",
        help="processes that read leaves, by default one a processor; what is found is the same",
    )
    parser.add_argument(
        "--no-replay",
        action="store_true",
        help="check the tree and the chain alone, and nothing that leaves say: several times as fast",
    )
    parser.add_argument(
        "--progress", action="store_true", help="show progress where standard error is no terminal too"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    return parser


def _jobs(text: str) -> int:
    """A number of processes."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MOST_JOBS):
        raise argparse.ArgumentTypeError(f"a number from 1 to {MOST_JOBS}")
    return int(text)


def _trust(options: argparse.Namespace) -> Trust:
    try:
        vkey = parse_vkey(options.vkey)
    except KeysError as error:
        raise Unusable(f"--vkey is no name+id+key, as `ledger vkey` prints it ({error})") from None
    regulator = None
    if options.regulator_key is not None:
        regulator = _jwk(options.regulator_key, parse_private_x25519_jwk, "a regulator's private X25519 key")
    kept = {str(file): file.read_bytes() for file in options.kept}
    return Trust(vkey, _registrars(options.registrar), regulator, kept, frozenset(options.recovered))


def _registrars(pins: list[str] | None) -> dict[str, tuple[PublicKey, ...]] | None:
    if pins is None:
        return None
    pinned: dict[str, tuple[PublicKey, ...]] = {}
    for pin in pins:
        name, equals, file = pin.partition("=")
        if not (name and equals and file):
            raise Unusable("--registrar is written ID=JWK-FILE")
        key = parse_public_jwk(_jwk(Path(file), parse_public_jwk, "a registrar's public key (FILE.pub)"))
        pinned[name] = (*pinned.get(name, ()), key)
    return pinned


def _jwk(file: Path, parse: Callable[[dict[str, object]], object], wanted: str) -> dict[str, str]:
    """The JWK in a file, once `parse` accepts it; `wanted` says in words what it should be."""
    try:
        jwk = parse_json_strict(file.read_bytes())
        if not isinstance(jwk, dict):
            raise Unusable(f"{file} holds no JWK")
        parse(jwk)
    except KeysError as error:
        raise Unusable(f"{file} is not {wanted}: {error}") from None
    return jwk


class _Counter:
    """Leaves done, how fast, and how long it will take, on one line that is wiped at the end; where it is
    asked for and there is no terminal, a line each time, which stays.
    """

    def __init__(self, stream: TextIO, asked: bool) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._shown = False
        self._begun = time.monotonic()
        self._every = PROGRESS_SECONDS if self._terminal else LINE_SECONDS
        self._due = self._begun + self._every if self._terminal or asked else math.inf

    def show(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now < self._due:
            return
        rate = done / max(now - self._begun, 1e-3)
        line = f"{done:,} of {total:,} leaves, {rate:,.0f}/s, {_duration((total - done) / max(rate, 1))} left"
        self._stream.write(f"\r\x1b[K{line}" if self._terminal else f"{line}\n")
        self._stream.flush()
        self._shown = True
        self._due = now + self._every

    def wipe(self) -> None:
        if self._shown and self._terminal:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def _duration(seconds: float) -> str:
    """`1:05` of minutes and seconds, or `2:01:05`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


if __name__ == "__main__":
    sys.exit(main())
