"""A gateway of a few lines that a test can make lie: real signatures, receipts, Merkle proofs and
checkpoints.

It checks every request's signature with the gateway's own verifier, so a client that signs wrongly fails
here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx

from consent.document import Notice, Template, format_template
from consent.receipt import RECEIPT_TYP, Receipt, format_receipt
from gateway.client import BankClient, CitizenClient, Terms
from gateway.http.problems import PROBLEMS
from gateway.http.signature import TAG_CITIZEN, TAG_INSTITUTION, parse_signature, target_uri, verify_request
from keys.canonical import b64u, canonical, parse_canonical, sha256_hex
from keys.instant import format_instant
from keys.jws import sign_jws
from keys.notes import format_vkey, make_vkey
from keys.signing import Ed25519PrivateKey, Es256PrivateKey, parse_public_jwk
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.merkle import inclusion_proof, leaf_hash, reader_over, root
from ledger.proof import Proof, format_proof

NOW_MS = 1_795_248_000_000
URL = "http://localhost:8443"
LOG = "credit.example.cn/log0"
BANK = "91460000MA5T000000"
OPERATOR_KEY = Ed25519PrivateKey(b"operator".ljust(32))
CITIZEN_KEY = Es256PrivateKey(b"citizen".ljust(32))
RECEIPT_KEY = Ed25519PrivateKey(b"receipt".ljust(32))
LOG_KEY = Ed25519PrivateKey(b"checkpoint".ljust(32))
FOREIGN_KEY = Ed25519PrivateKey(b"foreign".ljust(32))
VKEY = make_vkey(LOG, parse_public_jwk(LOG_KEY.jwk).point)

PAGE = 3
REQUEST_ID = "00000000-0000-4000-8000-000000000001"
CONSENT_ID = "00000000-0000-4000-8000-000000000002"
QUERY_ID = "00000000-0000-4000-8000-000000000003"
NUMBER = "11010119900307001X"
NOTICE = "某银行请求查询您的信用报告。"

TERMS = Terms(
    purpose="02",
    categories=("loan", "judgment"),
    not_before=NOW_MS,
    not_after=NOW_MS + 86_400_000,
    max_uses=1,
    retention_days=30,
)
TEMPLATE = Template(
    consent_id=CONSENT_ID,
    gateway=LOG,
    recipient=BANK,
    purpose="02",
    categories=("judgment", "loan"),
    answer="report",
    not_before=TERMS.not_before,
    not_after=TERMS.not_after,
    max_uses=1,
    retention_days=30,
    notice=Notice(language="zh-CN", template="consent-02/v1", sha256=sha256_hex(NOTICE.encode())),
    case_ref_sha256="00" * 32,
    nonce=b64u(bytes(16)),
)
CONTENT = {"categories": {"loan": [{"amount": 5000, "state": "已结清"}]}}


class StandIn:
    """`lie` changes a reply's members before it is sent; `published` is how many leaves a checkpoint
    covers."""

    def __init__(self) -> None:
        self.leaves: list[bytes] = []
        self.published: int | None = None
        self.refuse: str | None = None
        self.content: dict[str, Any] = CONTENT
        self.decision = "disclosed"
        self.receipt_key = RECEIPT_KEY
        self.log_key = LOG_KEY
        self.lie: Callable[[dict[str, Any]], None] = lambda members: None
        self.receipt_lie: dict[str, Any] = {}
        self.bodies: list[dict[str, Any]] = []
        self.nonces: set[str] = set()

    def bank(self, key: Ed25519PrivateKey = OPERATOR_KEY) -> BankClient:
        return BankClient(
            URL, key, VKEY, parse_public_jwk(RECEIPT_KEY.jwk), http=self.http(), clock=lambda: NOW_MS
        )

    def citizen(self) -> CitizenClient:
        return CitizenClient(
            URL,
            CITIZEN_KEY,
            format_vkey(VKEY),
            parse_public_jwk(RECEIPT_KEY.jwk),
            http=self.http(),
            clock=lambda: NOW_MS,
        )

    def http(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self._serve))

    def append(self, kind: str, body: dict[str, Any], by: dict[str, str] | None = None) -> int:
        index = len(self.leaves)
        leaf: dict[str, Any] = {
            "v": 1,
            "log": LOG,
            "index": index,
            "at": format_instant(NOW_MS + index),
            "type": kind,
            "subject": {
                "tag": "11" * 16,
                "n": index + 1,
                "prev": leaf_hash(self.leaves[-1]).hex() if self.leaves else "00" * 32,
            },
            "body": body,
        }
        self.leaves.append(canonical(leaf | ({"by": by} if by else {})))
        return index

    def proof(self, index: int) -> bytes:
        size = len(self.leaves) if self.published is None else self.published
        hashes = [leaf_hash(leaf) for leaf in self.leaves[:size]]
        point = parse_public_jwk(self.log_key.jwk).point
        note = sign_checkpoint(Checkpoint(LOG, size, root(hashes)), self.log_key.sign, point)
        return format_proof(Proof(index, inclusion_proof(reader_over(hashes), size, index), note))

    def receipt(self, index: int, decision: str, **members: Any) -> str:
        fields: dict[str, Any] = {
            "log": LOG,
            "index": index,
            "leaf": leaf_hash(self.leaves[index]).hex(),
            "at": NOW_MS,
            "decision": decision,
        }
        receipt = Receipt(**fields | members | self.receipt_lie)
        return sign_jws(format_receipt(receipt), self.receipt_key, RECEIPT_TYP)

    def _serve(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        if path == "/v1/keys":
            return self._json(200, self._keys())
        self._authenticate(request, path)
        body = parse_canonical(request.content) if request.content else {}
        self.bodies.append(body)
        if self.refuse:
            return self._refusal(path, body)
        if path.startswith("/v1/ledger/proofs/"):
            return self._proof(int(path.rpartition("/")[2]))
        status, members = _ROUTES[request.method, path](self, body)
        return self._json(status, members)

    def _authenticate(self, request: httpx.Request, path: str) -> None:
        parsed = parse_signature(request.method, request.headers)
        citizen = parsed.keyid == CITIZEN_KEY.kid
        verify_request(
            parsed,
            request.method,
            target_uri(URL, path),
            request.content,
            request.headers.get("content-type"),
            request.headers.get("content-digest"),
            parse_public_jwk(CITIZEN_KEY.jwk if citizen else OPERATOR_KEY.jwk),
            TAG_CITIZEN if citizen else TAG_INSTITUTION,
            NOW_MS,
        )
        assert parsed.nonce not in self.nonces
        self.nonces.add(parsed.nonce)

    def _proof(self, index: int) -> httpx.Response:
        if self.published is not None and index >= self.published:
            self.published += 1
            row = PROBLEMS["not-yet-published"]
            return httpx.Response(row.status, headers=row.headers(), content=row.to_json())
        return httpx.Response(
            200, headers={"Content-Type": "text/plain; charset=utf-8"}, content=self.proof(index)
        )

    def _refusal(self, path: str, body: dict[str, Any]) -> httpx.Response:
        row = PROBLEMS[self.refuse or ""]
        receipt = None
        recorded_as = body.get("query_id", body.get("request_id"))
        if row.status in (403, 409) and path in ("/v1/queries", "/v1/consent-requests"):
            index = self.append("query.refused", {"reason": row.name})
            receipt = self.receipt(index, "refused", query_id=recorded_as, reason=row.name)
        members = row.members(receipt)
        self.lie(members)
        return httpx.Response(row.status, headers=row.headers(), content=canonical(members))

    def _keys(self) -> dict[str, Any]:
        key = {"use": "receipt", "kid": RECEIPT_KEY.kid, "public": RECEIPT_KEY.jwk, "holder": LOG, "index": 2}
        older = {**key, "kid": FOREIGN_KEY.kid, "public": FOREIGN_KEY.jwk, "index": 1}
        return {"origin": LOG, "vkey": format_vkey(VKEY), "keys": [key, older]}

    def _json(self, status: int, members: dict[str, Any]) -> httpx.Response:
        self.lie(members)
        return httpx.Response(
            status, headers={"Content-Type": "application/json"}, content=json.dumps(members).encode()
        )


def _request_consent(gateway: StandIn, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    document = format_template(TEMPLATE)
    return 201, {
        "request_id": body["request_id"],
        "consent_id": CONSENT_ID,
        "document": parse_canonical(document),
        "document_sha256": sha256_hex(document),
        "notice_text": NOTICE,
        "index": gateway.append("consent.requested", {"recipient": BANK, "purpose": "02"}),
    }


def _state(gateway: StandIn, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    document = parse_canonical(format_template(TEMPLATE))
    return 200, {"request_id": REQUEST_ID, "state": "requested", "document": document}


def _query(gateway: StandIn, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    index = gateway.append(
        "query.disclosed",
        {"purpose": body["purpose"], "categories": body["categories"]},
        {"institution": BANK, "operator": "op-0"},
    )
    digest = sha256_hex(canonical(gateway.content))
    token = gateway.receipt(index, gateway.decision, query_id=body["query_id"], answer_sha256=digest)
    return 200, {"answer": json.loads(canonical(gateway.content)), "receipt": token}


def _consent_event(kind: str) -> Callable[[StandIn, dict[str, Any]], tuple[int, dict[str, Any]]]:
    def record(gateway: StandIn, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        index = gateway.append(f"consent.{kind}", {})
        consent = body["document"]["consent_id"]
        return 201, {
            "consent_id": consent,
            "state": kind,
            "receipt": gateway.receipt(index, kind, consent_id=consent),
        }

    return record


def _accesses(gateway: StandIn, body: dict[str, Any], after: int = 0) -> tuple[int, dict[str, Any]]:
    listed = []
    for index, leaf in list(enumerate(gateway.leaves))[after : after + PAGE]:
        members = parse_canonical(leaf)
        told, by = members["body"], members.get("by", {})
        access = {"index": index, "at": members["at"], "type": members["type"], "leaf": b64u(leaf)}
        access |= {name: told[name] for name in ("purpose", "categories", "reason") if name in told}
        if "institution" in by:
            access |= {"institution": by["institution"], "institution_name": "某银行"}
        if members["type"].startswith("query."):
            access["decision"] = members["type"].removeprefix("query.")
        if gateway.published is None or index < gateway.published:
            access["proof"] = gateway.proof(index).decode()
        listed.append(access)
    more = len(gateway.leaves) > after + PAGE
    return 200, {"accesses": listed} | ({"next": after + PAGE} if more else {})


_ROUTES: dict[tuple[str, str], Callable[[StandIn, dict[str, Any]], tuple[int, dict[str, Any]]]] = {
    ("POST", "/v1/consent-requests"): _request_consent,
    ("GET", f"/v1/consent-requests/{REQUEST_ID}"): _state,
    ("POST", f"/v1/consent-requests/{REQUEST_ID}/decline"): lambda gateway, body: (
        200,
        {"request_id": REQUEST_ID, "state": "declined", "index": gateway.append("consent.declined", {})},
    ),
    ("GET", f"/v1/consents/{CONSENT_ID}"): lambda gateway, body: (
        200,
        {"consent_id": CONSENT_ID, "state": "granted"},
    ),
    ("POST", "/v1/consents"): _consent_event("granted"),
    ("POST", "/v1/withdrawals"): _consent_event("withdrawn"),
    ("POST", "/v1/enrolments"): lambda gateway, body: (
        201,
        {"index": gateway.append("subject.enrolled", {})},
    ),
    ("POST", "/v1/queries"): _query,
    ("GET", "/v1/me/report"): lambda gateway, body: (200, {"categories": {}}),
    ("GET", "/v1/me/accesses"): _accesses,
    ("GET", f"/v1/me/accesses?after={PAGE}"): lambda gateway, body: _accesses(gateway, body, PAGE),
}
