"""The citizen online: enrol, grant, withdraw, decline, read what is held and who looked.

Invariant: a grant or a withdrawal counts once its receipt, by the pinned key, says so. What is shown of
others' accesses was checked against the ledger (`gateway.client.accesses`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from gateway.client.accesses import Access, Link, Page, check_access
from gateway.client.errors import UnexpectedReply
from gateway.client.evidence import Pins
from gateway.client.pinned import PinnedClient
from gateway.client.reply import Refused, Reply, Signed, is_problem, json_object, read_as, read_problem
from gateway.client.wallet import certificate_object
from gateway.http.signature import TAG_CITIZEN


@dataclass(frozen=True, slots=True)
class Recorded:
    """A consent's new state and the verified receipt that says so."""

    consent_id: str
    state: str
    signed: Signed


@dataclass(frozen=True, slots=True)
class RevokedKey:
    """A key (thumbprint) that acts no more, its entry, and how many consents were suspended with it."""

    key: str
    index: int
    suspended: int


class CitizenClient(PinnedClient):
    """One citizen with the key only they hold. `vkey` and `receipt_key` are pinned, not fetched.

    Raises Unreachable, UnexpectedReply, EvidenceFailed; refusals come back as `Refused`.
    """

    TAG: ClassVar[str] = TAG_CITIZEN

    def enrol(self, certificate: bytes, citizen_number: str) -> int | Refused:
        """Present the registrar's certificate for this client's key. Returns the index of the enrolment."""
        body = {"citizen_number": citizen_number, "certificate": certificate_object(certificate)}
        reply = self._channel.post("/v1/enrolments", body)
        return refused(reply) if is_problem(reply) else _index(json_object(reply, 200, 201))

    def grant(self, body: Mapping[str, Any]) -> Recorded | Refused:
        """Hand in a grant that the wallet signed (`Wallet.sign_consent`)."""
        return self._record("/v1/consents", body, "granted")

    def withdraw(self, body: Mapping[str, Any]) -> Recorded | Refused:
        """Hand in a withdrawal that the wallet signed; once this returns, nothing more is answered."""
        return self._record("/v1/withdrawals", body, "withdrawn")

    def resume(self, body: Mapping[str, Any]) -> Recorded | Refused:
        """Hand in a resumption that the wallet signed: the consent is answered under again."""
        return recorded(self.pins, self._channel.post("/v1/resumptions", dict(body)), body, "resumed")

    def revoke(self, body: Mapping[str, Any]) -> tuple[RevokedKey, ...] | Refused:
        """Hand in the revocation of a key that the wallet signed; once this returns, it acts no more."""
        return revoked_keys(self._channel.post("/v1/keys/revocations", dict(body)))

    def keys(self) -> dict[str, Any] | Refused:
        """Every key enrolled for this citizen: one that they do not know of is to be refused."""
        return self._read("/v1/me/keys")

    def decline(self, request_id: str, document_sha256: str) -> int | Refused:
        """Say no to a request for consent; no reason is needed. Returns the index of the entry."""
        body = {"request_id": request_id, "document_sha256": document_sha256}
        reply = self._channel.post(f"/v1/consent-requests/{request_id}/decline", body)
        return refused(reply) if is_problem(reply) else _index(json_object(reply, 200))

    def consent_request(self, request_id: str) -> dict[str, Any] | Refused:
        """A request for this citizen's consent, with the document to sign."""
        return self._read(f"/v1/consent-requests/{request_id}")

    def consent(self, consent_id: str) -> dict[str, Any] | Refused:
        """What the gateway holds of a consent this citizen gave."""
        return self._read(f"/v1/consents/{consent_id}")

    def put_contact(self, channel: str, address: str, language: str) -> dict[str, Any] | Refused:
        """Where to be notified: `email` or `sms` (+86…), in `zh-CN` or `en`. Replaces the one before."""
        body = {"channel": channel, "address": address, "language": language}
        return self._own(self._channel.put("/v1/me/contact", body))

    def contacts(self) -> dict[str, Any] | Refused:
        """Where this citizen is notified."""
        return self._read("/v1/me/contact")

    def drop_contacts(self) -> dict[str, Any] | Refused:
        """Be notified no more: every address is forgotten."""
        return self._own(self._channel.delete("/v1/me/contact"))

    def report(self) -> dict[str, Any] | Refused:
        """Everything that is held about this citizen (CIR, 征信业管理条例, art. 17)."""
        return self._read("/v1/me/report")

    def accesses(self) -> tuple[Access, ...] | Refused:
        """Who looked, when, why and at what: every entry about this citizen. Raises EvidenceFailed.

        Each is checked against its leaf and proof, and all of them against each other, so that none is
        missing between the first and the last.
        """
        found: list[Access] = []
        link = Link()
        while True:
            reply = self._channel.get(f"/v1/me/accesses?after={link.n}" if link.n else "/v1/me/accesses")
            if is_problem(reply):
                return refused(reply)
            page = read_as(json_object(reply, 200), Page)
            for access in page.accesses:
                link = check_access(self.pins, access, link)
            found.extend(page.accesses)
            if page.next is None:
                return tuple(found)
            if not page.accesses:
                raise UnexpectedReply("an empty page says that more follow")

    def _record(self, path: str, body: Mapping[str, Any], state: str) -> Recorded | Refused:
        return recorded(self.pins, self._channel.post(path, dict(body)), body, state)

    def _read(self, path: str) -> dict[str, Any] | Refused:
        return self._own(self._channel.get(path))

    def _own(self, reply: Reply) -> dict[str, Any] | Refused:
        return refused(reply) if is_problem(reply) else json_object(reply, 200)


def recorded(pins: Pins, reply: Reply, body: Mapping[str, Any], state: str) -> Recorded | Refused:
    """What a reply to a grant or a withdrawal proves about the consent in `body`."""
    if is_problem(reply):
        return refused(reply)
    document = body.get("document")
    consent_id = document.get("consent_id") if isinstance(document, dict) else None
    members = json_object(reply, 200, 201)
    if not isinstance(consent_id, str) or members.get("consent_id") != consent_id:
        raise UnexpectedReply("the reply is of another consent")
    return Recorded(consent_id, state, pins.consent(members.get("receipt"), consent_id, state))


def revoked_keys(reply: Reply) -> tuple[RevokedKey, ...] | Refused:
    """What a reply to a revocation says."""
    if is_problem(reply):
        return refused(reply)
    found = json_object(reply, 200, 201).get("revoked")
    if not isinstance(found, list) or not found:
        raise UnexpectedReply("the reply names no key that was revoked")
    return tuple(read_as(one, RevokedKey) for one in found)


def refused(reply: Reply) -> Refused:
    """What a citizen is refused has no receipt: they are not the one who must account for it."""
    problem, _, extra = read_problem(reply)
    return Refused(problem, None, extra)


def _index(body: Mapping[str, Any]) -> int:
    index = body.get("index")
    if type(index) is not int or index < 0:
        raise UnexpectedReply("the reply names no ledger index")
    return index
