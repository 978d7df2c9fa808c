"""The body of a query, parsed strictly; and the ask it becomes once it is known who asks and about what.

Invariant: a consent or a statute is always named, never searched for, and nothing that the bank chooses
freely can reach a leaf in clear: ids are UUIDs, purposes two digits, categories the catalogue's own words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from consent.document import Consent
from gateway.keyring import DataKey
from gateway.records.store import Revisions
from gateway.transaction import Nonce
from keys.values import Value
from ledger.drafts import Closed

# `\Z`, not `$`: the latter lets a final newline through, which no leaf can hold.
Uuid = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
PurposeCode = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{2}\Z")]
CategoryCode = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_]{0,31}\Z")]
Categories = Annotated[
    tuple[CategoryCode, ...],
    msgspec.Meta(
        min_length=1,
        max_length=32,
        description="ascending, each once",
        extra_json_schema={"uniqueItems": True},
    ),
]
AnswerKind = Annotated[str, msgspec.Meta(pattern=r"\A(report|predicate:[a-z][a-z0-9-]{0,47})\Z")]
CitizenNumber = Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
PersonName = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
StatuteCode = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9-]{0,47}\Z")]
DocumentNumber = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
CaseRef = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class Body(Value, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The body of a request. Its repr is its type alone: bodies name persons, and reprs end up in logs."""


class Person(Body, frozen=True):
    """Whom the asker means: a citizen number (公民身份号码) and, if it likes, the name."""

    citizen_number: CitizenNumber
    name: PersonName | None = None


class Statute(Body, frozen=True):
    """The statute (法定查询) a query names: its code in the policy, and the number of the ordering document.

    `defer` asks that the person sees the query later only, where the statute allows that.
    """

    code: StatuteCode
    document: DocumentNumber
    defer: bool = False


class Query(Body, frozen=True):
    """`POST /v1/queries`. A statute needs `person_check`: nothing else says whom the query is about."""

    query_id: Uuid
    purpose: PurposeCode
    categories: Categories
    answer: AnswerKind
    consent_id: Uuid | None = None
    statute: Statute | None = None
    person_check: Person | None = None
    case_ref: CaseRef | None = None

    def __post_init__(self) -> None:
        if (self.consent_id is None) == (self.statute is None):
            raise ValueError("name exactly one of consent_id and statute")
        if self.statute is not None and self.person_check is None:
            raise ValueError("a query under a statute names its person")
        if list(self.categories) != sorted(set(self.categories)):
            raise ValueError("categories must be sorted and without duplicates")


class Approval(Body, frozen=True):
    """`POST /v1/queries/{id}/approval`: another person's word on a statutory query, by the request's hash."""

    query_id: Uuid
    request_sha256: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    decision: Literal["approve", "deny"]


class Signer(Value, frozen=True):
    """The operator (查询用户) whose key signed a request, the institution it acts for, and its nonce."""

    operator: str
    institution: str
    nonce: Nonce

    @property
    def known_by(self) -> tuple[str, str, str]:
        """Operator, institution and key, all three as the request was authenticated with them."""
        return self.operator, self.institution, self.nonce.key

    @property
    def by(self) -> dict[str, str]:
        """The `by` member of the leaves this signer causes."""
        return {"institution": self.institution, "operator": self.operator}


class Asked(Value, frozen=True):
    """A query as it was read, who asks, and the id of the request that brought it."""

    query: Query
    body: Mapping[str, Any]
    signer: Signer
    request: str | None


Link: TypeAlias = tuple[int, int, bytes]
"""A stored link key: its version, its epoch, its wrapped bytes."""


class Request(Value, frozen=True):
    """A request as leaves have it: SHA-256(salt || JCS(body)), hex, and what opens it, to be sealed."""

    hash: str
    sealed: Mapping[str, Any]


class Committed(Value, frozen=True):
    """What the leaf of an answer commits to, made before the lock: the `hashes` of the revisions, ascending.

    `commitment` is SHA-256(salt || hashes), hex. `details` are the request and the revisions for the
    regulator, sealed where there is a key to seal them with: they serve for one leaf.
    """

    salt: bytes
    hashes: tuple[bytes, ...]
    commitment: str
    details: Mapping[str, Any] | Closed


@dataclass(frozen=True, slots=True)
class Found:
    """What the look-up before the lock brought: the verified consent of the asker, or the decoy's.

    `consent` is None where there is none for this asker; `tag` is the person's even then, if there is a
    person, so that the citizen sees the attempt. `stored` is the SHA-256 of the ciphertext that was verified,
    compared under the lock. `link` is the person's link key as it is stored, the decoy's too: version, epoch,
    wrapped bytes; None where that is broken. `key` names the row of the key that signed it (`about`): a
    person may have several.
    """

    tag: bytes
    subject: bytes
    consent_id: str
    consent: Consent | None
    stored: bytes
    effective: int
    person_matches: bool | None
    broken: bool
    link: Link | None = field(repr=False)
    key: str = ""
    rekeyed: int = 0


class Ask(Value, frozen=True):
    """One query on its way through the turnstile, with all that can be made ready before the lock.

    The same request sent again has the same `body_mac`. `committed` is what an answer with all that is asked
    for commits to. `link` is the key of `found.link`, opened; None where there is nothing of the asker's to
    open, or it does not open. `revisions` are all that is held of the person, or the decoy: whether they are
    what the ledger speaks of is judged under the lock.
    """

    query: Query
    signer: Signer
    found: Found
    body_mac: bytes
    request: Request
    committed: Committed
    link: DataKey | None
    revisions: Revisions
