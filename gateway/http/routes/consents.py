"""Consent requests, consents, withdrawals."""

from __future__ import annotations

from werkzeug.wrappers import Response

from consent.document import Decline, document_sha256, format_template
from gateway.consents import bodies
from gateway.consents.challenge import challenge
from gateway.consents.ending import decline
from gateway.consents.grant import grant, parse_grant
from gateway.consents.request import RequestRefused, request_consent
from gateway.consents.resume import resume
from gateway.consents.view import Viewer, view_consent, view_request
from gateway.consents.withdraw import withdraw, withdraw_at_counter
from gateway.errors import Rejected
from gateway.http import operations
from gateway.http.guards import Api, Guard
from gateway.http.routes.counter import ordered_by
from gateway.http.wire import MalformedBody, problem_reply, read_body, reply
from gateway.institutions.standing import require_active
from gateway.people.citizens import Citizen, require_acting
from gateway.query.request import Signer
from gateway.query.ruled import Throttled
from gateway.transaction import Nonce, Transaction
from keys.blind import canonical_citizen_number
from keys.canonical import b64u, parse_canonical
from keys.errors import BadIdentifier
from keys.instant import format_instant


def register(api: Api) -> None:
    """Put the consent endpoints on the map."""
    _requests(api)
    _consents(api)


def _requests(api: Api) -> None:
    house = api.house

    @api.route("/v1/consent-requests", ["POST"], Guard.OPERATOR, operations.ASK_CONSENT)
    def ask(signer: Signer) -> Response:
        asked, body = read_body(bodies.ConsentRequest)
        try:
            number = canonical_citizen_number(asked.person.citizen_number)
        except BadIdentifier as error:
            raise MalformedBody("$.person.citizen_number") from error
        outcome = request_consent(house, asked, body, signer, number)
        if isinstance(outcome, Throttled):
            return problem_reply("quota-exceeded", retry_after=outcome.retry_after_s)
        if isinstance(outcome, RequestRefused):
            receipt = house.receipts.of_query(
                outcome.entry, asked.request_id, "refused", reason=outcome.reason.value
            )
            return problem_reply(outcome.reason.value, receipt, {"request_id": asked.request_id})
        template = outcome.template
        return reply(
            {
                "request_id": outcome.request,
                "consent_id": template.consent_id,
                "document": parse_canonical(format_template(template)),
                "document_sha256": document_sha256(template),
                "notice_text": outcome.notice_text,
                "index": outcome.index,
            },
            201,
        )

    @api.route("/v1/consent-requests/<uuid:request_id>", ["GET"], Guard.PARTY, operations.LOOK_AT_REQUEST)
    def look(party: Signer | tuple[Citizen, Nonce], request_id: object) -> Response:
        viewer = _spent(api, party)
        with house.read() as conn:
            return reply(view_request(house, conn, str(request_id), viewer, house.clock()))

    @api.route("/v1/consent-requests/<uuid:request_id>/decline", ["POST"], Guard.CITIZEN, operations.DECLINE)
    def say_no(signed: tuple[Citizen, Nonce], request_id: object) -> Response:
        asked, _ = read_body(Decline)
        if asked.request_id != str(request_id):
            raise Rejected("consent-mismatch")
        citizen, nonce = signed
        entry = decline(house, asked, citizen, nonce)
        return reply({"request_id": asked.request_id, "state": "declined", "index": entry.index})


def _consents(api: Api) -> None:
    house = api.house

    @api.route("/v1/consents", ["POST"], Guard.PROOF, operations.GRANT)
    def give() -> Response:
        body, _ = read_body(bodies.Grant)
        granted = grant(house, parse_grant(body))
        receipt = house.receipts.of_consent(granted.entry, granted.consent.consent_id, "granted")
        return reply({"consent_id": granted.consent.consent_id, "state": "granted", "receipt": receipt}, 201)

    @api.route("/v1/consents/<uuid:consent_id>", ["GET"], Guard.PARTY, operations.SHOW_CONSENT)
    def show(party: Signer | tuple[Citizen, Nonce], consent_id: object) -> Response:
        viewer = _spent(api, party)
        with house.read() as conn:
            return reply(view_consent(house, conn, str(consent_id), viewer, house.clock()))

    @api.route("/v1/challenges", ["POST"], Guard.PUBLIC, operations.CHALLENGE)
    def challenges() -> Response:
        body, _ = read_body(bodies.Challenge)
        made = challenge(house, body.document)
        return reply(
            {
                "server_nonce": b64u(made.server_nonce),
                "challenge": b64u(made.challenge),
                "rp_id": made.rp_id,
                "expires": format_instant(made.expires),
            },
            201,
        )

    @api.route("/v1/withdrawals", ["POST"], Guard.PROOF, operations.WITHDRAW)
    def take_back() -> Response:
        body, _ = read_body(bodies.Withdraw)
        ordered = ordered_by(house, body)
        done = withdraw(house, body) if ordered is None else withdraw_at_counter(house, ordered)
        receipt = house.receipts.of_consent(done.entry, done.consent_id, "withdrawn")
        return reply({"consent_id": done.consent_id, "state": "withdrawn", "receipt": receipt}, 201)

    @api.route("/v1/resumptions", ["POST"], Guard.PROOF, operations.RESUME)
    def confirm() -> Response:
        body, _ = read_body(bodies.Resume)
        done = resume(house, body)
        consent = done.resumption.consent_id
        receipt = house.receipts.of_consent(done.entry, consent, "resumed")
        return reply({"consent_id": consent, "state": "granted", "receipt": receipt}, 201)


def _spent(api: Api, party: Signer | tuple[Citizen, Nonce]) -> Viewer:
    """The party, once the nonce of its request is spent; an operator without standing looks at nothing."""
    viewer: Viewer
    if isinstance(party, Signer):
        viewer, nonce = party, party.nonce
    else:
        viewer, nonce = party

    def act(tx: Transaction) -> None:
        if isinstance(viewer, Signer):
            require_active(tx, viewer)
        else:
            require_acting(tx, viewer)

    api.house.transact(act, seals=False, nonce=nonce)
    return viewer
