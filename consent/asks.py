"""What is asked, what is held, and what may be ruled: the plain values of the decision.

Invariant: values only. Whatever needed a key, a clock or a database was found out before, and arrives as a
member here; the vocabulary of reasons is closed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from consent.document import Consent


class Reason(StrEnum):
    """Why an ask is refused. Never renamed or reused: a reason stands in leaves and receipts."""

    INSTITUTION_SUSPENDED = "institution-suspended"
    OPERATOR_SUSPENDED = "operator-suspended"
    ROLE_NOT_PERMITTED = "role-not-permitted"
    QUERY_ID_REUSED = "query-id-reused"
    PURPOSE_UNKNOWN = "purpose-unknown"
    PURPOSE_OFF = "purpose-off"
    STATUTE_NOT_HELD = "statute-not-held"
    NO_CONSENT = "no-consent"
    EVIDENCE_BROKEN = "evidence-broken"
    PERSON_MISMATCH = "person-mismatch"
    KEY_NOT_LIVE = "key-not-live"
    WITHDRAWN = "withdrawn"
    CONSENT_SUSPENDED = "consent-suspended"
    NOT_YET_VALID = "not-yet-valid"
    EXPIRED = "expired"
    EXHAUSTED = "exhausted"
    PURPOSE_MISMATCH = "purpose-mismatch"
    CATEGORY_UNKNOWN = "category-unknown"
    CATEGORY_NOT_CONSENTED = "category-not-consented"
    CATEGORY_NOT_PERMITTED = "category-not-permitted"
    CATEGORY_MISSING = "category-missing"
    ANSWER_MISMATCH = "answer-mismatch"
    ANSWER_NOT_OFFERED = "answer-not-offered"
    VALIDITY_TOO_LONG = "validity-too-long"
    USES_TOO_MANY = "uses-too-many"
    RETENTION_TOO_LONG = "retention-too-long"
    PREDICATE_SUFFICES = "predicate-suffices"
    APPROVAL_DENIED = "approval-denied"
    APPROVAL_LAPSED = "approval-lapsed"
    ANSWER_GONE = "answer-gone"


@dataclass(frozen=True, slots=True)
class Permit:
    """Answer exactly these categories (ascending); it is use number `use` of the consent, 0 for a request."""

    categories: tuple[str, ...]
    use: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer nothing, for this reason."""

    reason: Reason


Ruling = Permit | Refuse


@dataclass(frozen=True, slots=True)
class Standing:
    """An institution's or operator's standing.

    `state` is "active" or "suspended" (anything else counts as suspended), `until` the instant (ms,
    exclusive) at which a suspension lapses, `roles` what it was registered for, `sector` an institution's
    and `kid` an operator's key (RFC 7638 thumbprint), each "" for the other.
    """

    state: str
    until: int | None
    roles: frozenset[str]
    sector: str = ""
    kid: str = ""

    def active(self, at: int) -> bool:
        """In good standing at `at`; a suspension lapses at its `until` without any act."""
        if self.state == "suspended":
            return self.until is not None and at >= self.until
        return self.state == "active"


@dataclass(frozen=True, slots=True)
class StatutoryAsk:
    """What a query under a statute adds: its code, the number of the document that orders it, and whether the
    person's list is to leave it out for a while.
    """

    code: str
    document: str = field(repr=False)
    deferred: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """A query as asked.

    `statute` is None for one under a consent; `person_matches` is None when the asker named no person to
    check; `reused` says that this `query_id` was used before.
    """

    institution: str
    operator: str
    purpose: str
    categories: tuple[str, ...]
    answer: str
    statute: StatutoryAsk | None = None
    person_matches: bool | None = None
    reused: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """A consent as held.

    The signed document, the stored state ("granted", "withdrawn" or "suspended"), uses so far, whether its
    key is live, from when (ms) its enrolment is effective, and whether all of that is `sound` (row HMAC,
    document hash, proof and certificate agree).
    """

    document: Consent
    state: str
    uses: int
    key_live: bool
    effective: int
    sound: bool = True


@dataclass(frozen=True, slots=True)
class Approval:
    """A decision on a pending statutory query: the ask as it was made, and the two who stand behind it.

    Operators by id, their keys by `kid` (thumbprint of the key that signed); `lapses_at` in ms, exclusive.
    """

    ask: Ask
    requester_kid: str
    approver: str
    approver_kid: str
    lapses_at: int


@dataclass(frozen=True, slots=True)
class ConsentAsk:
    """A request for consent as asked; times in ms, `not_after` exclusive."""

    institution: str
    operator: str
    purpose: str
    categories: tuple[str, ...]
    answer: str
    not_before: int
    not_after: int
    max_uses: int
    retention_days: int
    reused: bool = False
