"""The chapter of the evidence: the same story at length, the regulator, six edits of an insider's, an export.

Invariant: it needs enrolled citizens and nothing else that was told; the regulator and the verifier work on
an export, the insider on copies.
"""

from __future__ import annotations

from typing import Any

from gateway.client.keyfile import read_jwk
from gateway.demo.checks import NOW, export, show_words, target, verified, verify_words
from gateway.demo.copies import Caught
from gateway.demo.database import keep
from gateway.demo.failure import DemoFailed
from gateway.demo.insider import EDITS, attempt
from gateway.demo.life import life_of_a_consent, records_sent_again, where_the_keys_are
from gateway.demo.parties import BANK, REGULATOR
from gateway.demo.stage import Life, Stage, chengxin, python, shown
from ledger.bodies import KeySealing
from ledger.entries import Leaf, parse_leaf
from ledger.verify.following import open_export
from ledger.verify.reader import Tree
from ledger.verify.sealed import Opener


def evidence(stage: Stage) -> None:
    """Every step of the story with what it leaves behind, and everybody who checks it."""
    records_sent_again(stage)
    where_the_keys_are(stage)
    citizen, other = stage.citizens[4:6]
    life = life_of_a_consent(stage, citizen, other, stage.home.evidence_shelf)
    stage.lives.append(life)
    export(stage, life.shelf.export)
    _regulator(stage, life)
    _insider(stage, life)
    _anybody(stage, life)


def _regulator(stage: Stage, life: Life) -> None:
    """The regulator opens what was sealed to it, on the export alone."""
    tell = stage.tell
    tell.chapter("regulator")
    tell.line("regulator.doing", regulator=stage.name(REGULATOR))
    opener = Opener(life.shelf.export, read_jwk(stage.cast.files.regulator))
    wanted = {life.granted_at, life.answered_at, life.refused_at}
    checkpoint = open_export(life.shelf.export, stage.pins.vkey).checkpoint
    for index, data, _ in Tree(life.shelf.export, checkpoint).leaves():
        leaf = parse_leaf(data)
        if isinstance(leaf.body, KeySealing):
            opener.announce(index, leaf.body)
        details = opener.open(index, leaf)
        if index in wanted:
            _tell_details(stage, leaf, details)
    if opener.not_ours:
        raise DemoFailed("some sealed details did not open for the regulator")
    tell.line("regulator.done", count=opener.opened)
    tell.line("after.try")
    tell.command(chengxin(stage.home, *show_words(stage, life)))


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


def _insider(stage: Stage, life: Life) -> None:
    """Every edit of the insider's on a copy of its own, and who caught it."""
    tell = stage.tell
    tell.chapter("insider")
    tell.line("insider.doing")
    now = keep(stage.settings, life.shelf.insider / NOW)
    aim = target(stage, life, now)
    indexes = {"rewrite": life.answered_at, "unwithdraw": life.withdrawn_at}
    for number, name in enumerate(EDITS, start=1):
        caught = attempt(name, aim, life.shelf.insider)
        deed = tell.fitting(f"insider.{name}", {"index": indexes.get(name)})
        tell.item(deed, f"{number}.")
        tell.item(_caught(stage, caught), "   →")
    for kept in (now, life.before_withdrawal):
        if kept is not None:
            kept.forget()


def _caught(stage: Stage, caught: Caught) -> str:
    values = {
        "index": caught.index,
        "finding": caught.finding,
        "reason": None if caught.problem is None else stage.reason(caught.problem),
    }
    return stage.tell.fitting(f"caught.{caught.who}", values)


def _anybody(stage: Stage, life: Life) -> None:
    """The exported ledger verifies offline; the line that does it, and one that finds the forgery."""
    tell, shelf = stage.tell, life.shelf
    tell.chapter("export")
    words = verify_words(stage, shelf.export, shelf)
    found = verified(words)
    tell.line("export.done", directory=shown(shelf.export), size=found["size"])
    tell.line("export.verified", size=found["size"], opened=found["opened"])
    tell.gap()
    tell.line("verify.copy")
    tell.command(python(*words))
    tell.gap()
    tell.line("verify.forged", number=list(EDITS).index("forge") + 1)
    tell.command(python(*verify_words(stage, shelf.insider / "forge", shelf)))
