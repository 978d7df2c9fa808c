"""Orders of a registrar's counter (柜台): what two officers sign for a citizen who came without key or phone.

Invariant: an order was signed by two distinct officers with two distinct keys, each certified by the
registrar's own key for the time of the order, for this gateway, about the person before them. It names that
person by a salted hash, as an enrolment does, and is good for a day. A gateway can carry such an order out,
never make one.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from msgspec import Meta

from consent import wire
from consent.enrolment import SALT_BYTES, Signable, person_hash, verify_officers
from consent.errors import BadCertificate, MalformedDocument
from keys.canonical import b64u, unb64u
from keys.instant import DAY
from keys.jws import sign_jws
from keys.signing import PrivateKey, PublicKey

ORDER_TYP: Final = "counter+jwt"
ORDER_MS: Final = DAY
"""For how long after its `at` an order is carried out, ms."""

Token = Annotated[str, Meta(max_length=8_192)]


class CounterDocument(wire.Document, frozen=True, kw_only=True):
    """What every order says: for which gateway, about whom, by whom, when (`at`, ms).

    `person` is hex SHA-256(salt || citizen number), `salt` 16 fresh bytes in base64url.
    """

    TIMES: ClassVar[tuple[str, ...]] = ("at",)

    gateway: wire.Origin
    person: wire.Hex32
    salt: str
    registrar: wire.PartyId
    officers: tuple[wire.PartyId, wire.PartyId]
    at: wire.Instant

    def __post_init__(self) -> None:
        wire.check_base64url(self.salt, SALT_BYTES)
        wire.check_sorted(self.officers)

    def is_of(self, citizen_number: str) -> bool:
        """Whether it is about the person of this number. Raises keys.errors.BadIdentifier."""
        return person_hash(unb64u(self.salt, SALT_BYTES), citizen_number) == self.person


class CounterWithdrawal(
    CounterDocument, frozen=True, kw_only=True, tag_field="type", tag="chengxin/counter-withdrawal/v1"
):
    """Withdraw one consent of this person."""

    consent_id: wire.Uuid


class CounterRevocation(
    CounterDocument, frozen=True, kw_only=True, tag_field="type", tag="chengxin/counter-revocation/v1"
):
    """Revoke one key of this person by its thumbprint, or without it every key enrolled before `at`."""

    cause: Literal["compromised", "lost"]
    key: str | None = None

    def __post_init__(self) -> None:
        CounterDocument.__post_init__(self)
        if self.key is not None:
            wire.check_base64url(self.key, 32)


class CounterListing(
    CounterDocument, frozen=True, kw_only=True, tag_field="type", tag="chengxin/counter-list/v1"
):
    """Tell which keys and consents this person has, so that they can say what is to end."""


Order: TypeAlias = CounterWithdrawal | CounterRevocation | CounterListing
KINDS: Final[dict[str, type[Order]]] = {
    "chengxin/counter-withdrawal/v1": CounterWithdrawal,
    "chengxin/counter-revocation/v1": CounterRevocation,
    "chengxin/counter-list/v1": CounterListing,
}
"""Type of document -> its shape. Closed."""


class SignedOrder(wire.Document, frozen=True, kw_only=True):
    """An order with both officers' signatures and certificates, each in the order of its `officers`."""

    document: dict[str, Any]
    signatures: tuple[Token, Token]
    officers: tuple[Token, Token]

    def __post_init__(self) -> None:
        try:
            read_order(self.document)
        except MalformedDocument as refused:
            raise ValueError(str(refused)) from None

    @property
    def order(self) -> Order:
        """The document as a value."""
        return read_order(self.document)


def read_order(members: dict[str, Any]) -> Order:
    """The order of a JSON object. Raises MalformedDocument."""
    kind = KINDS.get(str(members.get("type")))
    if kind is None:
        raise MalformedDocument("no order of a counter")
    return wire.from_members(members, kind)


def make_order(
    kind: type[Order],
    *,
    gateway: str,
    citizen_number: str,
    registrar: str,
    officers: tuple[str, str],
    at: int,
    salt: bytes,
    **members: Any,
) -> Order:
    """The document that two officers will sign; `officers` in any order.

    Raises keys.errors.BadIdentifier for an impossible number, MalformedDocument for anything else.
    """
    first, second = sorted(officers)
    try:
        order = kind(
            gateway=gateway,
            person=person_hash(salt, citizen_number),
            salt=b64u(salt),
            registrar=registrar,
            officers=(first, second),
            at=at,
            **{name: value for name, value in members.items() if value is not None},
        )
    except (TypeError, ValueError) as refused:
        raise MalformedDocument(str(refused)) from None
    wire.to_members(order)
    return order


def format_order(order: Order) -> bytes:
    """JCS bytes: the payload that both officers sign. Raises MalformedDocument."""
    return wire.format_struct(order)


def sign_order(order: Order, officer: PrivateKey) -> str:
    """One officer's signature over the order. Raises MalformedDocument."""
    return sign_jws(format_order(order), officer, ORDER_TYP)


def join_order(order: Order, signatures: tuple[str, str], officers: tuple[str, str]) -> SignedOrder:
    """Join what was signed; signatures and officer certificates stand in the order of `order.officers`."""
    return SignedOrder(document=wire.to_members(order), signatures=signatures, officers=officers)


def parse_signed_order(data: bytes) -> SignedOrder:
    """Raises MalformedDocument for what `format_signed_order` would not emit. Nothing is verified."""
    return wire.parse_struct(data, SignedOrder)


def format_signed_order(signed: SignedOrder) -> bytes:
    """JCS bytes of the object of three members. Raises MalformedDocument."""
    return wire.format_struct(signed)


def verify_order(signed: SignedOrder, registrar: PublicKey, gateway: str, at: int) -> Order:
    """What two officers ordered under the registrar's published key, at `gateway`, at `at` (ms).

    The caller found `registrar` by the id that the order names. Raises BadCertificate.
    """
    order = signed.order
    if order.gateway != gateway:
        raise BadCertificate("made for another gateway")
    if not order.at <= at < order.at + ORDER_MS:
        raise BadCertificate("made more than a day ago, or later than it was used")
    verify_officers(
        Signable(order.registrar, order.officers, order.at, ORDER_TYP, format_order(order)),
        signed.signatures,
        signed.officers,
        registrar,
    )
    return order
