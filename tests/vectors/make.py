"""Writes the conformance vectors beside this file anew: `python tests/vectors/make.py`.

Everything is synthetic and made from fixed seeds, and comes out the same each time; what is sealed with fresh
randomness (answers as JWE) is kept when the file is there. `tests/interop/test_vectors.py` holds the files
against our code and against other people's libraries.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from consent.document import Consent, Notice, Withdrawal, consent_hash, format_consent, format_withdrawal
from consent.proof import proof_sha256, sign_consent
from consent.receipt import RECEIPT_TYP, Receipt, format_receipt
from gateway.http.profile import TAG_CITIZEN, TAG_INSTITUTION
from gateway.http.signature import parse_signature, sign_request, signature_base
from keys.canonical import b64u, canonical, sha256_hex, unb64u
from keys.jwe import seal_answer
from keys.jws import sign_jws
from keys.notes import format_vkey, make_vkey
from keys.sealing import generate_x25519
from keys.signing import PrivateKey, generate_key, private_jwk
from ledger.checkpoint import Checkpoint, sign_checkpoint
from ledger.merkle import inclusion_proof, leaf_hash, reader_over, root
from ledger.proof import Proof, format_proof
from tests.vectors import lies

HERE = Path(__file__).parent
ORIGIN = "credit.example.cn/log0"
PUBLIC = "https://credit.example.cn"
AT = 1_795_248_000_000  # 2026-11-21T08:00:00.000Z
HOUR = 3_600_000
BANK = "91110000000000000X"
QUERY = "3f0e5a52-6c5e-4a5c-9b7e-2f6f0f1d9c11"
CONSENT = "0c7f2a6e-8f3b-4d1f-9d53-5a4f7d1f6b20"


def seeded(label: str) -> Any:
    """Bytes that depend on `label` alone, as a source of randomness."""
    counter = iter(range(1_000))

    def random(size: int) -> bytes:
        stream = b"".join(
            hashlib.sha256(f"{label}/{next(counter)}".encode()).digest() for _ in range(size // 32 + 1)
        )
        return stream[:size]

    return random


def key_of(label: str, alg: str = "Ed25519") -> PrivateKey:
    """The key of a party of the vectors."""
    return generate_key(alg, seeded(label))  # type: ignore[arg-type]


def raw(key: PrivateKey) -> bytes:
    """The 32 bytes of an Ed25519 public key."""
    return unb64u(key.jwk["x"])


OPERATOR, CITIZEN, PHONE = key_of("operator"), key_of("citizen"), key_of("phone", "ES256")
RECEIPTS, LOG, STRANGER = key_of("receipts"), key_of("log"), key_of("stranger")


def write(name: str, about: str, cases: list[dict[str, Any]], **shared: Any) -> None:
    """One file of vectors: what it is about, what its cases share, the cases."""
    names = [case["name"] for case in cases]
    assert len(set(names)) == len(names), name
    text = json.dumps(
        {"about": about, **shared, "cases": cases}, ensure_ascii=False, indent=1, sort_keys=True
    )
    (HERE / name).write_text(text + "\n", "utf-8")


def keys() -> None:
    """Private keys of the synthetic parties. Never use them for anything else."""
    parties = {
        "operator": OPERATOR,
        "citizen": CITIZEN,
        "citizen-phone": PHONE,
        "gateway-receipts": RECEIPTS,
        "stranger": STRANGER,
    }
    listed = [
        {"name": name, "alg": key.alg, "kid": key.kid, "jwk": private_jwk(key)}
        for name, key in parties.items()
    ]
    write(
        "keys.json",
        "Keys of the synthetic parties of these vectors; `kid` is the RFC 7638 thumbprint.",
        listed,
    )


def canonical_json() -> None:
    """RFC 8785 as it is used here: ASCII member names, integers below 2^53, no floats, no nulls."""
    good = [
        ("sorted members", {"b": 1, "a": 2}),
        ("nested", {"list": [1, "two", {"z": [], "y": {}}]}),
        ("chinese text is not escaped", {"name": "诚信网关"}),
        ("control characters are escaped", {"text": 'a\tb\n\u0001"\\/'}),
        ("largest integer", {"n": 2**53 - 1}),
        ("negative integer", {"n": -42}),
        ("emoji as UTF-8", {"text": "\U0001f512"}),
    ]
    cases: list[dict[str, Any]] = [
        {
            "name": name,
            "expect": "valid",
            "value": value,
            "canonical": canonical(value).decode(),
            "sha256": sha256_hex(canonical(value)),
        }
        for name, value in good
    ]
    cases += [
        {"name": name, "expect": "refused", "text": text}
        for name, text in (
            ("unsorted members", '{"b":1,"a":2}'),
            ("white space", '{"a": 1}'),
            ("duplicate member", '{"a":1,"a":1}'),
            ("float", '{"a":1.5}'),
            ("integer written as float", '{"a":1.0}'),
            ("null", '{"a":null}'),
            ("integer of 2^53", '{"a":9007199254740992}'),
            ("escaped where it need not be", '{"a":"\\u0041"}'),
            ("escaped slash", '{"a":"\\/"}'),
            ("trailing text", '{"a":1} '),
            ("lone surrogate", '{"a":"\\ud800"}'),
        )
    ]
    write(
        "canonical.json",
        "Canonical JSON (RFC 8785). `text` cases are not the canonical form of anything.",
        cases,
    )


def signatures() -> None:
    """RFC 9421 in the one profile: what a client must produce, and what the gateway refuses and why."""
    body = canonical(
        {
            "query_id": QUERY,
            "consent_id": CONSENT,
            "purpose": "02",
            "categories": ["loan"],
            "answer": "report",
        }
    )
    made = [
        ("institution posts", OPERATOR, TAG_INSTITUTION, "POST", "/v1/queries", body),
        ("institution reads", OPERATOR, TAG_INSTITUTION, "GET", f"/v1/consents/{CONSENT}", None),
        ("target with a query", CITIZEN, TAG_CITIZEN, "GET", "/v1/citizens/me/accesses?after=100", None),
        ("citizen with ES256", PHONE, TAG_CITIZEN, "GET", "/v1/citizens/me/report", None),
    ]
    cases = []
    for name, key, tag, method, target, content in made:
        nonce = b64u(seeded(name)(16))
        media = "application/json" if content else None
        headers = sign_request(method, PUBLIC + target, content, media, key, AT // 1000, nonce, tag)
        parsed = parse_signature(method, {k.lower(): v for k, v in headers.items()})
        base = signature_base(
            parsed.components, parsed.params, method, PUBLIC + target, media, headers.get("Content-Digest")
        )
        cases.append(
            {
                "name": name,
                "expect": "valid",
                "method": method,
                "target": target,
                "body": None if content is None else content.decode(),
                "headers": headers,
                "signature_base": base.decode(),
                "public": dict(key.jwk),
                "tag": tag,
                "now": AT,
            }
        )
    cases += lies.of_signatures(cases[0], cases[1])
    write(
        "http-signatures.json",
        "Signed requests (RFC 9421, RFC 9530). `refused` cases are changed after signing or signed wrongly; "
        "`why` is the gateway's code.",
        cases,
        public_origin=PUBLIC,
    )


def _consent(key: PrivateKey) -> Consent:
    return Consent(
        consent_id=CONSENT,
        gateway=ORIGIN,
        subject=key.kid,
        recipient=BANK,
        purpose="02",
        categories=("judgment", "loan"),
        answer="report",
        not_before=AT,
        not_after=AT + 30 * 24 * HOUR,
        max_uses=3,
        retention_days=30,
        notice=Notice(language="zh-CN", template="consent-02/v1", sha256=sha256_hex("示例文本".encode())),
        case_ref_sha256=sha256_hex(b"a file number"),
        nonce=b64u(seeded("consent")(16)),
    )


def consents() -> None:
    """Documents that a citizen signs, their hash, and proofs that hold or do not."""
    cases = []
    for name, key in (("signed with Ed25519", CITIZEN), ("signed with ES256", PHONE)):
        consent = _consent(key)
        proof = sign_consent(consent, key)
        cases.append(
            {
                "name": name,
                "expect": "valid",
                "document": json.loads(format_consent(consent)),
                "consent_hash": consent_hash(consent).hex(),
                "proof": proof,
                "proof_sha256": proof_sha256(proof),
                "public": dict(key.jwk),
            }
        )
    withdrawal = Withdrawal(
        consent_id=CONSENT, gateway=ORIGIN, subject=CITIZEN.kid, nonce=b64u(seeded("back")(16))
    )
    stolen = sign_jws(format_withdrawal(withdrawal), CITIZEN, "withdrawal+jwt")
    cases += lies.of_consents(cases[0], CITIZEN, STRANGER, stolen)
    write("consents.json", "Consents (chengxin/consent/v1) and their JWS proofs.", cases, gateway=ORIGIN)


def _tree() -> tuple[list[bytes], bytes, Checkpoint]:
    leaves = [canonical({"leaf": number, "of": "vectors"}) for number in range(5)]
    hashes = [leaf_hash(leaf) for leaf in leaves]
    return hashes, leaf_hash(leaves[3]), Checkpoint(ORIGIN, len(hashes), root(hashes))


def receipts() -> None:
    """What a bank must verify before it believes an answer or a refusal."""
    answer = {
        "type": "chengxin/answer/v1",
        "query_id": QUERY,
        "purpose": "02",
        "as_of": "2026-11-21T08:00:00.000Z",
        "records": {"loan": [{"category": "loan", "adverse": False, "fields": {"amount": 2096}}]},
    }
    _, leaf, _ = _tree()
    cases = []
    for name, decision, extra in (
        (
            "a disclosed answer",
            "disclosed",
            {"query_id": QUERY, "answer_sha256": sha256_hex(canonical(answer))},
        ),
        (
            "the same answer again",
            "redelivered",
            {"query_id": QUERY, "answer_sha256": sha256_hex(canonical(answer))},
        ),
        ("a refusal", "refused", {"query_id": QUERY, "reason": "withdrawn"}),
    ):
        receipt = Receipt(log=ORIGIN, index=3, leaf=leaf.hex(), at=AT, decision=decision, **extra)  # type: ignore[arg-type]
        case = {
            "name": name,
            "expect": "valid",
            "receipt": sign_jws(format_receipt(receipt), RECEIPTS, RECEIPT_TYP),
            "query_id": QUERY,
            "decision": decision,
        }
        cases.append(case | ({"answer": answer} if "answer_sha256" in extra else {"reason": "withdrawn"}))
    cases += lies.of_receipts(cases, RECEIPTS, STRANGER)
    write(
        "receipts.json",
        "Receipts (chengxin/receipt/v1) over answers and refusals, by the receipt key that a client pins.",
        cases,
        log=ORIGIN,
        public=dict(RECEIPTS.jwk),
    )


def proofs() -> None:
    """C2SP tlog-proof@v1 under a signed checkpoint."""
    hashes, leaf, checkpoint = _tree()
    public = raw(LOG)
    note = sign_checkpoint(checkpoint, LOG.sign, public)
    path = inclusion_proof(reader_over(hashes), len(hashes), 3)
    good = format_proof(Proof(3, path, note))
    cases = [
        {
            "name": "a leaf of five",
            "expect": "valid",
            "index": 3,
            "leaf_hash": leaf.hex(),
            "proof": good.decode(),
        }
    ]
    forged = sign_checkpoint(checkpoint, STRANGER.sign, raw(STRANGER))
    cases += lies.of_proofs(cases[0], path, note, forged)
    write(
        "proofs.json",
        "Inclusion proofs (c2sp.org/tlog-proof@v1) under the checkpoint key that the client pinned.",
        cases,
        vkey=format_vkey(make_vkey(ORIGIN, public)),
    )


def answers() -> None:
    """Answers sealed to an institution's X25519 key. Sealing is random: a file that is there is kept."""
    if (HERE / "answers.json").exists():
        return
    private, public = generate_x25519(seeded("bank's answers"))
    other, _ = generate_x25519(seeded("another bank's answers"))
    answer = {"answer": "yes", "predicate": "no-overdue-90d", "type": "chengxin/predicate-answer/v1"}
    plain = canonical(answer)
    good: dict[str, Any] = {
        "name": "an answer for this bank",
        "expect": "valid",
        "jwe": seal_answer(plain, public),
        "answer": answer,
        "answer_sha256": sha256_hex(plain),
    }
    strangers = seal_answer(plain, {name: value for name, value in other.items() if name != "d"})
    write(
        "answers.json",
        "Answers as JWE (ECDH-ES, A256GCM, X25519), to be opened with `private` (a JWK).",
        [good, *lies.of_answers(good, strangers)],
        private=private,
    )


if __name__ == "__main__":
    for make in (keys, canonical_json, signatures, consents, receipts, proofs, answers):
        make()
