"""Who may see a consent or a request for one: its recipient and its citizen, and nobody else.

Invariant: to anyone else a consent that exists and one that does not look the same, in content and time:
what is not the viewer's is neither authenticated nor opened. (A request is a citizen's by the number inside
it: it is opened to find out.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from consent.document import format_template, parse_consent
from consent.lifecycle import State, state_at
from gateway.consents.held import grant_row
from gateway.consents.stored import is_about, open_request, request_row
from gateway.errors import Rejected
from gateway.people.citizens import Citizen
from gateway.people.subjects import find_by_tag
from gateway.query.request import Signer
from gateway.tables import grants
from keys.canonical import parse_canonical

if TYPE_CHECKING:
    from gateway.house import House

Viewer = Signer | Citizen


def view_consent(house: House, conn: sa.Connection, consent: str, viewer: Viewer, at: int) -> dict[str, Any]:
    """A granted consent: state, document, uses, the grant's index; `Rejected` (`not-found`) to others."""
    own = {"tag": viewer.subject.tag} if isinstance(viewer, Citizen) else {"recipient": viewer.institution}
    row = grant_row(house, conn, consent, **own)
    if row is None:
        raise Rejected("not-found")
    return describe_grant(house, conn, row, at)


def describe_grant(house: House, conn: sa.Connection, row: dict[str, Any], at: int) -> dict[str, Any]:
    """The members of one evident grant; of a suspended one also the leaf that a resumption names."""
    subject = find_by_tag(house, conn, row["tag"])
    document = subject.link.open("grants", "document", row["consent"].encode(), row["document"])
    state = state_at(row["state"], parse_consent(document), row["uses"], at)
    told = {
        "consent_id": row["consent"],
        "state": state.value,
        "uses": row["uses"],
        "index": row["grant_index"],
        "document": parse_canonical(document),
    }
    return told | ({"suspension": row["changed_index"]} if state is State.SUSPENDED else {})


def view_request(house: House, conn: sa.Connection, request: str, viewer: Viewer, at: int) -> dict[str, Any]:
    """A request for consent: state, and the document to sign. `Rejected` (`not-found`) to anyone else."""
    own: dict[str, Any] = {} if isinstance(viewer, Citizen) else {"institution": viewer.institution}
    row = request_row(house, conn, "request", request, **own)
    if row is None or (isinstance(viewer, Citizen) and not is_about(house, conn, row, viewer)):
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
