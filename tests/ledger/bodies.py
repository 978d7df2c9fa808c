"""Hypothesis strategies for leaves: JSON values of every type's body, and whole leaves around them."""

from __future__ import annotations

import hashlib
from typing import Any

from hypothesis import strategies as st

from keys.canonical import b64u, canonical
from keys.instant import LAST_INSTANT, MINUTE, format_instant
from ledger.bodies import BY_INSTITUTION, BY_NOBODY, BY_REGISTRAR, BY_REGISTRAR_OR_NOBODY, Body
from ledger.entries import By, Leaf, Sealed, Subject, parse_body

USCC = "0123456789ABCDEFGHJKLMNPQRTUWXY"
SECTORS = [
    "finance",
    "agency",
    "e-commerce",
    "delivery",
    "property",
    "data",
    "apps",
    "regulator",
    "registrar",
    "source",
]
NAMES = ["a", "loan", "judgment", "tax_arrears", "z9", "a_", "card0", "x" * 32]

hex32 = st.binary(min_size=32, max_size=32).map(bytes.hex)
random16 = st.binary(min_size=16, max_size=16).map(b64u)
uuids = st.uuids().map(str)
instants = st.integers(0, LAST_INSTANT).map(format_instant)
counts = st.integers(0, 2**53 - 1)
positives = st.integers(1, 2**53 - 1)
origins = st.builds(str.__add__, st.sampled_from("aZ0"), st.text("aZ09.:/_-", max_size=60))
codes = st.builds(str.__add__, st.sampled_from("az"), st.text("az09-", max_size=47))
usccs = st.builds(
    lambda a, b, c: a + b + c,
    st.text(USCC, min_size=2, max_size=2),
    st.text("0123456789", min_size=6, max_size=6),
    st.text(USCC, min_size=10, max_size=10),
)
operators = st.binary(min_size=8, max_size=8).map(lambda raw: "op-" + raw.hex())
purposes = st.integers(0, 99).map("{:02}".format)
categories = st.sets(st.sampled_from(NAMES), min_size=1).map(sorted)
ROLES = ["admin", "approve", "audit", "query", "registrar", "source"]
roles = st.sets(st.sampled_from(ROLES), min_size=1).map(sorted)
answers = st.one_of(st.just("report"), codes.map("predicate:{}".format))
raw32 = st.binary(min_size=32, max_size=32)


def key(x: bytes, y: bytes | None, crv: str) -> dict[str, Any]:
    """A public JWK with its RFC 7638 thumbprint."""
    public = (
        {"kty": "EC", "crv": "P-256", "x": b64u(x), "y": b64u(y)}
        if y
        else {"kty": "OKP", "crv": crv, "x": b64u(x)}
    )
    return {"public": public, "kid": b64u(hashlib.sha256(canonical(public)).digest())}


keys = st.builds(key, raw32, st.none() | raw32, st.sampled_from(["Ed25519", "X25519"]))
_asked = {"request": uuids, "recipient": usccs, "purpose": purposes, "categories": categories}
_answered = {
    "query": uuids,
    "purpose": purposes,
    "categories": categories,
    "commitment": hex32,
    "request": hex32,
}
_statute = {"code": codes, "document": hex32}
_approved = st.fixed_dictionaries(_statute | {"approver": operators, "pending": counts})
_basis = st.one_of(
    st.fixed_dictionaries({"grant": counts, "use": positives}), st.fixed_dictionaries({"statute": _approved})
)
minutes = st.integers(0, LAST_INSTANT // MINUTE - 1).map(lambda minute: format_instant(minute * MINUTE))
_suspended = {"institution": usccs, "reason": codes}
_reinstated = {"institution": usccs, "reason": codes}
_granted = {
    "consent_hash": hex32,
    "recipient": usccs,
    "purpose": purposes,
    "categories": categories,
    "answer": answers,
    "not_before": instants,
    "not_after": instants,
    "max_uses": positives,
    "retention_days": counts,
    "commitment": hex32,
    "proof_sha256": hex32,
    "kind": st.sampled_from(["jws", "webauthn"]),
}

BODIES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "log.opened": st.fixed_dictionaries(
        {"origin": origins},
        optional={"previous": st.fixed_dictionaries({"origin": origins, "size": counts, "root": hex32})},
    ),
    "log.closed": st.fixed_dictionaries({"reason": codes}),
    "policy.changed": st.fixed_dictionaries({"policy": hex32}, optional={"replaces": hex32}),
    "key.published": st.builds(
        lambda pair, use, holder: {"use": use, "holder": holder, **pair},
        keys,
        st.sampled_from(["checkpoint", "encryption", "receipt", "registrar", "regulator"]),
        usccs | origins,
    ),
    "key.rotated": st.builds(
        lambda pair, use, holder, old, tokens: {
            "use": use,
            "holder": holder,
            "from": b64u(old),
            "to": pair["kid"],
            "public": pair["public"],
            "signatures": {"old": tokens[0], "new": tokens[1]},
        },
        keys,
        st.sampled_from(["checkpoint", "receipt", "registrar"]),
        usccs | origins,
        raw32,
        st.tuples(*[st.text("aZ09_-", min_size=1, max_size=40).map(lambda one: f"{one}.{one}.{one}")] * 2),
    ),
    "key.revoked": st.fixed_dictionaries(
        {
            "use": st.sampled_from(["checkpoint", "encryption", "receipt", "registrar", "regulator"]),
            "kid": raw32.map(b64u),
            "holder": usccs | origins,
            "cause": st.sampled_from(["compromised", "lost", "retired", "rotated"]),
        }
    ),
    "key.sealing": st.fixed_dictionaries(
        {
            "id": uuids,
            "sha256": hex32,
            "sealed": st.lists(
                st.fixed_dictionaries(
                    {"kid": raw32.map(b64u), "sealed": st.binary(min_size=1, max_size=80).map(b64u)}
                ),
                min_size=1,
                max_size=3,
                unique_by=lambda copy: copy["kid"],
            ).map(lambda copies: sorted(copies, key=lambda copy: copy["kid"])),
        }
    ),
    "key.epoch": st.fixed_dictionaries(
        {"epoch": positives, "event": st.sampled_from(["opened", "destroyed"])}
    )
    | st.fixed_dictionaries({"epoch": positives, "event": st.just("rewrapped"), "count": counts}),
    "key.index": st.fixed_dictionaries(
        {"version": positives, "event": st.sampled_from(["opened", "destroyed"])}
    )
    | st.fixed_dictionaries({"version": positives, "event": st.just("completed"), "rows": counts}),
    "key.data": st.fixed_dictionaries({"count": positives}),
    "institution.registered": st.fixed_dictionaries(
        {"institution": usccs, "sector": st.sampled_from(SECTORS), "roles": roles}
    ),
    "institution.suspended": st.fixed_dictionaries(_suspended, optional={"until": instants}),
    "institution.reinstated": st.fixed_dictionaries(_reinstated),
    "operator.registered": st.fixed_dictionaries(
        {"operator": operators, "institution": usccs, "roles": roles}
    ),
    "operator.suspended": st.fixed_dictionaries(
        {"operator": operators, **_suspended}, optional={"until": instants}
    ),
    "operator.reinstated": st.fixed_dictionaries({"operator": operators, **_reinstated}),
    "subject.enrolled": st.fixed_dictionaries(
        {
            "commitment": hex32,
            "registrar": usccs | origins,
            "assurance": st.sampled_from(["in-person", "eid", "guardian"]),
            "certificate_sha256": hex32,
        }
    ),
    "subject.key_revoked": st.fixed_dictionaries(
        {
            "commitment": hex32,
            "cause": st.sampled_from(["compromised", "lost", "refused"]),
            "by": st.sampled_from(["citizen", "counter"]),
        }
    ),
    "subject.read": st.fixed_dictionaries(
        {"what": st.sampled_from(["accesses", "consents-at-counter", "keys", "report"])}
    ),
    "consent.requested": st.fixed_dictionaries(_asked),
    "consent.declined": st.fixed_dictionaries(_asked),
    "consent.lapsed": st.fixed_dictionaries(_asked),
    "consent.granted": st.fixed_dictionaries(_granted),
    "consent.carried": st.fixed_dictionaries(_granted | {"grant": counts, "uses": counts}),
    "log.recovered": st.tuples(positives, positives).map(
        lambda drawn: {"since": min(*drawn, 2**53 - 2), "size": min(max(drawn) + 1, 2**53 - 1)}
    ),
    "consent.withdrawn": st.fixed_dictionaries(
        {"grant": counts, "by": st.sampled_from(["citizen", "counter", "erasure"])}
    ),
    "consent.suspended": st.fixed_dictionaries(
        {"grant": counts, "cause": st.just("key-compromised"), "key": counts}
    ),
    "consent.resumed": st.fixed_dictionaries({"grant": counts, "by": st.just("citizen")}),
    "query.disclosed": st.builds(dict.__or__, st.fixed_dictionaries(_answered), _basis),
    "query.predicate": st.builds(
        dict.__or__, st.fixed_dictionaries(_answered | {"predicate": codes}), _basis
    ),
    "query.pending": st.fixed_dictionaries(
        {
            "query": uuids,
            "statute": st.fixed_dictionaries(_statute),
            "purpose": purposes,
            "categories": categories,
            "answer": answers,
            "request": hex32,
        },
        optional={"deferred_until": instants},
    ),
    "query.refused": st.fixed_dictionaries(
        {"query": uuids, "reason": codes, "purpose": purposes}, optional={"pending": counts}
    ),
    "query.throttled": st.fixed_dictionaries({"operator": operators, "minute": minutes, "count": positives}),
    "query.redelivered": st.fixed_dictionaries({"of": counts}),
    "query.unsealed": st.fixed_dictionaries({"of": counts}),
    "query.undelivered": st.fixed_dictionaries({"of": counts}),
    "record.corrected": st.fixed_dictionaries(
        {"record": hex32, "source": usccs, "category": st.sampled_from(NAMES), "authority": codes}
    ),
    "record.ingested": st.fixed_dictionaries(
        {"batch": uuids, "source": usccs, "count": positives, "root": hex32}
    ),
    "record.erased": st.fixed_dictionaries(
        {"erasure": uuids, "classes": categories, "count": counts, "authority": codes, "epoch": positives}
    ),
    "case.opened": st.fixed_dictionaries({"case": uuids, "scope": hex32, "reason": codes}),
    "case.closed": st.fixed_dictionaries({"case": uuids, "outcome": codes}),
    "key.backup": st.one_of(
        st.fixed_dictionaries({"copy": uuids, "event": st.just("destroyed")}),
        st.builds(
            lambda copy, epochs, numbers: {
                "copy": copy,
                "event": "made",
                "epochs": sorted(epochs),
                "shares": max(numbers),
                "threshold": min(numbers),
            },
            uuids,
            st.sets(positives, min_size=1),
            st.tuples(positives, positives),
        ),
    ),
    "record.restated": st.fixed_dictionaries(
        {
            "count": counts,
            "root": hex32,
            "cause": st.sampled_from(["correction", "erasure", "recovery", "rotation"]),
        }
    ),
}
"""Type of leaf -> its bodies. A test makes sure that no type of the house is left out."""

ANY_TYPE = st.sampled_from(sorted(BODIES))
_of_institution = st.builds(lambda i, o: By(institution=i, operator=o), usccs, operators)
_of_registrar = st.builds(lambda r: By(registrar=r), usccs | origins)


def actors(type_: str, body: Body) -> st.SearchStrategy[By | None]:
    """Who may have acted."""
    if type_ in BY_REGISTRAR_OR_NOBODY:
        return _of_registrar if getattr(body, "by", None) == "counter" else st.none()
    if type_ in BY_REGISTRAR:
        return _of_registrar
    if type_ in BY_NOBODY:
        return st.none()
    return _of_institution if type_ in BY_INSTITUTION else st.none() | _of_institution


@st.composite
def leaves(draw: st.DrawFn, types: st.SearchStrategy[str] = ANY_TYPE) -> Leaf:
    """A leaf of any type; its place in a chain is not looked at."""
    type_ = draw(types)
    body = parse_body(type_, draw(BODIES[type_]))
    about = type_.split(".")[0] in {"subject", "consent", "query", "record"} and type_ != "query.throttled"
    return Leaf(
        log=draw(origins),
        index=draw(counts),
        prev=draw(hex32),
        at=draw(instants),
        salt=draw(random16),
        type=type_,
        body=body,
        policy=draw(hex32),
        subject=draw(st.builds(Subject, random16, positives, hex32)) if about else None,
        by=draw(actors(type_, body)),
        sealed=draw(st.none() | st.builds(Sealed, uuids, hex32)),
    )
