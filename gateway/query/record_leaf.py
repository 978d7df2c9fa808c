"""The leaves of a ruling: an answer, a refusal.

Invariant: nothing is ruled without its leaf, and a leaf holds hashes, codes and ids only: the request and the
revisions stand in the details, sealed for the regulator. Whether a predicate was true stands nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from consent.asks import Reason
from consent.predicates import predicate_name
from gateway.query.request import Ask, Committed, Query, Request
from gateway.transaction import Transaction, close_details
from keys.canonical import Fragment, b64u, canonical, sha256_hex
from keys.signing import Random
from keys.values import Value
from ledger.log import Entry

if TYPE_CHECKING:
    from gateway.house import House


class Answered(Value, frozen=True):
    """The leaf of an answer, and what it commits to."""

    entry: Entry
    committed: Committed


def request_of(body: bytes, random: Random) -> Request:
    """The request (JCS) with a fresh salt."""
    salt = random(16)
    return Request(sha256_hex(salt + body), {"request": Fragment(body), "request_salt": b64u(salt)})


def commit_to(house: House, request: Request, revisions: Iterable[bytes]) -> Committed:
    """A commitment to these revisions (hashes, in any order), with a fresh salt."""
    salt, hashes = house.random(16), tuple(sorted(revisions))
    details = {**request.sealed, "revisions": [one.hex() for one in hashes], "revisions_salt": b64u(salt)}
    return Committed(salt, hashes, sha256_hex(salt + b"".join(hashes)), close_details(house, details))


def record_answer(
    tx: Transaction,
    query: Query,
    request: Request,
    basis: Mapping[str, Any],
    revisions: Iterable[bytes],
    *,
    tag: bytes,
    by: Mapping[str, str],
    about: str,
    ahead: Committed | None = None,
) -> Answered:
    """Append `query.disclosed`, or `query.predicate` with the rule's name.

    `basis` holds the members `grant` and `use`, or `statute`; `revisions` are the hashes committed to, in any
    order; `about` names the row that the answer changes. What was committed to `ahead` serves if it is them.
    """
    hashes = tuple(sorted(revisions))
    if ahead is None or ahead.hashes != hashes:
        ahead = commit_to(tx.house, request, hashes)
    body: dict[str, Any] = {
        "query": query.query_id,
        "purpose": query.purpose,
        "categories": list(query.categories),
        "commitment": ahead.commitment,
        "request": request.hash,
        **basis,
    }
    predicate = predicate_name(query.answer)
    if predicate is not None:
        body["predicate"] = predicate
    kind = "query.disclosed" if predicate is None else "query.predicate"
    entry = tx.append(kind, body, tag=tag, by=by, details=ahead.details, about=about)
    return Answered(entry, ahead)


def record_refusal(tx: Transaction, ask: Ask, reason: Reason) -> Entry:
    """Append `query.refused`."""
    return tx.append(
        "query.refused",
        {"query": ask.query.query_id, "reason": reason.value, "purpose": ask.query.purpose},
        tag=ask.found.tag,
        by=ask.signer.by,
        details=ask.request.sealed,
    )


def request_hash(salt: bytes, body: Any) -> str:
    """SHA-256(salt || JCS(body)), hex: what a leaf says of a request (FORMATS, ledger leaf)."""
    return sha256_hex(salt + canonical(body))
