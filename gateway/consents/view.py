"""Who may see a consent or a request for one: its recipient and its citizen, nobody else, and no difference
to nobody.

Invariant: to anyone else a consent that exists and one that does not look the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from consent.document import format_template, parse_consent
from consent.lifecycle import state_at
from gateway.consents.held import grant_row
from gateway.consents.request import is_about, open_request, request_row
from gateway.errors import EvidenceBroken, Rejected
from gateway.people.citizens import Citizen
from gateway.people.subjects import find_by_tag
from gateway.query.request import Signer
from gateway.tables import consent_requests, grants
from keys.canonical import parse_canonical
from keys.errors import DecryptionFailed

if TYPE_CHECKING:
    from gateway.house import House

Viewer = Signer | Citizen


def view_consent(house: House, conn: sa.Connection, consent: str, viewer: Viewer, at: int) -> dict[str, Any]:
    """A granted consent: state, document, uses, the grant's index. `Rejected` (`not-found`) to anyone
    else.
    """
    row = grant_row(house, conn, consent)
    if row is None or not _may_see(row["recipient"], row["tag"], viewer):
        raise Rejected("not-found")
    return describe_grant(house, conn, row, at)


def describe_grant(house: House, conn: sa.Connection, row: dict[str, Any], at: int) -> dict[str, Any]:
    """The members of one evident grant."""
    subject = find_by_tag(house, conn, row["tag"])
    try:
        document = subject.link.open("grants", "document", row["consent"].encode(), row["document"])
    except DecryptionFailed as error:
        raise EvidenceBroken("a consent does not open in its place") from error
    return {
        "consent_id": row["consent"],
        "state": state_at(row["state"], parse_consent(document), row["uses"], at).value,
        "uses": row["uses"],
        "index": row["grant_index"],
        "document": parse_canonical(document),
    }


def view_request(house: House, conn: sa.Connection, request: str, viewer: Viewer, at: int) -> dict[str, Any]:
    """A request for consent: state, and the document to sign. `Rejected` (`not-found`) to anyone else."""
    row = request_row(house, conn, consent_requests.c.request, request)
    if row is None or not _may_see_request(house, conn, row, viewer):
        raise Rejected("not-found")
    template, _ = open_request(house, row)
    granted = conn.scalar(sa.select(grants.c.grant_index).where(grants.c.consent == row["consent"]))
    state = row["state"] if granted is None else "granted"
    if state == "requested" and at >= row["lapses_at"]:
        state = "lapsed"
    return {
        "request_id": row["request"],
        "consent_id": row["consent"],
        "state": state,
        "document": parse_canonical(format_template(template)),
    }


def _may_see(recipient: str, tag: bytes, viewer: Viewer) -> bool:
    if isinstance(viewer, Citizen):
        return bool(tag == viewer.subject.tag)
    return recipient == viewer.institution


def _may_see_request(house: House, conn: sa.Connection, row: dict[str, Any], viewer: Viewer) -> bool:
    if isinstance(viewer, Citizen):
        return is_about(house, conn, row, viewer)
    return bool(row["institution"] == viewer.institution)
