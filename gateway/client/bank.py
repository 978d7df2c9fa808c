"""The bank's side (查询机构): ask for consent, query under it, keep what proves both.

Invariant: an answer is returned only with a receipt, by the pinned key, that covers this answer to this
query; a refusal of a query only with the receipt of that refusal. What is said without evidence raises.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from consent.document import Template, parse_template
from consent.errors import ConsentError
from consent.receipt import Receipt
from gateway.client.errors import EvidenceFailed, UnexpectedReply
from gateway.client.events import Told, read_events
from gateway.client.form import require_asked
from gateway.client.pinned import PinnedClient
from gateway.client.reply import Refused, Reply, Signed, is_problem, json_object, read_problem
from gateway.client.sealed import content_of
from gateway.http.signature import TAG_INSTITUTION
from keys.canonical import canonical, sha256_hex
from keys.instant import format_instant
from keys.signing import Jwk
from ledger.checkpoint import Checkpoint

PROOF_ATTEMPTS: Final = 10


@dataclass(frozen=True, slots=True)
class Person:
    """Whom the bank means: citizen number (公民身份号码) and, if it likes, the name; neither in a repr."""

    citizen_number: str
    name: str | None = None

    def __repr__(self) -> str:
        return "Person(…)"

    def members(self) -> dict[str, str]:
        return {"citizen_number": self.citizen_number} | (
            {"name": self.name} if self.name is not None else {}
        )


@dataclass(frozen=True, slots=True)
class Terms:
    """What consent is asked for. Times are Unix ms, `not_after` exclusive; `language` is BCP 47."""

    purpose: str
    categories: tuple[str, ...]
    not_before: int
    not_after: int
    max_uses: int
    retention_days: int
    answer: str = "report"
    language: str = "zh-CN"


@dataclass(frozen=True, slots=True)
class ConsentRequested:
    """A request for consent, recorded: `template` is the JCS of the document for the citizen's wallet."""

    request_id: str
    consent_id: str
    template: bytes
    document_sha256: str
    notice_text: str
    index: int


@dataclass(frozen=True, slots=True)
class RequestState:
    """A request's state: requested, granted, declined or lapsed. `template` is the JCS of its document."""

    request_id: str
    state: str
    template: bytes | None
    consent_id: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A disclosed answer and the verified receipt that covers it. Keep `signed.token` with the file."""

    answer: dict[str, Any]
    signed: Signed

    @property
    def receipt(self) -> Receipt:
        return self.signed.receipt

    def __repr__(self) -> str:
        return f"Answer(index={self.receipt.index})"  # the answer itself must not reach a log


@dataclass(frozen=True, slots=True)
class Proven:
    """A receipt's entry stands in the log: `proof` (tlog-proof@v1 text) leads to this checkpoint."""

    proof: bytes
    checkpoint: Checkpoint


class BankClient(PinnedClient):
    """One operator (查询用户) of one institution. `vkey` and `receipt_key` are pinned, not fetched.

    `encryption_key` is the institution's private X25519 JWK, if it registered one: then an answer in clear is
    refused. Raises Unreachable, UnexpectedReply, EvidenceFailed; refusals come back as `Refused`.
    """

    TAG: ClassVar[str] = TAG_INSTITUTION

    def __init__(self, *args: Any, encryption_key: Jwk | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._encryption_key = encryption_key

    def request_consent(
        self, request_id: str, person: Person, terms: Terms, *, case_ref: str | None = None
    ) -> ConsentRequested | Refused:
        """Ask for a person's consent. The document that comes back is checked to be the one asked for."""
        body = {
            "request_id": request_id,
            "person": person.members(),
            "purpose": terms.purpose,
            "categories": sorted(set(terms.categories)),
            "answer": terms.answer,
            "not_before": format_instant(terms.not_before),
            "not_after": format_instant(terms.not_after),
            "max_uses": terms.max_uses,
            "retention_days": terms.retention_days,
            "language": terms.language,
        } | ({"case_ref": case_ref} if case_ref is not None else {})
        reply = self._channel.post("/v1/consent-requests", body)
        if is_problem(reply):
            return self._refused(reply, request_id)
        return _read_requested(json_object(reply, 200, 201), request_id, terms, self.pins.vkey.name)

    def consent_request(self, request_id: str) -> RequestState | Refused:
        """The state of a request of this institution."""
        reply = self._channel.get(f"/v1/consent-requests/{request_id}")
        if is_problem(reply):
            return self._refused(reply, None)
        body = json_object(reply, 200)
        if body.get("request_id") != request_id or not isinstance(body.get("state"), str):
            raise UnexpectedReply("the state is of another request")
        document, consent_id = body.get("document"), body.get("consent_id")
        return RequestState(
            request_id,
            body["state"],
            canonical(document) if document is not None else None,
            consent_id if isinstance(consent_id, str) else None,
        )

    def consent(self, consent_id: str) -> dict[str, Any] | Refused:
        """What the gateway holds of a consent given to this institution."""
        reply = self._channel.get(f"/v1/consents/{consent_id}")
        return self._refused(reply, None) if is_problem(reply) else json_object(reply, 200)

    def query(
        self,
        query_id: str,
        consent_id: str,
        purpose: str,
        categories: Collection[str],
        *,
        answer: str = "report",
        person_check: Person | None = None,
        case_ref: str | None = None,
    ) -> Answer | Refused:
        """Query under a consent. `query_id` is a fresh UUID; keep it until the reply has come.

        Sent again with every argument the same, within the policy's hours, it brings the same answer again
        and takes no use: do that when no reply came, or one that says `undelivered`. `answer` is `report` or
        `predicate:NAME`.
        """
        body: dict[str, object] = {
            "query_id": query_id,
            "consent_id": consent_id,
            "purpose": purpose,
            "categories": sorted(set(categories)),
            "answer": answer,
        }
        if person_check is not None:
            body["person_check"] = person_check.members()
        if case_ref is not None:
            body["case_ref"] = case_ref
        reply = self._channel.post("/v1/queries", body)
        if is_problem(reply):
            return self._refused(reply, query_id)
        disclosed = json_object(reply, 200)
        content = content_of(disclosed, self._encryption_key)
        require_asked(content, answer)
        return Answer(content, self.pins.disclosure(disclosed.get("receipt"), query_id, content))

    def events(self, after: int = 0, limit: int = 100) -> tuple[Told, ...] | Refused:
        """What this institution is told of, beyond the event with number `after`; at most 1000 at once."""
        reply = self._channel.get(f"/v1/events?after={after}&limit={limit}")
        return self._refused(reply, None) if is_problem(reply) else read_events(reply, after)

    def proof(self, index: int) -> bytes | Refused:
        """The tlog-proof@v1 text of the entry at `index`, not yet verified."""
        reply = self._channel.get(f"/v1/ledger/proofs/{index}")
        if is_problem(reply):
            return self._refused(reply, None)
        if reply.status != 200 or reply.media_type != "text/plain":
            raise UnexpectedReply(f"the gateway replied {reply.status} where a proof was asked for")
        return reply.body

    def verify_inclusion(self, receipt: Receipt, proof: bytes) -> Checkpoint:
        """Check that the receipt's entry stands in the log. Raises EvidenceFailed."""
        return self.pins.inclusion(proof, receipt.index, bytes.fromhex(receipt.leaf))

    def prove(
        self,
        receipt: Receipt,
        *,
        attempts: int = PROOF_ATTEMPTS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Proven | Refused:
        """Fetch and verify the proof of a receipt's entry, waiting for the next checkpoint when it must."""
        for left in reversed(range(attempts)):
            proof = self.proof(receipt.index)
            if isinstance(proof, bytes):
                return Proven(proof, self.verify_inclusion(receipt, proof))
            if proof.problem.name != "not-yet-published" or left == 0:
                return proof
            sleep(proof.problem.retry_after or 1)
        raise ValueError("attempts must be at least 1")

    def _refused(self, reply: Reply, recorded_as: str | None) -> Refused:
        """The refusal of a reply. `recorded_as` is the id under which a decision must stand in the ledger."""
        problem, token, extra = read_problem(reply)
        if recorded_as is not None and (
            problem.status == 403 or (problem.status == 409 and token is not None)
        ):
            return Refused(problem, self.pins.refusal(token, recorded_as, problem.name), extra)
        signed = self.pins.receipt(token) if token is not None else None
        if signed is not None and signed.receipt.query_id != recorded_as:
            raise EvidenceFailed("the receipt is of another request")
        return Refused(problem, signed, extra)


def _read_requested(body: dict[str, Any], request_id: str, terms: Terms, origin: str) -> ConsentRequested:
    """Read a 201, and check that what the citizen will be shown is what the bank asked for."""
    try:
        requested = ConsentRequested(
            request_id=body["request_id"],
            consent_id=body["consent_id"],
            template=canonical(body["document"]),
            document_sha256=body["document_sha256"],
            notice_text=body["notice_text"],
            index=body["index"],
        )
        template = parse_template(requested.template)
        notice = sha256_hex(requested.notice_text.encode("utf-8"))
    except (KeyError, TypeError, AttributeError, ConsentError):
        raise UnexpectedReply("the reply holds no document to sign") from None
    if (
        requested.request_id != request_id
        or requested.consent_id != template.consent_id
        or requested.document_sha256 != sha256_hex(requested.template)
        or template.gateway != origin
        or template.notice.sha256 != notice
        or _terms_of(template) != _sorted_terms(terms)
    ):
        raise EvidenceFailed("the document to sign is not the one that was asked for")
    return requested


def _terms_of(template: Template) -> Terms:
    return Terms(
        purpose=template.purpose,
        categories=template.categories,
        not_before=template.not_before,
        not_after=template.not_after,
        max_uses=template.max_uses,
        retention_days=template.retention_days,
        answer=template.answer,
        language=template.notice.language,
    )


def _sorted_terms(terms: Terms) -> Terms:
    members = {name: getattr(terms, name) for name in Terms.__slots__}
    return Terms(**members | {"categories": tuple(sorted(set(terms.categories)))})
