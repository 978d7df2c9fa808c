"""The main story, as short as it can be told: a query from the consent to the refusal, and who checks it.

Invariant: what is told is what came back, one or two lines a step, and all of it is read in one minute: the
tests count the words that were printed. Whatever takes longer to tell is told by a chapter.
"""

from __future__ import annotations

from gateway.demo import acts
from gateway.demo.checks import NOW, export, target, verified, verify_words
from gateway.demo.copies import Caught
from gateway.demo.database import keep
from gateway.demo.insider import attempt, forge
from gateway.demo.parties import BANK, REGISTRAR
from gateway.demo.stage import Life, Stage, python


def begin(stage: Stage) -> None:
    """The two steps before every chapter: the records come in, and citizens get keys."""
    tell = stage.tell
    tell.heading("main.import")
    sent = acts.send_records(stage)
    tell.line(
        "main.import.done",
        records=f"{sent.report.accepted:,}",
        people=f"{len(sent.people):,}",
        columns=len(sent.report.columns()),
    )
    tell.heading("main.enrol")
    acts.enrol(stage, sent.people)
    first, *others = stage.citizens
    tell.line(
        "main.enrol.done",
        citizen=first.person.name,
        others=len(others),
        registrar=stage.name(REGISTRAR),
    )


def main(stage: Stage) -> None:
    """One consent from the request to the refusal after its withdrawal; then an insider, and the verifier."""
    life = _life(stage)
    stage.lives.append(life)
    _verify(stage, life)
    _insider(stage, life)


def _life(stage: Stage) -> Life:
    tell, citizen, other = stage.tell, stage.citizens[0], stage.citizens[1]
    tell.heading("main.consent")
    request = acts.ask(stage, citizen)
    granted = acts.sign(stage, citizen, request, without=(acts.LEFT_OUT,)).signed.receipt.index
    tell.line(
        "main.consent.done",
        bank=stage.name(BANK),
        categories=stage.categories(acts.ASKED),
        citizen=citizen.person.name,
        left=stage.category(acts.LEFT_OUT),
        index=granted,
    )
    kept = acts.ask(stage, other)
    acts.sign(stage, other, kept)
    tell.heading("main.query")
    with stage.bank() as bank:
        answer = acts.query(bank, request.consent_id)
        acts.prove(bank, answer, stage.home.shelf.kept)
    records = answer.answer["records"]
    tell.line(
        "main.query.done",
        records=sum(map(len, records.values())),
        categories=stage.categories(list(records)),
        index=answer.receipt.index,
    )
    tell.heading("main.withdraw")
    withdrawn = acts.withdraw(stage, citizen, request.consent_id)
    why, refused_at = acts.query_in_vain(stage, request.consent_id, "withdrawn")
    tell.line("main.withdraw.done", index=withdrawn, reason=stage.reason(why), refused=refused_at)
    return Life(
        shelf=stage.home.shelf,
        consent=request.consent_id,
        granted_at=granted,
        answered_at=answer.receipt.index,
        refused_at=refused_at,
        withdrawn_at=withdrawn,
        live_consent=kept.consent_id,
    )


def _verify(stage: Stage, life: Life) -> None:
    """The exported ledger verifies offline, by the line that is told."""
    stage.tell.heading("main.verify")
    export(stage, life.shelf.export)
    words = verify_words(stage, life.shelf.export, life.shelf)
    stage.tell.line("main.verify.done", size=verified(words)["size"])
    stage.tell.command(python(*words))


def _insider(stage: Stage, life: Life) -> None:
    """The boldest of the insider's edits; the others are in the chapter of the evidence."""
    stage.tell.heading("main.insider")
    now = keep(stage.settings, life.shelf.insider / NOW)
    caught: Caught = attempt(forge.__name__, target(stage, life, now), life.shelf.insider)
    now.forget()
    stage.tell.line("main.insider.done", index=caught.index, finding=caught.finding)
