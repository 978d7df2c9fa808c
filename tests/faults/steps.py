"""The table: every durable step of the gateway, and what may go wrong at it.

A step is named by what it does to the world, not by a function: a statement that reaches the database, the
commit that makes it durable, a file that takes its name. So the table holds however the code is arranged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

STATEMENT, COMMIT, FILE = "statement", "commit", "file"
SQLITE, POSTGRESQL = "sqlite", "postgresql"
EVERYWHERE = frozenset({SQLITE, POSTGRESQL})


@dataclass(frozen=True, slots=True)
class Step:
    """One durable step of an act.

    `kind` and `pattern` (a regular expression) say where: a statement, the commit of a transaction in which
    such a statement ran, or a file by its path; `nth` which of several. `{copy}` and `{served}` are the
    checkpoint's copy outside the database and the file that the world reads.
    """

    name: str
    act: str
    kind: str
    pattern: str
    nth: int = 1


STEPS = (
    Step("nonce", "query", STATEMENT, r"INSERT INTO request_nonces"),
    Step("append", "query", STATEMENT, r"INSERT INTO ledger_leaves"),
    Step("head", "query", STATEMENT, r"UPDATE ledger_head"),
    Step("decision", "query", STATEMENT, r"UPDATE grants"),
    Step("answer-committed", "query", COMMIT, r"INSERT INTO ledger_leaves"),
    Step("leaf-bundle", "publish", FILE, r"/tile/entries/"),
    Step("tile", "publish", FILE, r"/tile/0/"),
    Step("checkpoint-swap", "publish", STATEMENT, r"UPDATE ledger_published"),
    Step("swap-committed", "publish", COMMIT, r"UPDATE ledger_published"),
    Step("copy-outside", "publish", FILE, r"^{copy}$"),
    Step("checkpoint-file", "publish", FILE, r"^{served}$"),
    Step("epoch-key", "rotation", FILE, r"/custody/"),
    Step("epoch-opened", "rotation", COMMIT, r"INSERT INTO data_keys"),
    Step("keys-rewrapped", "rotation", STATEMENT, r"UPDATE data_keys"),
    Step("chunk-rewrapped", "rotation", COMMIT, r"UPDATE data_keys", nth=2),
    Step("epoch-rewrapped", "rotation", COMMIT, r"DELETE FROM data_keys"),
    Step("keys-shredded", "shredding", STATEMENT, r"DELETE FROM data_keys"),
    Step("shredding-committed", "shredding", COMMIT, r"DELETE FROM data_keys"),
    Step("details-emptied", "shredding", COMMIT, r"UPDATE ledger_sealed"),
    Step("forgotten", "shredding", COMMIT, r"UPDATE erasures"),
    Step("import-written", "import", STATEMENT, r"INSERT INTO records", nth=2),
    Step("import-chunk", "import", COMMIT, r"INSERT INTO records", nth=2),
    Step("webhook-claimed", "webhook", COMMIT, r"UPDATE webhooks"),
    Step("webhook-sent", "webhook", STATEMENT, r"UPDATE webhooks", nth=2),
    Step("webhook-settled", "webhook", COMMIT, r"UPDATE webhooks", nth=2),
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong, `after` the step took effect or before; `dies` if the process does.

    `at` and `on` are the kinds of step and the engines for which it makes sense.
    """

    name: str
    after: bool
    dies: bool = False
    at: frozenset[str] = frozenset({STATEMENT, COMMIT})
    on: frozenset[str] = EVERYWHERE


_ANY = frozenset({STATEMENT, COMMIT, FILE})
_SERVER = frozenset({POSTGRESQL})

FAULTS = (
    Fault("killed-before", after=False, dies=True, at=_ANY),
    Fault("killed-after", after=True, dies=True, at=_ANY),
    Fault("postgres-killed-before", after=False, on=_SERVER),
    Fault("postgres-killed-after", after=True, on=_SERVER),
    Fault("cut-before", after=False, on=_SERVER),
    Fault("cut-after", after=True, on=_SERVER),
    Fault("done-but-error", after=True, at=frozenset({COMMIT, FILE})),
    Fault("error-and-not-done", after=False, at=_ANY),
    Fault("disk-full", after=False, at=_ANY),
)


@dataclass(frozen=True, slots=True)
class Case:
    """One cell of the table."""

    engine: str
    step: Step
    fault: Fault

    @property
    def written(self) -> bool:
        """Whether what the step makes durable stands when the fault strikes."""
        return self.step.kind != STATEMENT and self.fault.after

    def __str__(self) -> str:
        return f"{self.step.act}-{self.step.name}-{self.fault.name}"


def cases() -> Iterator[Case]:
    """The whole table."""
    for engine in (SQLITE, POSTGRESQL):
        for step in STEPS:
            for fault in FAULTS:
                if step.kind in fault.at and engine in fault.on:
                    yield Case(engine, step, fault)


USUAL_KILLS = ("append", "answer-committed", "tile", "swap-committed", "copy-outside", "checkpoint-file",
               "chunk-rewrapped", "shredding-committed", "import-chunk", "webhook-sent")  # fmt: skip


def usual(case: Case, *, in_turns: bool) -> bool:
    """What every run takes of the table: each act killed, and each other fault at what matters most.

    One engine is killed before a step, the other after: each step's both sides are met. Where they go
    `in_turns`, a step is killed on one engine, and the next on the other.
    """
    name, on_server = case.step.name, case.engine == POSTGRESQL
    if not case.fault.dies:
        return name == "answer-committed"
    if name not in USUAL_KILLS or (in_turns and USUAL_KILLS.index(name) % 2 != on_server):
        return False
    return case.fault.after == on_server
