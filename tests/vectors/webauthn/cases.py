"""What these vectors are about: one consent and its withdrawal, and how a case is written down."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from consent.document import Consent, Notice, Withdrawal, format_consent, format_withdrawal
from consent.webauthn import (
    Assertion,
    KeptProof,
    RelyingParty,
    consent_challenge,
    format_kept,
    keep,
    kept_sha256,
    withdrawal_challenge,
)
from keys.canonical import b64u, sha256_hex, unb64u
from keys.signing import Ed25519PrivateKey, Es256PrivateKey, PrivateKey, PublicKey, parse_public_jwk
from tests.passkeys import SoftPasskey

ORIGIN = "credit.example.cn/log0"
AT = 1_795_248_000_000  # 2026-11-21T08:00:00.000Z
DAY = 86_400_000
CONSENT = "0c7f2a6e-8f3b-4d1f-9d53-5a4f7d1f6b20"

Case = dict[str, Any]


def seeded(label: str, size: int) -> bytes:
    """Bytes that depend on `label` alone."""
    return hashlib.sha256(f"webauthn/{label}".encode()).digest()[:size]


PARTY = RelyingParty("credit.example.cn", ("https://credit.example.cn", "https://m.credit.example.cn:8443"))
NONCE = seeded("server nonce", 32)
PHONE = Es256PrivateKey(seeded("phone", 32))
TABLET = Ed25519PrivateKey(seeded("tablet", 32))
STRANGER = Es256PrivateKey(seeded("stranger", 32))


def document(kind: str, subject: str) -> bytes:
    """JCS of the consent, or of its withdrawal, by the key with this thumbprint."""
    if kind == "withdrawal":
        nonce = b64u(seeded("withdrawal", 16))
        return format_withdrawal(Withdrawal(consent_id=CONSENT, gateway=ORIGIN, subject=subject, nonce=nonce))
    members: dict[str, Any] = {
        "consent_id": CONSENT,
        "gateway": ORIGIN,
        "subject": subject,
        "recipient": "91110000000000000X",
        "purpose": "02",
        "categories": ("judgment", "loan"),
        "answer": "report",
        "not_before": AT,
        "not_after": AT + 30 * DAY,
        "max_uses": 3,
        "retention_days": 30,
        "notice": Notice(language="zh-CN", template="consent-02/v1", sha256=sha256_hex("示例文本".encode())),
        "case_ref_sha256": sha256_hex(b"a file number"),
        "nonce": b64u(seeded("consent", 16)),
    }
    return format_consent(Consent(**members))


def challenge_of(kind: str, nonce: bytes, signed: bytes) -> bytes:
    """The challenge of a document."""
    return (consent_challenge if kind == "consent" else withdrawal_challenge)(nonce, signed)


def passkey(key: PrivateKey) -> SoftPasskey:
    """The passkey of one of the keys, at the first origin."""
    return SoftPasskey(key, PARTY.origins[0])


def made(name: str, soft: SoftPasskey, kind: str = "consent", challenge: bytes | None = None) -> Case:
    """A case whose assertion is by `soft`, over the document's own challenge unless another is given."""
    signed = document(kind, soft.key.kid)
    got = soft(challenge or challenge_of(kind, NONCE, signed), PARTY.rp_id)
    sent = Assertion(
        server_nonce=b64u(NONCE),
        authenticator_data=b64u(got.authenticator_data),
        client_data_json=b64u(got.client_data_json),
        signature=b64u(got.signature),
    )
    key = parse_public_jwk(soft.key.jwk)
    return case(name, kind, signed, keep(sent, PARTY, key), key)


def own_challenge(key: PrivateKey) -> bytes:
    return consent_challenge(NONCE, document("consent", key.kid))


def case(name: str, kind: str, signed: bytes, kept: KeptProof, key: PublicKey) -> Case:
    """One valid case."""
    return {
        "name": name,
        "expect": "valid",
        "kind": kind,
        "document": json.loads(signed),
        "challenge": b64u(challenge_of(kind, unb64u(kept.server_nonce), signed)),
        "proof": json.loads(format_kept(kept)),
        "proof_sha256": kept_sha256(kept, signed),
        "public": dict(key.jwk),
    }


def write(path: Path, about: str, found: list[Case]) -> None:
    """A file of vectors."""
    names = [one["name"] for one in found]
    assert len(set(names)) == len(names), path
    text = json.dumps({"about": about, "cases": found}, ensure_ascii=False, indent=1, sort_keys=True)
    path.write_text(text + "\n", "utf-8")
