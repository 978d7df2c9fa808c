"""Registering institutions (查询机构) and operators (查询用户), and changing their standing.

Invariant: every change of standing is an entry, and takes the head's lock that every decision
reads under, so the next query after a suspension is refused. An operator who administers cannot
query, and one key is one operator's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from gateway import rows
from gateway.errors import Rejected
from gateway.ids import new_operator_id
from gateway.institutions.published import ENCRYPTION, publish_encryption_key, publish_unless_shown
from gateway.institutions.standing import standing_row
from gateway.tables import institutions, operators
from keys.blind import canonical_uscc
from keys.canonical import canonical
from keys.instant import format_instant
from keys.sealing import parse_x25519_jwk
from keys.signing import Jwk, PublicKey
from ledger.log import Entry

if TYPE_CHECKING:
    from gateway.house import House
    from gateway.transaction import Transaction

SECTOR_ROLES: dict[str, frozenset[str]] = {
    **dict.fromkeys(
        ("finance", "agency", "e-commerce", "delivery", "property", "data", "apps"),
        frozenset({"query", "admin", "source"}),
    ),
    "source": frozenset({"source", "admin"}),
    "registrar": frozenset({"registrar", "admin"}),
    "regulator": frozenset({"audit", "admin"}),
}
"""Which roles an institution of each sector may have; operators have roles of their institution."""

EXCLUSIVE = ({"admin", "query"}, {"admin", "audit"}, {"admin", "approve"})
"""Roles that no operator has together: who administers reads nobody's data."""


@dataclass(frozen=True, slots=True)
class NewInstitution:
    """An institution to register. A registrar brings its Ed25519 key, a regulator its X25519 key.

    One that queries may bring an X25519 key (public JWK) of its own, which its answers are encrypted to.
    """

    institution: str
    name: str
    sector: str
    roles: tuple[str, ...]
    registrar_key: PublicKey | None = None
    regulator_key: Jwk | None = None
    encryption_key: Jwk | None = None


def add_institution(house: House, new: NewInstitution) -> Entry:
    """Register an institution and publish the key it brings; all in one transaction."""
    _check(new)
    return house.transact(lambda tx: _add_institution(tx, new), seals=False)


def _check(new: NewInstitution) -> None:
    canonical_uscc(new.institution)
    allowed = SECTOR_ROLES.get(new.sector)
    if allowed is None:
        raise Rejected("malformed-body", f"no sector {new.sector}: one of {', '.join(SECTOR_ROLES)}")
    if not new.roles or not set(new.roles) <= allowed:
        raise Rejected(
            "malformed-body", f"the sector {new.sector} allows the roles {', '.join(sorted(allowed))}"
        )
    if (new.registrar_key is not None) != (new.sector == "registrar"):
        raise Rejected("malformed-body", "a registrar, and nobody else, is registered with its registrar key")
    if (new.regulator_key is not None) != (new.sector == "regulator"):
        raise Rejected("malformed-body", "a regulator, and nobody else, is registered with its sealing key")
    if new.encryption_key is not None:
        _check_encryption(new.encryption_key, set(new.roles))
    if not new.name.strip() or len(new.name) > 120 or not new.name.isprintable():
        raise Rejected("malformed-body", "an institution has a printable name of at most 120 characters")


def _check_encryption(key: Jwk, roles: set[str]) -> None:
    if "query" not in roles:
        raise Rejected(
            "malformed-body", "only an institution that queries is answered: it alone has such a key"
        )
    parse_x25519_jwk(key)


def _add_institution(tx: Transaction, new: NewInstitution) -> Entry:
    taken = sa.select(institutions.c.institution).where(institutions.c.institution == new.institution)
    if tx.conn.execute(taken).first() is not None:
        raise Rejected("already-answered", f"institution {new.institution} is registered already")
    roles = sorted(set(new.roles))
    entry = tx.append(
        "institution.registered",
        {"institution": new.institution, "sector": new.sector, "roles": roles},
        about=rows.about(institutions, new.institution),
    )
    row = {
        "institution": new.institution,
        "name": new.name,
        "sector": new.sector,
        "roles": " ".join(roles),
        "state": "active",
        "until": None,
    }
    tx.conn.execute(institutions.insert(), tx.protect(institutions, row, entry))
    if new.registrar_key is not None:
        publish_unless_shown(tx, "registrar", new.registrar_key.jwk, new.institution)
    if new.regulator_key is not None:
        publish_unless_shown(tx, "regulator", new.regulator_key, new.institution)
    if new.encryption_key is not None:
        publish_unless_shown(tx, ENCRYPTION, new.encryption_key, new.institution)
    return entry


def set_encryption_key(house: House, institution: str, key: Jwk) -> Entry:
    """Have answers to an institution encrypted to this X25519 key (public JWK) from here on, to no other."""

    def act(tx: Transaction) -> Entry:
        row = standing_row(tx, institutions, institution)
        _check_encryption(key, set(row["roles"].split()))
        return publish_encryption_key(tx, institution, key)

    return house.transact(act, seals=False)


def add_operator(house: House, institution: str, key: PublicKey, roles: Sequence[str]) -> tuple[str, Entry]:
    """Register one operator's key; returns the opaque operator id and the entry."""
    wanted = set(roles)
    if any(pair <= wanted for pair in EXCLUSIVE):
        raise Rejected(
            "malformed-body",
            "an administrator cannot query, approve or audit: give one operator one of these roles",
        )
    if key.alg != "Ed25519":
        raise Rejected("malformed-body", "an operator signs requests with an Ed25519 key")
    return house.transact(lambda tx: _add_operator(tx, institution, key, wanted), seals=False)


def _add_operator(tx: Transaction, institution: str, key: PublicKey, roles: set[str]) -> tuple[str, Entry]:
    owner = standing_row(tx, institutions, institution)
    own = set(owner["roles"].split())
    allowed = own | {"admin"} | ({"approve"} if "query" in own else set())
    if not roles or not roles <= allowed:
        raise Rejected(
            "malformed-body", f"{institution} allows its operators the roles {', '.join(sorted(allowed))}"
        )
    if tx.conn.execute(sa.select(operators.c.operator).where(operators.c.kid == key.kid)).first() is not None:
        raise Rejected(
            "already-answered", "this key is an operator's already: make another one for another person"
        )
    operator = new_operator_id(tx.house.random)
    listed = sorted(roles)
    entry = tx.append(
        "operator.registered",
        {"operator": operator, "institution": institution, "roles": listed},
        about=rows.about(operators, operator),
    )
    row = {
        "operator": operator,
        "institution": institution,
        "kid": key.kid,
        "jwk": canonical(key.jwk).decode(),
        "roles": " ".join(listed),
        "state": "active",
        "until": None,
    }
    tx.conn.execute(operators.insert(), tx.protect(operators, row, entry))
    return operator, entry


def suspend(house: House, noun: str, name: str, reason: str, until: int | None = None) -> Entry:
    """Suspend an `institution` or `operator`; with `until` (ms) it lapses by itself."""
    return house.transact(lambda tx: _suspend(tx, noun, name, reason, until), seals=False)


def reinstate(house: House, noun: str, name: str, reason: str) -> Entry:
    """End a suspension."""
    return house.transact(lambda tx: _reinstate(tx, noun, name, reason), seals=False)


def _suspend(tx: Transaction, noun: str, name: str, reason: str, until: int | None) -> Entry:
    table = _table(noun)
    row = standing_row(tx, table, name)
    if _is_suspended(row, tx.at):
        raise Rejected("already-answered", f"{noun} {name} is suspended already")
    if until is not None and until <= tx.at:
        raise Rejected("malformed-body", "the suspension would end before it begins: give a later time")
    body: dict[str, Any] = _body(noun, row) | {"reason": reason}
    if until is not None:
        body["until"] = format_instant(until)
    return _change(tx, table, noun, row, "suspended", until, body)


def _reinstate(tx: Transaction, noun: str, name: str, reason: str) -> Entry:
    table = _table(noun)
    row = standing_row(tx, table, name)
    if not _is_suspended(row, tx.at):
        raise Rejected("already-answered", f"{noun} {name} is not suspended")
    return _change(tx, table, noun, row, "active", None, _body(noun, row) | {"reason": reason})


def _change(
    tx: Transaction,
    table: sa.Table,
    noun: str,
    row: dict[str, Any],
    state: str,
    until: int | None,
    body: dict[str, Any],
) -> Entry:
    event = "suspended" if state == "suspended" else "reinstated"
    entry = tx.append(f"{noun}.{event}", body, about=rows.about(table, row[noun]))
    changed = tx.protect(table, rows.columns_of(table, row) | {"state": state, "until": until}, entry)
    tx.conn.execute(sa.update(table).where(table.c[noun] == row[noun]).values(**changed))
    return entry


def _is_suspended(row: dict[str, Any], at: int) -> bool:
    return row["state"] == "suspended" and (row["until"] is None or at < row["until"])


def _body(noun: str, row: dict[str, Any]) -> dict[str, Any]:
    names = ("operator", "institution") if noun == "operator" else ("institution",)
    return {name: row[name] for name in names}


def _table(noun: str) -> sa.Table:
    return operators if noun == "operator" else institutions


def listed(house: House, noun: str) -> list[dict[str, Any]]:
    """All institutions or operators with their standing, in the order of their ids."""
    table = _table(noun)
    with house.read() as conn:
        found = conn.execute(sa.select(table)).mappings().all()
        return [
            {
                **{name: row[name] for name in row if name not in ("mac", "jwk", "kid")},
                "roles": row["roles"].split(),
                "until": None if row["until"] is None else format_instant(row["until"]),
            }
            for row in sorted(found, key=lambda row: str(row[noun]))  # not by the database's collation
        ]
