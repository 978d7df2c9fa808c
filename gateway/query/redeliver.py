"""Redelivery: the answer that a bank did not receive, given again without another use of the consent.

Invariant: what is given again is what the first leaf commits to, and nothing else: the same request (by the
MAC of its body), freshly signed, of the same institution, within the policy's hours of that leaf, from the
same revisions, all of which may still be shown. What was given is remembered sealed under the person's `link`
key, bound to its row and to that leaf's hash, so that no row can be made to speak of another answer or of a
later time; once the hours are over `forget_given` forgets it, and the id stays used.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from consent.asks import Reason
from consent.policy import policy_hash
from consent.predicates import PredicateRule
from gateway import policies
from gateway.errors import EvidenceBroken
from gateway.keyring import DataKey
from gateway.query.minimise import is_shown
from gateway.query.record_leaf import Answered
from gateway.query.request import Ask
from gateway.rows import ROW_KEY
from gateway.tables import queries
from gateway.transaction import Transaction
from keys.canonical import b64u, canonical, parse_canonical, sha256_hex, unb64u
from keys.custody import Custody
from keys.errors import KeysError
from keys.fields import length_prefixed
from keys.instant import HOUR, parse_instant
from keys.values import Value
from ledger.bodies import QueryDisclosed, QueryPredicate
from ledger.entries import parse_leaf
from ledger.fixed import Row
from ledger.merkle import leaf_hash

if TYPE_CHECKING:
    from gateway.house import House

CHUNK = 512

# Built once: building a statement costs more than running it.
_OVER = (
    sa.select(queries.c.institution, queries.c.query)
    .where(queries.c.given_at < sa.bindparam("before"))
    .order_by(queries.c.given_at)
    .limit(CHUNK)
)
FORGET = (
    sa.update(queries)
    .where(sa.tuple_(queries.c.institution, queries.c.query).in_(_OVER))
    .values(body_mac=None, given=None, given_at=None)
)


class _Given(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is sealed: hash of the answer's leaf, hashes of its revisions (hex, ascending), their salt."""

    leaf: str
    revisions: tuple[str, ...]
    salt: str


class Used(Value, frozen=True):
    """A `query_id` that was used, and what is still remembered of the answer of leaf `index`."""

    index: int
    body_mac: bytes | None = None
    given: bytes | None = None
    given_at: int | None = None


class Recalled(Value, frozen=True):
    """The first answer: its time (ms), the rule it applied, and the revisions it was made of."""

    at: int
    rule: PredicateRule | None
    revisions: tuple[Row, ...]


def body_mac(custody: Custody, institution: str, query: str, body: bytes) -> bytes:
    """What tells the same request (its body, JCS) sent again from another one under the same id."""
    return custody.mac(ROW_KEY, length_prefixed(b"query-body", institution.encode(), query.encode(), body))


def seal_given(ask: Ask, link: DataKey, answered: Answered) -> bytes:
    """What `queries.given` holds of an answer."""
    given = {
        "leaf": answered.entry.leaf_hash.hex(),
        "revisions": [one.hex() for one in answered.committed.hashes],
        "salt": b64u(answered.committed.salt),
    }
    return link.seal("queries", "given", _row(ask), canonical(given))


def is_again(used: Used | None, mac: bytes) -> bool:
    """Whether this is the request that was answered under that id, and what was given is not forgotten."""
    if used is None or used.given is None or not isinstance(used.given_at, int):
        return False
    return isinstance(used.body_mac, bytes) and hmac.compare_digest(used.body_mac, mac)


def recall(
    tx: Transaction,
    used: Used,
    ask: Ask,
    link: DataKey,
    leaves: Mapping[int, bytes],
    held: Iterable[Row],
) -> Recalled | Reason:
    """The first answer, or why it may not be given again now.

    `leaves` hold the one at `used.index`; `held` are the person's stored revisions, found whole.
    `EvidenceBroken` when row and leaf do not fit each other.
    """
    given, leaf = _open(used, ask, link), leaves.get(used.index)
    if leaf is None or leaf_hash(leaf).hex() != given.leaf:
        raise EvidenceBroken("what was given was given under another leaf")
    said = parse_leaf(leaf)
    body, first = said.body, parse_instant(said.at)
    hashes = {bytes.fromhex(one) for one in given.revisions}
    committed = sha256_hex(unb64u(given.salt) + b"".join(sorted(hashes)))
    if not isinstance(body, QueryDisclosed | QueryPredicate) or body.commitment != committed:
        raise EvidenceBroken("a leaf does not commit to what was given under it")
    if first != used.given_at:
        raise EvidenceBroken("what was given was given at another time")
    shown = same_revisions(held, hashes, first, tx.at)
    if shown is None:
        return Reason.ANSWER_GONE
    rule = rule_then(tx, said.policy, body.predicate) if isinstance(body, QueryPredicate) else None
    return Recalled(first, rule, shown)


def same_revisions(
    held: Iterable[Row], hashes: Collection[bytes], first: int, at: int
) -> tuple[Row, ...] | None:
    """The rows given at `first` (ms), by their hashes; None when one is gone, or was shown then and may not
    be at `at`. Pure.
    """
    shown = tuple(row for row in held if row.revision_hash in hashes)
    over = any(is_shown(row.shown_until, first) and not is_shown(row.shown_until, at) for row in shown)
    return None if over or len(shown) != len(hashes) else shown


def rule_then(tx: Transaction, named: str, predicate: str) -> PredicateRule:
    """The rule as the policy `named` (hash) states it, under which the answer was first given: the answer
    holds its text. `EvidenceBroken` where that policy states none.
    """
    policy = tx.policy if policy_hash(tx.policy) == named else policies.load(tx.conn, named)
    rule = policy.predicate(predicate)
    if rule is None:
        raise EvidenceBroken("an answer applied a rule that its policy does not state")
    return rule


def forget_given(house: House) -> int:
    """Forget what was given longer ago than it can be had again; how many answers. For housekeeping."""

    def act(tx: Transaction) -> int:
        before = tx.at - tx.policy.retention.redelivery_hours * HOUR
        return tx.conn.execute(FORGET, {"before": before}).rowcount

    forgotten = 0
    while some := house.transact(act, seals=False):
        forgotten += some
    return forgotten


def _open(used: Used, ask: Ask, link: DataKey) -> _Given:
    if not isinstance(used.given, bytes):
        raise EvidenceBroken("what was given does not open")
    opened = link.open("queries", "given", _row(ask), used.given)
    try:
        return msgspec.convert(parse_canonical(opened), _Given)
    except (KeysError, msgspec.ValidationError) as error:
        raise EvidenceBroken("what was given is of another form") from error


def _row(ask: Ask) -> bytes:
    return f"{ask.signer.institution}:{ask.query.query_id}".encode()
