"""Bodies of the consent endpoints, parsed strictly; unknown members are refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from consent.webauthn import Assertion
from gateway.query.request import (
    AnswerKind,
    Body,
    CaseRef,
    Categories,
    CitizenNumber,
    Person,
    PurposeCode,
    Uuid,
)
from keys.errors import KeysError
from keys.instant import parse_instant

Token = Annotated[str, msgspec.Meta(min_length=1, max_length=16_384)]
Proof = Token | Assertion
"""What the citizen's key made: a compact JWS, or a passkey's assertion."""


class ConsentRequest(Body, frozen=True):
    """`POST /v1/consent-requests`: what an institution asks of a citizen."""

    request_id: Uuid
    person: Person
    purpose: PurposeCode
    categories: Categories
    answer: AnswerKind
    not_before: str
    not_after: str
    max_uses: Annotated[int, msgspec.Meta(ge=1, le=100_000)]
    retention_days: Annotated[int, msgspec.Meta(ge=1, le=36_500)]
    language: Literal["en", "zh-CN"]
    case_ref: CaseRef | None = None

    def __post_init__(self) -> None:
        if list(self.categories) != sorted(set(self.categories)):
            raise ValueError("categories must be sorted and without duplicates")
        try:
            ordered = parse_instant(self.not_before) < parse_instant(self.not_after)
        except KeysError:
            raise ValueError("not_before and not_after must look like 2026-11-21T08:00:00.000Z") from None
        if not ordered:
            raise ValueError("not_after must be later than not_before")


class Grant(Body, frozen=True):
    """`POST /v1/consents`: the signed document; with a certificate it also enrols the key."""

    document: dict[str, Any]
    proof: Proof
    certificate: dict[str, Any] | None = None


class Signed(Body, frozen=True):
    """A document with its citizen's proof, or an order of the counter with both officers' signatures.

    The order comes with the number of the person it is about and both officers' certificates, in the order of
    the officers' ids.
    """

    document: dict[str, Any]
    proof: Proof | None = None
    signatures: tuple[Token, Token] | None = None
    officers: tuple[Token, Token] | None = None
    citizen_number: CitizenNumber | None = None

    def __post_init__(self) -> None:
        counter = {part is not None for part in (self.signatures, self.officers, self.citizen_number)}
        if counter != {self.proof is None}:
            raise ValueError("give a proof, or signatures, officers and citizen_number")


class Withdraw(Signed, frozen=True):
    """`POST /v1/withdrawals`: a signed withdrawal, or the counter's order."""


class Revoke(Signed, frozen=True):
    """`POST /v1/keys/revocations`: a signed revocation of a key, or the counter's order."""


class Resume(Body, frozen=True):
    """`POST /v1/resumptions`: the signed resumption of a suspended consent."""

    document: dict[str, Any]
    proof: Proof


class Counter(Body, frozen=True):
    """`POST /v1/counter/consents`: the counter's order to list what a person has."""

    document: dict[str, Any]
    signatures: tuple[Token, Token]
    officers: tuple[Token, Token]
    citizen_number: CitizenNumber


class Challenge(Body, frozen=True):
    """`POST /v1/challenges`: the document that a passkey is about to sign."""

    document: dict[str, Any]


class Enrol(Body, frozen=True):
    """`POST /v1/enrolments`, signed with the key that is being enrolled."""

    citizen_number: CitizenNumber
    certificate: dict[str, Any]
