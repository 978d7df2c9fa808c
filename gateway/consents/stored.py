"""Requests as they are stored: read only when evident, opened only under their own key.

Invariant: a request's row says nothing of its person in clear; whether it was granted, the ledger says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from consent.document import Template, parse_template
from gateway import rows
from gateway.keyring import LINK, VERSION, DataKey
from gateway.people.citizens import Citizen
from gateway.people.subjects import find_by_number
from gateway.tables import consent_requests, grants
from gateway.transaction import Transaction

if TYPE_CHECKING:
    from gateway.house import House

ERASED = "erased"
"""State of a request whose person was erased: nothing is in it any more, and its id serves nobody again."""


def request_row(
    house: House, conn: sa.Connection, column: str, value: str, *, erased: bool = False, **own: object
) -> dict[str, Any] | None:
    """One evident request by `request` or `consent`, whose columns are as in `own`, or None. One that
    was erased, of which the id alone is left, is none but to who asks for it.

    One that is not so is not authenticated either, so that it takes no longer than one that is not there.
    """
    found = rows.read_evident(conn, consent_requests, column, [value], house.shard)
    if not found or any(found[0][name] != value for name, value in own.items()):
        return None
    rows.require_evident(house.custody, consent_requests, found[0])
    return None if found[0]["state"] == ERASED and not erased else found[0]


def open_request(house: House, row: dict[str, Any]) -> tuple[Template, str]:
    """The stored template and the canonical citizen number of a request, decrypted."""
    row_id = UUID(row["request"]).bytes
    key: DataKey = house.keyring.unwrap(row["tag"], LINK, VERSION, row["epoch"], row["data_key"])
    template = parse_template(key.open("consent_requests", "document", row_id, row["document"]))
    number = key.open("consent_requests", "citizen_number", row_id, row["citizen_number"]).decode()
    return template, number


def lost_consent(consent_hash: str) -> str:
    """The name of a consent (hash, hex) whose row was lost with a database, in its leaf that came back."""
    return f"lost-consent:{consent_hash}"


def leaf_body(request: str, recipient: str, purpose: str, categories: tuple[str, ...]) -> dict[str, Any]:
    """The body of `consent.requested`, `.declined` and `.lapsed`."""
    return {"request": request, "recipient": recipient, "purpose": purpose, "categories": list(categories)}


def is_about(house: House, conn: sa.Connection, row: dict[str, Any], citizen: Citizen) -> bool:
    """Whether a request is about this citizen, who may have been unknown when it was made."""
    person = find_by_number(house, conn, open_request(house, row)[1])
    return person.known and person.subject == citizen.subject.subject


def is_open(tx: Transaction, row: dict[str, Any]) -> bool:
    """Whether nobody has answered a request yet. Of a grant the ledger knows, not the request's row."""
    return row["state"] == "requested" and tx.latest(rows.about(grants, row["consent"])) is None
