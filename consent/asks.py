"""What is asked, what is held, and what may be ruled: the plain values of the decision.

Invariant: values only. Whatever needed a key, a clock or a database was found out before, and arrives as a
member here; the vocabulary of reasons is closed. Structs, because a query makes several: each costs a tenth
of a frozen dataclass.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

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


class Permit(msgspec.Struct, frozen=True):
    """Answer exactly these categories (ascending); it is use number `use` of the consent, 0 for a request."""

    categories: tuple[str, ...]
    use: int


class Refuse(msgspec.Struct, frozen=True):
    """Answer nothing, for this reason."""

    reason: Reason


Ruling = Permit | Refuse


class Standing(msgspec.Struct, frozen=True):
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


class StatutoryAsk(msgspec.Struct, frozen=True):
    """What a query under a statute adds: its code, the number of the document that orders it, and whether the
    person's list is to leave it out for a while. The number is not in its repr.
    """

    code: str
    document: str
    deferred: bool = False

    def __repr__(self) -> str:
        return f"StatutoryAsk({self.code!r})"

    def __rich_repr__(self) -> list[tuple[str, str]]:
        """The same for rich, which msgspec would otherwise tell every member."""
        return [("code", self.code)]


class Ask(msgspec.Struct, frozen=True):
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


class Grant(msgspec.Struct, frozen=True):
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


class Approval(msgspec.Struct, frozen=True):
    """A decision on a pending statutory query: the ask as it was made, and the two who stand behind it.

    Operators by id, their keys by `kid` (thumbprint of the key that signed); `lapses_at` in ms, exclusive.
    """

    ask: Ask
    requester_kid: str
    approver: str
    approver_kid: str
    lapses_at: int


class ConsentAsk(msgspec.Struct, frozen=True):
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
