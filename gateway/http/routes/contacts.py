"""Where a citizen is notified: put, shown, forgotten, by their own key."""

from __future__ import annotations

from werkzeug.wrappers import Response

from gateway.http import operations
from gateway.http.guards import Api, Guard
from gateway.http.wire import read_body, reply
from gateway.notices.contacts import Contact, ContactBody, drop_contacts, own_contacts, put_contact
from gateway.people.citizens import Citizen
from gateway.transaction import Nonce


def register(api: Api) -> None:
    """Put a citizen's contacts on the map."""
    house = api.house

    @api.route("/v1/me/contact", ["PUT"], Guard.CITIZEN, operations.PUT_CONTACT)
    def put(signed: tuple[Citizen, Nonce]) -> Response:
        said, _ = read_body(ContactBody)
        put_contact(house, *signed, said)
        return reply(Contact(said.channel, said.language, said.address).members())

    @api.route("/v1/me/contact", ["GET"], Guard.CITIZEN, operations.OWN_CONTACTS)
    def show(signed: tuple[Citizen, Nonce]) -> Response:
        return reply({"contacts": [one.members() for one in own_contacts(house, *signed)]})

    @api.route("/v1/me/contact", ["DELETE"], Guard.CITIZEN, operations.DROP_CONTACTS)
    def drop(signed: tuple[Citizen, Nonce]) -> Response:
        drop_contacts(house, *signed)
        return reply({"contacts": []})
