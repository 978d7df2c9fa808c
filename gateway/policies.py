"""The policy in force: which bundle the ledger's last leaf names, and changing it.

Invariant: the bundle that decides under the head's lock is the one whose hash stands in the log's last leaf,
whoever wrote that leaf; its bytes come out of `policies` and must hash to that name. A change is a leaf,
`policy.changed`, in force from its own index on: for the acts that follow it in the same batch as well, and
for other processes as soon as they hold the lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from consent.errors import MalformedPolicy
from consent.policy import PolicyBundle, format_policy, parse_policy, policy_hash
from gateway.errors import EvidenceBroken, NotReady, PolicyRefused
from gateway.news import last_leaf
from gateway.tables import policies
from keys.canonical import sha256_hex
from ledger.entries import Leaf
from ledger.log import Entry, read_head
from ledger.rows import insert_or_nothing, read_leaf

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.transaction import Transaction

# Built once: building a statement costs more than running it.
STORED = sa.select(policies.c.body).where(policies.c.hash == sa.bindparam("wanted"))


def named_by(conn: sa.Connection, leaf: Leaf, loaded: PolicyBundle | None = None) -> PolicyBundle:
    """The bundle that a leaf names (the log's last: that in force); `loaded` itself when it is that one."""
    if loaded is not None and policy_hash(loaded) == leaf.policy:
        return loaded
    return load(conn, leaf.policy)


def installed(conn: sa.Connection, shard: int, loaded: PolicyBundle | None = None) -> PolicyBundle:
    """The bundle in force as of this snapshot, read without the lock. `NotReady` before init is done."""
    head = read_head(conn, shard)
    if head.size == 0:
        raise NotReady("init did not finish: no policy is in force")
    return named_by(conn, last_leaf(read_leaf(conn, shard, head.size - 1), head), loaded)


def stored(conn: sa.Connection, named: str) -> bytes | None:
    """The published bytes of a bundle by its hash (hex), or None when none of that name was ever in force."""
    body = conn.scalar(STORED, {"wanted": named})
    return None if body is None else bytes(body)


def load(conn: sa.Connection, named: str) -> PolicyBundle:
    """A bundle by its hash. `EvidenceBroken` when it is not there or its bytes are others."""
    body = stored(conn, named)
    if body is None or sha256_hex(body) != named:
        raise EvidenceBroken("the stored policy is not the one that the ledger names")
    try:
        return parse_policy(body)
    except MalformedPolicy as error:  # no tampering: the bytes are what was hashed
        raise NotReady("the policy in force has members that this release does not know: upgrade") from error


def enact(tx: Transaction, bundle: PolicyBundle, *, replaces: PolicyBundle | None) -> Entry:
    """Put `bundle` in force: leaf and row. From here on `tx.policy` is it; an act undone undoes that too."""
    named, body = policy_hash(bundle), format_policy(bundle)
    replaced = {} if replaces is None else {"replaces": policy_hash(replaces)}
    entry = tx.append("policy.changed", {"policy": named} | replaced)
    made = tx.conn.execute(
        insert_or_nothing(tx.conn, policies, ("hash",)), {"hash": named, "body": body, "idx": entry.index}
    )
    if made.rowcount == 0 and stored(tx.conn, named) != body:  # in force before, and back again
        raise EvidenceBroken("the stored policy is not the one that the ledger names")
    tx.policy = bundle
    return entry


def apply_policy(house: House, bundle: PolicyBundle, *, replaces: str | None = None) -> Entry:
    """Replace the policy in force; the leaf of the change. `PolicyRefused` says why it is not replaced.

    `replaces`, when given, is the hash of the policy that `bundle` was compared with: another one in force
    meanwhile would make that comparison untrue.
    """

    def act(tx: Transaction) -> Entry:
        if policy_hash(bundle) == policy_hash(tx.policy):
            raise PolicyRefused("this policy is in force already")
        if replaces is not None and replaces != policy_hash(tx.policy):
            raise PolicyRefused("another policy was put in force meanwhile")
        if bundle.demo and not tx.policy.demo:
            raise PolicyRefused(
                "a bundle for demonstration never follows a checked one: nothing in it needs to be checked"
            )
        return enact(tx, bundle, replaces=tx.policy)

    return house.transact(act, seals=False)
