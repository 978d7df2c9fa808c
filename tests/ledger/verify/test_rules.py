"""No rule without a corruption that triggers it, and no corruption of a rule that does not exist."""

from __future__ import annotations

import ast
from pathlib import Path

import ledger.verify
from ledger.verify import citizens, erasures
from ledger.verify.chain import CHAIN
from ledger.verify.evidence import EVIDENCE
from ledger.verify.replay import REPLAY
from ledger.verify.rules import Rule
from tests.ledger.verify.corruptions_answers import ANSWERS
from tests.ledger.verify.corruptions_citizens import ACTS, CITIZENS
from tests.ledger.verify.corruptions_corrections import CORRECTIONS, CORRECTIONS_OPENED
from tests.ledger.verify.corruptions_enforcement import ENFORCEMENT
from tests.ledger.verify.corruptions_epochs import EPOCHS
from tests.ledger.verify.corruptions_erasures import ERASURES, ERASURES_OPENED
from tests.ledger.verify.corruptions_evidence import OPENED, PINNED
from tests.ledger.verify.corruptions_files import DAMAGES
from tests.ledger.verify.corruptions_house import HOUSE
from tests.ledger.verify.corruptions_recovery import RECOVERY, SUCCESSION
from tests.ledger.verify.corruptions_requests import REQUESTS
from tests.ledger.verify.corruptions_rotate import ROTATIONS, ROTATIONS_OPENED
from tests.ledger.verify.corruptions_statutes import STATUTES


def named_in_findings() -> set[str]:
    """Rules that the source names where it raises a Finding itself."""
    found = set()
    for path in Path(ledger.verify.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Finding":
                rule = node.args[1]
                if isinstance(rule, ast.Constant):
                    found.add(str(rule.value))
    return found


def in_tables() -> set[Rule]:
    rules = {*CHAIN, *erasures.OF_EVERY_LEAF, *citizens.OF_EVERY_LEAF}
    for row in REPLAY.values():
        rules |= {*row.rules, *row.statutory}
    for proven in EVIDENCE.values():
        rules |= set(proven.rules)
    return rules


def test_each_rule_has_a_corruption_that_triggers_it() -> None:
    spoiled = (*HOUSE, *EPOCHS, *ENFORCEMENT, *ANSWERS, *STATUTES, *PINNED, *OPENED, *REQUESTS)
    spoiled += (*ROTATIONS, *ROTATIONS_OPENED)
    spoiled += (*CORRECTIONS, *CORRECTIONS_OPENED)
    spoiled += (*ERASURES, *ERASURES_OPENED)
    spoiled += (*CITIZENS, *ACTS)
    spoiled += (*RECOVERY, *SUCCESSION)
    triggered = {corruption.rule for corruption in spoiled}
    triggered |= {damage.rule for damage in DAMAGES}
    # What an auditor holds against a log: see test_story, test_kept, test_recovery.
    triggered |= {"regulator-published", "kept", "recovery-unknown"}
    assert triggered == {rule.name for rule in in_tables()} | named_in_findings()


def test_a_rules_name_means_one_check() -> None:
    assert len({rule.name for rule in in_tables()}) == len(in_tables())
