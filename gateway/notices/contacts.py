"""Where a citizen wants to be notified: their own word, under their own key.

Invariant: an address stands sealed under the person's `link` key, bound to person and channel, and is opened
for the person and for the sender alone. Giving one is no leaf: it decides nothing, shows nobody anything and
is the citizen's own, so a log that never forgets has no business with it. It goes whenever the citizen says
so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import sqlalchemy as sa

from gateway.contact_forms import is_email, is_mobile
from gateway.keyring import DataKey
from gateway.people.citizens import Citizen
from gateway.query.request import Body
from gateway.tables import contacts, outbox
from gateway.transaction import Nonce, Transaction
from ledger.rows import upsert

if TYPE_CHECKING:
    from gateway.house import House

Channel = Literal["email", "sms"]
Language = Literal["en", "zh-CN"]
EMAIL: Final = "email"
SMS: Final = "sms"
FORMS: Final[Mapping[str, Callable[[str], bool]]] = MappingProxyType({EMAIL: is_email, SMS: is_mobile})


class ContactBody(Body, frozen=True):
    """`PUT /v1/me/contact`: where to be notified, and in which language."""

    channel: Channel
    address: str = msgspec.field()
    language: Language

    def __post_init__(self) -> None:
        if not FORMS[self.channel](self.address):
            raise ValueError("an address is name@host for email, and +86 with eleven digits for sms")


@dataclass(frozen=True, slots=True)
class Contact:
    """One opened contact. The address does not show in a repr."""

    channel: str
    language: str
    address: str = field(repr=False)

    def members(self) -> dict[str, str]:
        """The contact as its citizen is shown it."""
        return {"channel": self.channel, "address": self.address, "language": self.language}


def put_contact(house: House, citizen: Citizen, nonce: Nonce, said: ContactBody) -> None:
    """Take down a citizen's contact of one channel, in place of an earlier one."""
    subject = citizen.subject
    sealed = subject.link.seal(
        "contacts", "address", row_id(subject.subject, said.channel), said.address.encode()
    )
    row = {
        "subject": subject.subject,
        "channel": said.channel,
        "address": sealed,
        "language": said.language,
    }

    def act(tx: Transaction) -> None:
        replace = upsert(tx.conn, contacts, ("subject", "channel"), ("address", "language"))
        tx.conn.execute(replace, row)

    house.transact(act, seals=False, nonce=nonce)


def drop_contacts(house: House, citizen: Citizen, nonce: Nonce) -> None:
    """Forget a citizen's contacts, and the notices that were still to be sent there."""

    def act(tx: Transaction) -> None:
        for table in (contacts, outbox):
            tx.conn.execute(sa.delete(table).where(table.c.subject == citizen.subject.subject))

    house.transact(act, seals=False, nonce=nonce)


def own_contacts(house: House, citizen: Citizen, nonce: Nonce) -> list[Contact]:
    """A citizen's own contacts, opened for them."""
    house.transact(lambda _tx: None, seals=False, nonce=nonce)
    with house.read() as conn:
        return opened_contacts(conn, citizen.subject.subject, citizen.subject.link)


def opened_contacts(conn: sa.Connection, subject: bytes, link: DataKey) -> list[Contact]:
    """The contacts of one person. `EvidenceBroken` when one does not open in its place."""
    found = conn.execute(
        sa.select(contacts).where(contacts.c.subject == subject).order_by(contacts.c.channel)
    )
    return [open_contact(row, link) for row in found]


def open_contact(row: sa.Row[Any], link: DataKey) -> Contact:
    """One stored contact, decrypted."""
    address = link.open("contacts", "address", row_id(row.subject, row.channel), row.address)
    return Contact(row.channel, row.language, address.decode())


def row_id(subject: bytes, channel: str) -> bytes:
    """The id that a contact's ciphertext is bound to."""
    return subject + channel.encode()
