"""A draft of every type of leaf."""

from __future__ import annotations

from keys.canonical import b64u, canonical, sha256
from ledger.log import Draft
from tests.ledger.kit import BANK, OPENED, ORIGIN, POLICY, UUID, refused

ANNA, OTHER = b"anna tag 16 byte", b"one time 16 byte"


def one_of_each() -> list[Draft]:
    """A draft of every type of leaf, in an order in which a log could hold them."""
    bank, operator, hex32 = BANK["institution"], BANK["operator"], "cd" * 32
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}
    kid = b64u(sha256(canonical(jwk)))
    asked = {"request": UUID, "recipient": bank, "purpose": "02", "categories": ["loan"]}
    granted = {
        "consent_hash": hex32,
        "recipient": bank,
        "purpose": "02",
        "categories": ["loan"],
        "answer": "report",
        "not_before": "2026-11-21T08:00:00.000Z",
        "not_after": "2026-12-21T08:00:00.000Z",
        "max_uses": 1,
        "retention_days": 30,
        "commitment": hex32,
        "proof_sha256": hex32,
        "kind": "jws",
    }
    enrolled = {
        "commitment": hex32,
        "registrar": "registrar-1",
        "assurance": "eid",
        "certificate_sha256": hex32,
    }
    disclosed = {
        "query": UUID,
        "grant": 16,
        "purpose": "02",
        "categories": ["loan"],
        "use": 1,
        "commitment": hex32,
        "request": hex32,
    }
    answered = {name: value for name, value in disclosed.items() if name not in ("grant", "use")}
    statute = {"code": "enforcement", "document": hex32}
    pending = {name: answered[name] for name in ("query", "purpose", "categories", "request")}
    pending |= {"statute": statute, "answer": "predicate:clean"}
    why = {"institution": bank, "reason": "misuse"}
    rotated = {"use": "receipt", "holder": ORIGIN, "from": "A" * 43, "to": kid, "public": jwk}
    rotated["signatures"] = {"old": "e30.e30.AA", "new": "e30.e30.AA"}
    return [
        OPENED,
        Draft("policy.changed", {"policy": POLICY}),
        Draft("key.published", {"use": "checkpoint", "kid": kid, "public": jwk, "holder": ORIGIN}),
        Draft("key.epoch", {"epoch": 1, "event": "opened"}),
        Draft("key.index", {"version": 2, "event": "completed", "rows": 4}),
        Draft("key.data", {"count": 5}),
        Draft("key.sealing", {"id": UUID, "sha256": hex32, "sealed": [{"kid": kid, "sealed": "AAAA"}]}),
        Draft(
            "institution.registered", {"institution": bank, "sector": "finance", "roles": ["admin", "query"]}
        ),
        Draft("institution.suspended", why | {"until": "2026-12-21T08:00:00.000Z"}),
        Draft("institution.reinstated", why),
        Draft("operator.registered", {"operator": operator, "institution": bank, "roles": ["query"]}),
        Draft("operator.suspended", why | {"operator": operator}),
        Draft("operator.reinstated", why | {"operator": operator}),
        Draft("subject.enrolled", enrolled, tag=ANNA, by={"registrar": "registrar-1"}),
        Draft("record.ingested", {"batch": UUID, "source": bank, "count": 3, "root": hex32}, tag=ANNA),
        Draft(
            "record.corrected",
            {"record": hex32, "source": bank, "category": "loan", "authority": "source-error"},
            tag=ANNA,
        ),
        Draft("consent.requested", asked, tag=ANNA, by=BANK),
        Draft("consent.declined", asked, tag=ANNA),
        Draft("consent.lapsed", asked, tag=ANNA),
        Draft("consent.granted", granted, tag=ANNA),
        Draft("consent.carried", granted | {"grant": 16, "uses": 0}, tag=ANNA),
        Draft("log.recovered", {"since": 3, "size": 17}),
        Draft("query.disclosed", disclosed, tag=ANNA, by=BANK),
        Draft("query.undelivered", {"of": 17}, tag=ANNA),
        Draft("query.redelivered", {"of": 17}, tag=ANNA, by=BANK),
        refused(ANNA),
        Draft(
            "query.pending", pending | {"statute": statute, "answer": "predicate:clean"}, tag=OTHER, by=BANK
        ),
        Draft(
            "query.predicate",
            answered | {"predicate": "clean", "statute": statute | {"approver": operator, "pending": 21}},
            tag=OTHER,
            by=BANK,
        ),
        Draft("query.unsealed", {"of": 21}, tag=ANNA),
        Draft("query.throttled", {"operator": operator, "minute": "2026-11-21T08:00:00.000Z", "count": 7}),
        Draft("consent.withdrawn", {"grant": 16, "by": "citizen"}, tag=ANNA),
        Draft("subject.key_revoked", {"commitment": hex32, "cause": "lost", "by": "citizen"}, tag=ANNA),
        Draft("consent.suspended", {"grant": 16, "cause": "key-compromised", "key": 26}, tag=ANNA),
        Draft("consent.resumed", {"grant": 16, "by": "citizen"}, tag=ANNA),
        Draft("subject.read", {"what": "accesses"}, tag=ANNA),
        Draft("key.rotated", rotated),
        Draft("key.revoked", {"use": "receipt", "holder": ORIGIN, "kid": "A" * 43, "cause": "rotated"}),
        Draft("case.opened", {"case": UUID, "scope": hex32, "reason": "investigation"}),
        Draft("case.closed", {"case": UUID, "outcome": "cleared"}),
        Draft("key.backup", {"copy": UUID, "event": "made", "epochs": [1], "shares": 5, "threshold": 3}),
        Draft(
            "record.erased",
            {"erasure": UUID, "classes": ["current"], "count": 3, "authority": "demanded", "epoch": 1},
            tag=ANNA,
        ),
        Draft("record.restated", {"count": 0, "root": hex32, "cause": "erasure"}, tag=ANNA),
        Draft("log.closed", {"reason": "suite"}),
    ]
