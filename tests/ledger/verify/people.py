"""Who appears in the story, with real keys, and the documents that they sign, made here member by member."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keys.canonical import b64u, canonical, sha256, sha256_hex, tagged_hash, unb64u
from keys.instant import DAY, format_instant
from keys.jws import sign_jws
from keys.sealing import generate_x25519, parse_x25519_jwk
from keys.signing import Ed25519PrivateKey, PrivateKey, generate_key, thumbprint, thumbprint_bytes
from tests.ledger.verify.forge import ORIGIN, START, Source

BANK, RIVAL, COURT, REGULATOR, BUREAU = (
    "91440101MA5AAAAA1X",
    "91440101MA5BBBBB2X",
    "11440000MB2CCCCC3X",
    "11100000MB2DDDDD4X",
    "11440000MB2FFFFF6X",
)
TELLER, OTHER_TELLER, ADMIN, CLERK, INSPECTOR = (f"op-{digit * 16}" for digit in "12345")
CASEWORKER, SUPERVISOR, DEPUTY, STEWARD, SIGNATORY = (f"op-{digit * 16}" for digit in "6789a")
"""Of the bureau: who queries, who approves, who does both, its administrator; of the bank: who approves."""
NOTARY = "gd-notary"
"""The registrar."""


class Regulator:
    """An X25519 key pair and its names."""

    def __init__(self, seed: str) -> None:
        self.private, self.jwk = generate_x25519(Source(seed).bytes)
        self.kid = thumbprint(self.jwk)
        self.public = parse_x25519_jwk(self.jwk)


@dataclass(frozen=True)
class Registrar:
    """A registrar's key and its two officers' keys."""

    name: str
    key: PrivateKey
    officers: dict[str, PrivateKey]

    def certificate(self, citizen: PrivateKey, **changes: Any) -> dict[str, Any]:
        """The certificate that `citizen` is somebody, signed by both officers."""
        ids = sorted(self.officers)
        document = {
            "type": "chengxin/enrolment/v1",
            "gateway": ORIGIN,
            "person": sha256_hex(b"somebody" + citizen.kid.encode()),
            "salt": b64u(sha256(citizen.kid.encode())[:16]),
            "key": citizen.kid,
            "jwk": citizen.jwk,
            "assurance": "in-person",
            "registrar": self.name,
            "officers": ids,
            "at": format_instant(START),
            "effective": format_instant(START),
        } | changes
        return {
            "document": document,
            "signatures": [sign_jws(canonical(document), self.officers[one], "enrolment+jwt") for one in ids],
            "officers": [self.officer(one) for one in ids],
        }

    def officer(self, name: str, **changes: Any) -> str:
        """The registrar's word for one officer."""
        document = {
            "type": "chengxin/officer/v1",
            "registrar": self.name,
            "officer": name,
            "jwk": self.officers[name].jwk,
            "not_before": format_instant(START - DAY),
            "not_after": format_instant(START + 365 * DAY),
        } | changes
        return sign_jws(canonical(document), self.key, "officer+jwt")


def registrar(seed: str, name: str = NOTARY) -> Registrar:
    source = Source(seed)
    keys = [Ed25519PrivateKey(source.bytes(32)) for _ in range(3)]
    return Registrar(name, keys[0], {"officer-a": keys[1], "officer-b": keys[2]})


class Citizen:
    """A person with a key, a certificate and the salt of the key's commitment."""

    def __init__(self, seed: str, alg: str, registrar: Registrar, number: str = "") -> None:
        self.source = Source(seed)
        self.key = generate_key(alg, self.source.bytes)
        self.number = number
        salt = self.source.bytes(16)
        named = {"salt": b64u(salt), "person": sha256_hex(salt + number.encode())} if number else {}
        self.certificate = registrar.certificate(self.key, **named)
        self.salt = self.source.salt()

    @property
    def commitment(self) -> str:
        return commitment(self.salt, self.key.kid)

    def enrolled(self, registrar: str = NOTARY) -> tuple[dict[str, Any], dict[str, Any]]:
        """Body and details of `subject.enrolled`."""
        document = self.certificate["document"]
        return {
            "commitment": self.commitment,
            "registrar": registrar,
            "assurance": document["assurance"],
            "certificate_sha256": certificate_hash(self.certificate),
        }, {"certificate": self.certificate, "commitment_salt": self.salt}

    def granted(self, **members: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """Body and details of `consent.granted`, over a consent that this person signs."""
        document = template(self.source, **members) | {"subject": self.key.kid}
        return grant_of(document, self.signs(document), self)

    def signs(self, document: dict[str, Any]) -> str:
        """The JWS over a consent."""
        return sign_jws(canonical(document), self.key, "consent+jwt")

    def withdrawn(self, consent_id: str, /, **changes: Any) -> dict[str, Any]:
        """Details of `consent.withdrawn`."""
        document = {
            "type": "chengxin/withdrawal/v1",
            "consent_id": consent_id,
            "gateway": ORIGIN,
            "subject": self.key.kid,
            "nonce": self.source.salt(),
        } | changes
        return {"document": document, "proof": sign_jws(canonical(document), self.key, "withdrawal+jwt")}


def grant_of(
    document: dict[str, Any], proof: str | dict[str, Any], citizen: Citizen
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Body and details of `consent.granted` that say what the document says."""
    hashed = proof.encode() if isinstance(proof, str) else canonical(proof | {"document": document})
    body = {
        "consent_hash": tagged_hash("chengxin/consent/v1", canonical(document)).hex(),
        **{name: document[name] for name in SAID},
        "commitment": citizen.commitment,
        "proof_sha256": sha256_hex(hashed),
        "kind": "jws" if isinstance(proof, str) else "webauthn",
    }
    details = {
        "document": document,
        "proof": proof,
        "commitment_salt": citizen.salt,
        "certificate": citizen.certificate,
    }
    return body, details


SAID = (
    "recipient",
    "purpose",
    "categories",
    "answer",
    "not_before",
    "not_after",
    "max_uses",
    "retention_days",
)


def template(source: Source, **members: Any) -> dict[str, Any]:
    """A document to sign, its `subject` left out."""
    return {
        "type": "chengxin/consent/v1",
        "consent_id": source.uuid(),
        "gateway": ORIGIN,
        "recipient": BANK,
        "purpose": "02",
        "categories": ["judgment", "loan"],
        "answer": "report",
        "not_before": format_instant(START),
        "not_after": format_instant(START + 30 * DAY),
        "max_uses": 2,
        "retention_days": 30,
        "notice": {"language": "zh-CN", "template": "consent-02/v1", "sha256": sha256_hex(b"notice")},
        "case_ref_sha256": sha256_hex(b"case"),
        "nonce": source.salt(),
    } | members


def query(source: Source, consent_id: str, **members: Any) -> dict[str, Any]:
    """A query's body."""
    return {
        "query_id": source.uuid(),
        "consent_id": consent_id,
        "purpose": "02",
        "categories": ["judgment", "loan"],
        "answer": "report",
    } | members


def disclosed(
    source: Source, request: dict[str, Any], use: int = 0, salt: str | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Body (without its grant, or with use 0 its statute) and details of an answer to a query.

    `salt` is that of the request's hash.
    """
    revisions = sorted(sha256_hex(source.bytes(8)) for _ in range(3))
    details = {
        "request": request,
        "request_salt": salt or source.salt(),
        "revisions": revisions,
        "revisions_salt": source.salt(),
    }
    raw = b"".join(map(bytes.fromhex, revisions))
    body = {
        "query": request["query_id"],
        "purpose": request["purpose"],
        "categories": request["categories"],
        **({"use": use} if use else {}),
        "commitment": sha256_hex(unb64u(details["revisions_salt"]) + raw),
        "request": sha256_hex(unb64u(details["request_salt"]) + canonical(request)),
    }
    return body, details


def commitment(salt: str, kid: str) -> str:
    return sha256_hex(unb64u(salt) + thumbprint_bytes(kid))


def certificate_hash(certificate: dict[str, Any]) -> str:
    return tagged_hash("chengxin/enrolment/v1", canonical(certificate)).hex()
