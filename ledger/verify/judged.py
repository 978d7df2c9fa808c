"""What recurs in common leaves, and the rules of them that rest on it alone.

Invariant: a rule is here only if what it looks at is in the frame (policy, sealing key, day), the actor or
the scope (what is asked for) of a leaf. Each is judged by a leaf with nothing else in it, by the rules as
they are, and what was found holds until the next leaf about nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from keys.errors import KeysError
from ledger.bodies import (
    Body,
    ConsentAsked,
    ConsentGranted,
    ConsentWithdrawn,
    QueryDisclosed,
    QueryPredicate,
    QueryRedelivered,
    QueryRefused,
    QueryUndelivered,
    RecordIngested,
    SubjectEnrolled,
    SubjectRead,
)
from ledger.entries import By, Leaf, Sealed
from ledger.members import ZERO_HASH
from ledger.verify import citizens, corrections, erasures, replay
from ledger.verify.chain import CHAIN
from ledger.verify.granted import Granted
from ledger.verify.queries import answer_of
from ledger.verify.rules import Rules
from ledger.verify.spellings import FORMS, categories
from ledger.verify.state import World

_SEEN: Final = frozenset({"log-origin", "index", "prev", "opened-first"})
"""Rules of the chain that a plain leaf held already when it was read (`shorts`)."""
_FRAME: Final = frozenset({"closed-last", "policy-in-force", "sealing-announced", "sealing-current"})
_ACTOR: Final = frozenset({"actor-known", "actor-standing", "actor-queries"})
_ANY: Final = frozenset(
    {"time", "subject-number", "subject-prev", "covert-tag", "unsealed-in-time", "erased-silent",
     "erased-restated", "correction-restated", "suspended-next"}
)  # fmt: skip
"""What every lane looks at in each leaf."""
_ANSWER: Final = frozenset(
    {"grant-exists", "grant-subject", "grant-live", "grant-stands", "grant-begun", "grant-not-over",
     "grant-recipient", "grant-purpose", "grant-categories", "grant-answer", "use-number", "use-limit",
     "query-once", "quota-kept"}
)  # fmt: skip
REST: Final = (
    _ANSWER,
    _ANSWER,
    frozenset({"quota-kept"}),
    frozenset({"request-recipient", "request-once", "quota-kept"}),
    frozenset({"request-open", "request-same"}),
    frozenset({"subject-enrolled", "key-commitment", "key-live", "key-waited", "consent-once", "validity",
               "recipient-known"}),
    frozenset({"grant-exists", "grant-subject", "grant-live", "acting-key"}),
    frozenset({"registrar-acts", "commitment-once", "certificate-once"}),
    frozenset({"source-acts"}),
    frozenset({"subject-enrolled", "acting-key"}),
    frozenset({"answer-exists", "answer-subject", "redelivered-original", "redelivered-to",
               "redelivered-in-time", "redelivered-live", "redelivered-asker", "redelivered-scope",
               "quota-kept"}),
    frozenset({"answer-exists", "answer-subject", "undelivered-once"}),
)  # fmt: skip
"""For each form, the rules of its row that its lane stands for; all others are run, as rules."""
_EVERY: Final = (*CHAIN, *erasures.OF_EVERY_LEAF, *corrections.OF_EVERY_LEAF, *citizens.OF_EVERY_LEAF)


def rules_of(form: int) -> tuple[Rules, Rules, Rules]:
    """The rules of the frame, the actor and the scope of a form: all that neither `shorts` nor its
    lane holds.
    """
    row = (*_EVERY, *replay.REPLAY[FORMS[form].type].rules)
    rest = tuple(rule for rule in row if rule.name not in _SEEN | _ANY | REST[form])
    return (
        tuple(rule for rule in rest if rule.name in _FRAME),
        tuple(rule for rule in rest if rule.name in _ACTOR),
        tuple(rule for rule in rest if rule.name not in _FRAME | _ACTOR),
    )


_RULES: Final = tuple(rules_of(form) for form in range(len(FORMS)))


class Judged:
    """Something that recurs, and the state of the house in which its rules held last."""

    __slots__ = ("held", "rules", "sample")

    def __init__(self, sample: Leaf, rules: Rules) -> None:
        self.sample, self.rules, self.held = sample, rules, 0


class Frame(Judged):
    """A policy, a sealing key and a day."""

    __slots__ = ()

    def __init__(self, policy: bytes, key: bytes | None, day: bytes) -> None:
        sealed = Sealed(key.decode(), ZERO_HASH) if key else None
        at = f"{day.decode()}T00:00:00.000Z"
        super().__init__(
            bare_leaf("query.disclosed", _UNDER, policy.decode(), at, None, sealed), _RULES[0][0]
        )


class Actor(Judged):
    """Whoever acts in leaves of a form; `queries` begins the keys of the institution's queries."""

    __slots__ = ("code", "institution", "names", "operator", "queries", "registrar")

    def __init__(self, form: int, by: bytes | None) -> None:
        acting = msgspec.json.decode(by, type=By) if by else None
        super().__init__(bare_leaf(FORMS[form].type, _UNDER, by=acting), _RULES[form][1])
        self.institution = (acting and acting.institution) or ""
        self.code = self.institution.encode()
        self.operator = (acting and acting.operator) or ""
        self.registrar = (acting and acting.registrar) or ""
        self.queries = b""
        self.names: dict[str | None, list[tuple[str, str, int]]] = {}


class Scope(Judged):
    """What leaves of a form ask for, the numbers of the consents' terms that cover it, and those of the terms
    that it is, by their recipients.
    """

    __slots__ = ("body", "fits", "number", "purpose", "terms")

    def __init__(self, form: int, *raw: bytes) -> None:
        asked = [value.decode() for value in raw]
        self.body = _BODIES[form](asked)
        sealed = Sealed("", ZERO_HASH) if FORMS[form].sealed else None
        super().__init__(bare_leaf(FORMS[form].type, self.body, sealed=sealed), _RULES[form][2])
        self.purpose: str | None = getattr(self.body, "purpose", None)
        self.fits: set[int] = set()
        self.number = -1
        self.terms: dict[bytes, int] = {}

    def fit(self, number: int, terms: Granted) -> bool:
        """Whether a consent's terms, but for their recipient, cover what is asked; remembered if so."""
        if number in self.fits:
            return True
        body = self.body
        assert isinstance(body, QueryDisclosed | QueryPredicate)
        if (body.purpose, answer_of(body)) != (terms.purpose, terms.answer):
            return False
        if not terms.categories.issuperset(body.categories):
            return False
        self.fits.add(number)
        return True


class Judge:
    """Judges what recurs, once for each state of the house; `house` is the number of that state."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.house = 1

    def holds(self, judged: Judged, at: bytes) -> bool:
        """Whether all rules hold of what recurs; then they need not be asked again until the house
        changes.
        """
        if judged.held == self.house:
            return True
        leaf, world = judged.sample, self._world
        if not isinstance(judged, Frame):
            leaf = msgspec.structs.replace(leaf, at=at.decode())
        try:
            wrong = any(rule.check(leaf, leaf.body, world) is not None for rule in judged.rules)
        except KeysError:
            return False
        if wrong:
            return False
        if isinstance(judged, Actor):
            party = world.institutions.get(judged.institution)
            judged.names.clear()
            judged.queries = b"" if party is None else party.index.to_bytes(8, "big")
        judged.held = self.house
        return True


def bare_leaf(
    type_: str,
    body: Body,
    policy: str = ZERO_HASH,
    at: str = "",
    by: By | None = None,
    sealed: Sealed | None = None,
) -> Leaf:
    """A leaf with nothing in it but what some rules look at."""
    return Leaf(
        log="",
        index=0,
        prev=ZERO_HASH,
        at=at,
        salt="",
        type=type_,
        body=body,
        policy=policy,
        by=by,
        sealed=sealed,
    )


def _asking(asked: list[str]) -> ConsentAsked:
    purpose, listed = asked
    return ConsentAsked(request="", recipient="", purpose=purpose, categories=_listed(listed))


def _granting(asked: list[str]) -> ConsentGranted:
    purpose, listed, answer, most, days = asked
    return ConsentGranted(
        consent_hash=ZERO_HASH,
        recipient="",
        purpose=purpose,
        categories=_listed(listed),
        answer=answer,
        not_before=_TIME,
        not_after=_TIME,
        max_uses=int(most),
        retention_days=int(days),
        commitment=ZERO_HASH,
        proof_sha256=ZERO_HASH,
        kind="jws",
    )


def _listed(listed: str) -> tuple[str, ...]:
    return categories(listed.encode()) or ()


def _answering(asked: list[str]) -> dict[str, Any]:
    """Members of an answer: one use of a consent for a purpose and categories."""
    members = {"purpose": asked[0], "categories": _listed(asked[1]), "grant": 0, "use": 1}
    return members | {"query": "", "commitment": "", "request": ""}


_BODIES: Final[tuple[Callable[[list[str]], Body], ...]] = (
    lambda asked: QueryDisclosed(**_answering(asked)),
    lambda asked: QueryPredicate(**_answering(asked), predicate=asked[2]),
    lambda asked: QueryRefused(query="", reason="", purpose=asked[0]),
    _asking,
    _asking,
    _granting,
    lambda _: ConsentWithdrawn(grant=0, by="citizen"),
    lambda asked: SubjectEnrolled(
        commitment=ZERO_HASH, registrar=asked[0], assurance="eid", certificate_sha256=ZERO_HASH
    ),
    lambda asked: RecordIngested(batch="", source=asked[0], count=1, root=ZERO_HASH),
    lambda _: SubjectRead(what="accesses"),
    lambda _: QueryRedelivered(of=0),
    lambda _: QueryUndelivered(of=0),
)
_TIME: Final = "1970-01-01T00:00:00.000Z"
"""In the place of a time that no rule looks at."""
_UNDER: Final = _BODIES[0](["", "", ""])
