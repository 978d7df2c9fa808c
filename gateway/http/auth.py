"""Who signs a request: an institution's operator, or a citizen with their own key (RFC 9421, one profile).

Invariant: nothing about the request is believed before its one signature verified under a registered key.
What fails here is 401 or 400, counted, and leaves no leaf. That a nonce serves once is decided under the
head's lock, by whoever records the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

import sqlalchemy as sa

from gateway import metrics
from gateway.errors import GatewayError, Rejected
from gateway.http.profile import Headers
from gateway.http.signature import (
    SKEW_MS,
    TAG_CITIZEN,
    TAG_INSTITUTION,
    SignatureInput,
    SignatureRefused,
    Why,
    parse_signature,
    target_uri,
    verify_request,
)
from gateway.people.citizens import Citizen, acts, find_by_kid
from gateway.query.request import Signer
from gateway.tables import operators
from gateway.transaction import Nonce
from keys.canonical import parse_canonical
from keys.errors import KeysError
from keys.signing import PublicKey, parse_public_jwk

if TYPE_CHECKING:
    from gateway.house import House


# Built once: building a statement costs more than running it.
_OPERATOR = sa.select(operators.c.operator, operators.c.institution, operators.c.jwk).where(
    operators.c.kid == sa.bindparam("keyid")
)


class Request(Protocol):
    """What is read of a request; Flask's is one. `environ` holds the target as it was sent (`RAW_URI`)."""

    @property
    def method(self) -> str: ...

    @property
    def headers(self) -> Headers: ...

    @property
    def environ(self) -> Mapping[str, Any]: ...

    def get_data(self, cache: bool = ...) -> bytes: ...


class UnknownKey(GatewayError):
    """The key that a request names is registered for nobody here."""


def authenticate_operator(house: House, request: Request) -> Signer:
    """The operator whose key signed this request. `SignatureRefused` or `UnknownKey`."""
    parsed = parse_signature(request.method, request.headers)
    with house.read() as conn:
        row = conn.execute(_OPERATOR, {"keyid": parsed.keyid}).one_or_none()
    if row is None:
        raise UnknownKey
    _verify(house, request, parsed, _public_key(row.jwk), TAG_INSTITUTION)
    house.operators[parsed.keyid] = (row.operator, row.institution, row.jwk)
    return Signer(row.operator, row.institution, _nonce(parsed))


def recognise_operator(house: House, request: Request, parsed: SignatureInput) -> Signer | None:
    """The operator whose key signed this request, if that key signed one before; None for any other.

    Whose key it is was read then, and is read again under the lock: only for what is decided there.
    """
    known = house.operators.get(parsed.keyid)
    if known is None:
        return None
    operator, institution, jwk = known
    _verify(house, request, parsed, _public_key(jwk), TAG_INSTITUTION)
    return Signer(operator, institution, _nonce(parsed))


def authenticate_citizen(house: House, request: Request) -> tuple[Citizen, Nonce]:
    """The citizen whose enrolled key signed this request. `SignatureRefused` or `UnknownKey`.

    `Rejected` (`key-not-live`) when the signature holds and the key does not act: revoked, or still waiting.
    """
    parsed = parse_signature(request.method, request.headers)
    try:
        with house.read() as conn:
            citizen = find_by_kid(house, conn, parsed.keyid)
    except KeysError:
        raise SignatureRefused(Why.KEYID) from None
    if citizen is None:
        raise UnknownKey
    _verify(house, request, parsed, citizen.key, TAG_CITIZEN)
    if not acts(citizen.row, house.clock()):
        raise Rejected("key-not-live")
    return citizen, _nonce(parsed)


def authenticate_bearer(house: House, request: Request, key: PublicKey) -> Nonce:
    """A citizen's request signed by a key that is only being enrolled: proof that the sender holds it."""
    parsed = parse_signature(request.method, request.headers)
    _verify(house, request, parsed, key, TAG_CITIZEN)
    return _nonce(parsed)


def signed_as_citizen(request: Request) -> bool:
    """Whether the request says it is a citizen's. Only chooses which registry to look in; proves nothing."""
    return parse_signature(request.method, request.headers).tag == TAG_CITIZEN


def _verify(house: House, request: Request, parsed: SignatureInput, key: PublicKey, tag: str) -> None:
    now = house.clock()
    if abs(parsed.created * 1000 - now) > house.settings.created_window_s * 1000:
        raise SignatureRefused(Why.STALE)
    raw_target = request.environ.get("RAW_URI", "")
    verify_request(
        parsed,
        request.method,
        target_uri(house.settings.public_url, raw_target),
        request.get_data(cache=True) or None,
        request.headers.get("content-type"),
        request.headers.get("content-digest"),
        key,
        tag,
        now,
    )


def _nonce(parsed: SignatureInput) -> Nonce:
    """Kept for the window and its skew; beyond that the request is stale by its `created` anyway."""
    return Nonce(parsed.keyid, parsed.nonce, parsed.created * 1000 + 2 * SKEW_MS)


@lru_cache(maxsize=4096)
def _public_key(jwk: str) -> PublicKey:
    return parse_public_jwk(parse_canonical(jwk.encode()))


def count_refusal(problem: str) -> None:
    """Count a request that was not authenticated."""
    metrics.UNSIGNED.labels(problem).inc()
