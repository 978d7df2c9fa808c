"""The story's second half: the regulator reads, an insider is caught, anybody verifies.

Invariant: everything here works on an export or on copies. The export is made by the command that a
stranger would use, and is verified in a process that has neither the gateway nor its database.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

from gateway.client.keyfile import read_jwk, read_public_key
from gateway.demo.copies import Caught, Target
from gateway.demo.database import Kept, keep
from gateway.demo.failure import DemoFailed
from gateway.demo.insider import EDITS, attempt
from gateway.demo.parties import BANK, REGISTRAR, REGULATOR
from gateway.demo.server_process import command, run
from gateway.demo.stage import Stage, python, shown
from gateway.demo.story import PURPOSE, Told
from gateway.institutions.register import listed
from keys.notes import format_vkey
from ledger.bodies import KeySealing
from ledger.entries import Leaf, parse_leaf
from ledger.verify.auditor import Trust
from ledger.verify.reader import Tree, read_checkpoint
from ledger.verify.sealed import Opener

_ATTACKED: Final = "loan"
NOW: Final = "now.db"


def export(stage: Stage, directory: Path) -> None:
    """`chengxin ledger export`, beside the running server."""
    run(command(stage.home, "ledger", "export", "--to", str(directory)))


def regulator(stage: Stage, told: Told) -> None:
    """The regulator opens what was sealed to it, on the export alone."""
    tell = stage.tell
    tell.chapter("regulator")
    tell.line("regulator.doing", regulator=stage.name(REGULATOR))
    opener = Opener(stage.home.export, read_jwk(stage.cast.files.regulator))
    wanted = {told.granted_at, told.answered_at, told.refused_at}
    checkpoint = read_checkpoint(stage.home.export, stage.pins.vkey)
    for index, data, _ in Tree(stage.home.export, checkpoint).leaves():
        leaf = parse_leaf(data)
        if isinstance(leaf.body, KeySealing):
            opener.announce(index, leaf.body)
        details = opener.open(index, leaf)
        if index in wanted:
            _tell_details(stage, leaf, details)
    if opener.not_ours:
        raise DemoFailed("some sealed details did not open for the regulator")
    tell.line("regulator.done", count=opener.opened)


def _tell_details(stage: Stage, leaf: Leaf, details: Any) -> None:
    """What was sealed with one leaf, in plain words."""
    asked = details.get("request") or details.get("document")
    values = {
        "index": leaf.index,
        "institution": stage.name(BANK),
        "categories": stage.categories(asked["categories"]),
        "key": str(asked.get("subject", ""))[:8],
        "revisions": len(details.get("revisions", ())),
    }
    stage.tell.item(stage.tell.fitting(f"regulator.{leaf.type}", values))


def insider(stage: Stage, told: Told) -> None:
    """Every edit of the insider's on a copy of its own, and who caught it."""
    tell = stage.tell
    tell.chapter("insider")
    tell.line("insider.doing")
    now = keep(stage.settings, stage.home.insider / NOW)
    target = _target(stage, told, now)
    indexes = {"rewrite": told.answered_at, "unwithdraw": told.withdrawn_at}
    for number, name in enumerate(EDITS, start=1):
        caught = attempt(name, target, stage.home.insider)
        deed = tell.fitting(f"insider.{name}", {"index": indexes.get(name)})
        tell.item(deed, f"{number}.")
        tell.item(_caught(stage, caught), "   →")
    for kept in (now, told.before_withdrawal):
        kept.forget()


def _caught(stage: Stage, caught: Caught) -> str:
    values = {
        "index": caught.index,
        "finding": caught.finding,
        "reason": None if caught.problem is None else stage.reason(caught.problem),
    }
    return stage.tell.fitting(f"caught.{caught.who}", values)


def _target(stage: Stage, told: Told, now: Kept) -> Target:
    files = stage.cast.files
    pinned = {REGISTRAR.uscc: (read_public_key(files.registrar_public),)}
    operator = next(row["operator"] for row in listed(stage.house, "operator"))
    return Target(
        home=stage.home.path,
        trust=Trust(stage.pins.vkey, pinned, read_jwk(files.regulator)),
        pins=stage.pins,
        operator=stage.cast.operator,
        by={"institution": BANK.uscc, "operator": operator},
        purpose=PURPOSE,
        category=_ATTACKED,
        withdrawn=told.consent,
        answered_at=told.answered_at,
        withdrawn_at=told.withdrawn_at,
        live=told.live_consent,
        now=now,
        before_withdrawal=told.before_withdrawal,
    )


def anybody(stage: Stage) -> None:
    """The exported ledger verifies offline; the line that does it, and one that finds the forgery."""
    tell = stage.tell
    tell.chapter("export")
    words = verify_words(stage, stage.home.export)
    found = json.loads(run([sys.executable, *words, "--json"]))
    if not found.get("ok"):
        raise DemoFailed("the exported ledger does not verify")
    tell.line("export.done", directory=shown(stage.home.export), size=found["size"])
    tell.line("export.verified", size=found["size"], opened=found["opened"])
    tell.gap()
    tell.line("verify.copy")
    tell.command(python(*words))
    tell.gap()
    tell.line("verify.forged", number=list(EDITS).index("forge") + 1)
    tell.command(python(*verify_words(stage, stage.home.insider / "forge")))


def verify_words(stage: Stage, directory: Path) -> list[str]:
    """The verifier's command without the interpreter: everything pinned, paths as typed here."""
    files = stage.cast.files
    return [
        "-m",
        "ledger.verify",
        shown(directory),
        "--vkey",
        format_vkey(stage.pins.vkey),
        "--registrar",
        f"{REGISTRAR.uscc}={shown(files.registrar_public)}",
        "--regulator-key",
        shown(files.regulator),
        *(("--kept", shown(stage.home.kept)) if stage.home.kept.exists() else ()),
    ]
