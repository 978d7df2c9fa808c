"""An institution asks a citizen for consent.

Invariant: the reply to a request is the same for a person who is unknown, and is made by the same
statements and the same crypto. The person's number rests under a data key of the request's own; the ledger
knows only a tag.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from consent.asks import ConsentAsk, Reason, Refuse, Ruling
from consent.decision import decide_request
from consent.document import Template, format_template
from consent.policy import PolicyBundle
from gateway import metrics, rows
from gateway.consents.bodies import ConsentRequest
from gateway.consents.notice import notice_of, render
from gateway.consents.stored import leaf_body, open_request, request_row
from gateway.ids import new_uuid
from gateway.institutions.standing import signers_standings, standing_row, standings
from gateway.keyring import LINK
from gateway.people.subjects import find_by_number, stands
from gateway.policies import named_by
from gateway.query.quota import Charge, take_one
from gateway.query.request import Signer
from gateway.query.ruled import Throttled
from gateway.rows import ROW_KEY
from gateway.tables import consent_requests, institutions
from gateway.transaction import Transaction
from keys.canonical import b64u, canonical, parse_canonical, sha256_hex
from keys.instant import DAY, parse_instant
from ledger.entries import parse_leaf
from ledger.log import Entry
from ledger.tables import ledger_leaves

if TYPE_CHECKING:
    from gateway.house import House

NO_STANDING = (Reason.INSTITUTION_SUSPENDED, Reason.OPERATOR_SUSPENDED, Reason.ROLE_NOT_PERMITTED)


@dataclass(frozen=True, slots=True)
class Requested:
    """A recorded request: the template the citizen may sign, the text to show, and the leaf's index."""

    request: str
    template: Template
    notice_text: str
    index: int


@dataclass(frozen=True, slots=True)
class RequestRefused:
    """A refused request, with its entry."""

    entry: Entry
    reason: Reason


def request_consent(
    house: House, ask: ConsentRequest, body: dict[str, Any], signer: Signer, citizen_number: str
) -> Requested | RequestRefused | Throttled:
    """Record a request about the person with this canonical citizen number, or its refusal."""
    with house.read() as conn:
        person = find_by_number(house, conn, citizen_number)
    one_time = house.random(16)
    body_mac = house.custody.mac(ROW_KEY, b"consent-request\x00" + canonical(body))

    def act(tx: Transaction) -> Requested | RequestRefused | Throttled:
        tag = person.tag if stands(tx, person) and person.known else one_time  # erased since, they are nobody
        earlier = request_row(tx.house, tx.conn, "request", ask.request_id, erased=True)
        own = earlier is not None and earlier["institution"] == signer.institution
        repeated = earlier is not None and own and hmac.compare_digest(earlier["body_mac"], body_mac)
        ruling = decide_request(
            _consent_ask(ask, signer, reused=earlier is not None and not repeated),
            standings(tx, institutions, [signer.institution]).get(signer.institution),
            signers_standings(tx, [signer]).get(signer.known_by),
            tx.policy,
            tx.at,
        )
        if earlier is not None and repeated and not _without_standing(ruling):
            return _again(tx, ask, earlier, signer)
        turned_away = take_one(tx, Charge(signer.institution, signer.operator, ask.purpose))
        if turned_away is not None:
            return turned_away
        if isinstance(ruling, Refuse):
            metrics.DECISIONS.labels("request", "refused", ruling.reason.value).inc()
            return _refuse(tx, ask, body, signer, tag, ruling.reason)
        metrics.DECISIONS.labels("request", "recorded", "").inc()
        return _record(tx, ask, signer, tag, citizen_number, body_mac)

    return house.transact(act, nonce=signer.nonce)


def _without_standing(ruling: Ruling) -> bool:
    """Whether the asker may not act at all now; whatever else was ruled, the first answer stands."""
    return isinstance(ruling, Refuse) and ruling.reason in NO_STANDING


def _consent_ask(ask: ConsentRequest, signer: Signer, *, reused: bool) -> ConsentAsk:
    return ConsentAsk(
        institution=signer.institution,
        operator=signer.operator,
        purpose=ask.purpose,
        categories=ask.categories,
        answer=ask.answer,
        not_before=parse_instant(ask.not_before),
        not_after=parse_instant(ask.not_after),
        max_uses=ask.max_uses,
        retention_days=ask.retention_days,
        reused=reused,
    )


def _refuse(
    tx: Transaction, ask: ConsentRequest, body: dict[str, Any], signer: Signer, tag: bytes, reason: Reason
) -> RequestRefused:
    salt = tx.house.random(16)
    entry = tx.append(
        "query.refused",
        {"query": ask.request_id, "reason": reason.value, "purpose": ask.purpose},
        tag=tag,
        by=signer.by,
        details={"request": body, "request_salt": b64u(salt)},
    )
    return RequestRefused(entry, reason)


def _record(
    tx: Transaction, ask: ConsentRequest, signer: Signer, tag: bytes, citizen_number: str, body_mac: bytes
) -> Requested:
    house = tx.house
    name = standing_row(tx, institutions, signer.institution)["name"]
    text = render(ask, tx.policy, name, signer.institution)
    template = _template(house, ask, signer, text)
    entry = tx.append(
        "consent.requested",
        leaf_body(ask.request_id, signer.institution, ask.purpose, ask.categories),
        tag=tag,
        by=signer.by,
        details={"document": parse_canonical(format_template(template))},
        about=rows.about(consent_requests, ask.request_id),
    )
    key, wrapped = house.keyring.fresh(tag, LINK)
    row_id = UUID(ask.request_id).bytes
    row = {
        "request": ask.request_id,
        "shard": house.shard,
        "tag": tag,
        "institution": signer.institution,
        "operator": signer.operator,
        "consent": template.consent_id,
        "purpose": ask.purpose,
        "categories": " ".join(ask.categories),
        "data_key": wrapped,
        "epoch": house.keyring.epoch,
        "citizen_number": key.seal("consent_requests", "citizen_number", row_id, citizen_number.encode()),
        "document": key.seal("consent_requests", "document", row_id, format_template(template)),
        "body_mac": body_mac,
        "lapses_at": tx.at + tx.policy.enrolment.request_days * DAY,
        "state": "requested",
    }
    tx.conn.execute(consent_requests.insert(), tx.protect(consent_requests, row, entry))
    return Requested(ask.request_id, template, text, entry.index)


def _template(house: House, ask: ConsentRequest, signer: Signer, text: str) -> Template:
    """The document to sign. `case_ref_sha256` is SHA-256(nonce || the bank's own reference, UTF-8)."""
    nonce = house.random(16)
    return Template(
        consent_id=new_uuid(house.random),
        gateway=house.origin,
        recipient=signer.institution,
        purpose=ask.purpose,
        categories=ask.categories,
        answer=ask.answer,
        not_before=parse_instant(ask.not_before),
        not_after=parse_instant(ask.not_after),
        max_uses=ask.max_uses,
        retention_days=ask.retention_days,
        notice=notice_of(ask, text),
        case_ref_sha256=sha256_hex(nonce + (ask.case_ref or "").encode()),
        nonce=b64u(nonce),
    )


def _again(tx: Transaction, ask: ConsentRequest, row: dict[str, Any], signer: Signer) -> Requested:
    """The same request sent again: the same document, no second leaf."""
    template, _ = open_request(tx.house, row)
    name = standing_row(tx, institutions, signer.institution)["name"]
    text = render(ask, _policy_then(tx, ask.request_id), name, signer.institution)
    return Requested(ask.request_id, template, text, row["changed_index"])


def _policy_then(tx: Transaction, request: str) -> PolicyBundle:
    """The policy that the request was made under: it rendered the text that the document's hash is of."""
    asked = tx.conn.scalar(
        sa.select(sa.func.min(ledger_leaves.c.idx)).where(
            ledger_leaves.c.shard == tx.house.shard,
            ledger_leaves.c.about == rows.about(consent_requests, request),
        )
    )
    return named_by(tx.conn, parse_leaf(tx.entry(asked).leaf), tx.policy)
