"""A small world: one citizen with two kinds of key, one registrar with officers, one bank, the policy that
ships.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from consent.document import Consent, Notice, Template
from consent.enrolment import (
    Certificate,
    EnrolmentDocument,
    OfficerCertificate,
    draft_enrolment,
    make_certificate,
    officer_sign,
    sign_officer,
)
from consent.policy import PolicyBundle, default_policy
from keys.canonical import b64u
from keys.instant import DAY, parse_instant
from keys.signing import PrivateKey, PublicKey, generate_key, parse_public_jwk

NOW = parse_instant("2026-11-21T08:00:00.000Z")
GATEWAY = "credit.example.cn/log0"
BANK = "91310000MA1FL00000"
CITIZEN_NUMBER = "11010519491231002X"
draw = random.Random("consent").randbytes


def public(key: PrivateKey) -> PublicKey:
    return parse_public_jwk(key.jwk)


@dataclass(frozen=True)
class World:
    now: int = NOW
    gateway: str = GATEWAY
    bank: str = BANK
    citizen_number: str = CITIZEN_NUMBER
    citizen: PrivateKey = field(default_factory=lambda: generate_key("Ed25519", draw))
    phone: PrivateKey = field(default_factory=lambda: generate_key("ES256", draw))
    registrar: PrivateKey = field(default_factory=lambda: generate_key("Ed25519", draw))
    wang: PrivateKey = field(default_factory=lambda: generate_key("Ed25519", draw))
    zhao: PrivateKey = field(default_factory=lambda: generate_key("ES256", draw))
    policy: PolicyBundle = field(default_factory=lambda: default_policy(demo=True))

    def members(self, **changed: Any) -> dict[str, Any]:
        """Members of a consent as values (times in ms)."""
        return {
            "consent_id": "0b9d5a52-7d1f-4c3e-9a52-3f1f5f0c8a11",
            "gateway": self.gateway,
            "subject": self.citizen.kid,
            "recipient": self.bank,
            "purpose": "02",
            "categories": ("judgment", "loan"),
            "answer": "report",
            "not_before": self.now,
            "not_after": self.now + 30 * DAY,
            "max_uses": 2,
            "retention_days": 30,
            "notice": Notice(language="zh-CN", template="consent-02/v1", sha256="ab" * 32),
            "case_ref_sha256": "cd" * 32,
            "nonce": b64u(b"n" * 16),
        } | changed

    def consent(self, **changed: Any) -> Consent:
        return Consent(**self.members(**changed))

    def template(self, **changed: Any) -> Template:
        members = self.members(**changed)
        del members["subject"]
        return Template(**members)

    def officer(self, name: str, key: PrivateKey, **changed: Any) -> str:
        """An officer's certificate by the registrar, unless `by` says otherwise."""
        by: PrivateKey = changed.pop("by", self.registrar)
        members = {
            "registrar": "haikou",
            "officer": name,
            "jwk": key.jwk,
            "not_before": self.now - DAY,
            "not_after": self.now + DAY,
        } | changed
        return sign_officer(OfficerCertificate(**members), by)

    def enrolment(self, **changed: Any) -> EnrolmentDocument:
        members: dict[str, Any] = {
            "gateway": self.gateway,
            "citizen_number": self.citizen_number,
            "citizen_key": public(self.citizen),
            "assurance": "in-person",
            "registrar": "haikou",
            "officers": ("zhao", "wang"),
            "at": self.now,
            "salt": b"s" * 16,
        } | changed
        return draft_enrolment(**members)

    def certificate(self, **changed: Any) -> Certificate:
        document = self.enrolment(**changed)
        return make_certificate(
            document,
            (officer_sign(document, self.wang), officer_sign(document, self.zhao)),
            (self.officer("wang", self.wang), self.officer("zhao", self.zhao)),
        )


@pytest.fixture(scope="session")
def world() -> World:
    return World()
