"""A citizen's own endpoints: enrolment of a key, what is held, who looked."""

from __future__ import annotations

from flask import request
from werkzeug.wrappers import Response

from gateway.consents import bodies
from gateway.consents.grant import certificate_of
from gateway.errors import Rejected
from gateway.http import operations
from gateway.http.auth import authenticate_bearer
from gateway.http.guards import Api, Guard
from gateway.http.wire import MalformedBody, read_body, reply
from gateway.people.citizens import Citizen, Enrolled, enrol
from gateway.people.report import accesses, own_keys, record_reading, report
from gateway.transaction import Nonce, Transaction
from keys.blind import canonical_citizen_number
from keys.errors import BadIdentifier, KeysError
from keys.instant import format_instant
from keys.signing import parse_public_jwk


def register(api: Api) -> None:
    """Put the citizen's endpoints on the map."""
    house = api.house

    @api.route("/v1/enrolments", ["POST"], Guard.PROOF, operations.ENROL)
    def enrolments() -> Response:
        body, _ = read_body(bodies.Enrol)
        certificate = certificate_of(body.certificate)
        try:
            number = canonical_citizen_number(body.citizen_number)
            key = parse_public_jwk(certificate.enrolment.jwk)
        except BadIdentifier as error:
            raise MalformedBody("$.citizen_number") from error
        except KeysError as error:
            raise Rejected("bad-certificate") from error
        nonce = authenticate_bearer(house, request, key)

        def act(tx: Transaction) -> Enrolled:
            return enrol(tx, certificate, number)

        row = house.transact(act, nonce=nonce).row
        return reply({"index": row["changed_index"], "effective": format_instant(row["effective"])}, 201)

    @api.route("/v1/me/keys", ["GET"], Guard.CITIZEN, operations.OWN_KEYS)
    def keys(signed: tuple[Citizen, Nonce]) -> Response:
        citizen, nonce = signed
        return reply(own_keys(house, citizen, record_reading(house, citizen, "keys", nonce)))

    @api.route("/v1/me/report", ["GET"], Guard.CITIZEN, operations.OWN_REPORT)
    def held(signed: tuple[Citizen, Nonce]) -> Response:
        citizen, nonce = signed
        return reply(report(house, citizen, record_reading(house, citizen, "report", nonce)))

    @api.route("/v1/me/accesses", ["GET"], Guard.CITIZEN, operations.OWN_ACCESSES)
    def looked(signed: tuple[Citizen, Nonce]) -> Response:
        citizen, nonce = signed
        after = _after(request.args.get("after", "0"))
        record_reading(house, citizen, "accesses", nonce)
        return reply(accesses(house, api.publishing, citizen, after))


def _after(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise MalformedBody("$.after")
    return int(text)
