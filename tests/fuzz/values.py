"""Strategies for what the formatters of `keys` and `consent` write; for leaves see tests.ledger.bodies.

Keys are few and made once: what varies is what a parser has to tell apart, not curve arithmetic.
"""

from __future__ import annotations

import hashlib
from typing import Any

from hypothesis import strategies as st

from consent import counter, enrolment, revocation
from consent.document import Consent, Decline, Notice, Template, Withdrawal
from consent.enrolment import Certificate, EnrolmentDocument, OfficerCertificate
from consent.erased import Destroyed, ErasureCertificate
from consent.receipt import Receipt
from consent.webauthn import Assertion, KeptProof
from keys.canonical import MAX_INTEGER, b64u
from keys.instant import LAST_INSTANT
from keys.jws import sign_jws
from keys.signing import Ed25519PrivateKey, Es256PrivateKey, PrivateKey, PublicKey, parse_public_jwk
from tests.ledger import bodies

PRIVATE: list[PrivateKey] = [
    kind(hashlib.sha256(b"%d" % number).digest())
    for number in range(3)
    for kind in (Ed25519PrivateKey, Es256PrivateKey)
]
PUBLIC: list[PublicKey] = [parse_public_jwk(key.jwk) for key in PRIVATE]

hex32, uuids, usccs, counts, positives = (
    bodies.hex32,
    bodies.uuids,
    bodies.usccs,
    bodies.counts,
    bodies.positives,
)
raw16 = st.binary(min_size=16, max_size=16)
raw32 = st.binary(min_size=32, max_size=32)
random16, random32 = raw16.map(b64u), raw32.map(b64u)
private_keys, public_keys = st.sampled_from(PRIVATE), st.sampled_from(PUBLIC)
instants = st.integers(0, LAST_INSTANT)
origins = st.from_regex(
    r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?(:[0-9]{1,5})?(/[A-Za-z0-9_-]{1,9})?", fullmatch=True
)
parties = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,30}", fullmatch=True)
pairs_of_parties = st.sets(parties, min_size=2, max_size=2).map(sorted).map(tuple)
codes = st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
tokens = st.builds(
    lambda payload, key, typ: sign_jws(payload, key, f"{typ}+jwt"),
    st.binary(max_size=40),
    private_keys,
    codes,
)

json_values = st.recursive(
    st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | text,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(max_codepoint=127), max_size=6), inner, max_size=4)
    ),
    max_leaves=12,
)


def terms(first: str, second: str) -> st.SearchStrategy[dict[str, int]]:
    """Two instants, the second later."""
    return st.sets(instants, min_size=2, max_size=2).map(
        lambda times: {first: min(times), second: max(times)}
    )


_template: dict[str, st.SearchStrategy[Any]] = {
    "consent_id": uuids,
    "gateway": origins,
    "recipient": usccs,
    "purpose": bodies.purposes,
    "categories": bodies.categories.map(tuple),
    "answer": st.just("report") | codes.map("predicate:{}".format),
    "max_uses": st.integers(1, 100_000),
    "retention_days": st.integers(1, 36_500),
    "notice": st.builds(
        Notice,
        language=st.sampled_from(["zh-CN", "en", "de-CH"]),
        template=st.builds("{}/v{}".format, codes, st.integers(1, 9999)),
        sha256=hex32,
    ),
    "case_ref_sha256": hex32,
    "nonce": random16,
}
templates = st.builds(
    lambda members, term: Template(**members, **term),
    st.fixed_dictionaries(_template),
    terms("not_before", "not_after"),
)
consents = st.builds(
    lambda members, term: Consent(**members, **term),
    st.fixed_dictionaries(_template | {"subject": random32}),
    terms("not_before", "not_after"),
)
_sentences = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Cf"]), min_size=1, max_size=60
)
withdrawals = st.builds(
    Withdrawal,
    consent_id=uuids,
    gateway=origins,
    subject=random32,
    reason=st.none() | _sentences,
    nonce=random16,
)
declines = st.builds(Decline, request_id=uuids, document_sha256=hex32)
revocations = st.builds(
    revocation.KeyRevocation,
    gateway=origins,
    key=random32,
    cause=st.sampled_from(["compromised", "lost"]),
    subject=random32,
    nonce=random16,
)
resumptions = st.builds(
    revocation.Resumption,
    consent_id=uuids,
    gateway=origins,
    subject=random32,
    suspension=counts,
    nonce=random16,
)


@st.composite
def _receipts(draw: st.DrawFn) -> Receipt:
    decision = draw(
        st.sampled_from(["disclosed", "refused", "predicate", "redelivered", "granted", "resumed"])
    )
    of_consent, refused = decision in ("granted", "resumed"), decision == "refused"
    return Receipt(
        log=draw(origins),
        index=draw(counts),
        leaf=draw(hex32),
        at=draw(instants),
        decision=decision,
        query_id=None if of_consent else draw(uuids),
        consent_id=draw(uuids) if of_consent else None,
        reason=draw(codes) if refused else None,
        answer_sha256=None if of_consent or refused else draw(hex32),
    )


receipts = _receipts()


@st.composite
def _erasures(draw: st.DrawFn) -> ErasureCertificate:
    index = draw(st.integers(0, 2**53 - 2))
    return ErasureCertificate(
        log=draw(origins),
        erasure=draw(uuids),
        index=index,
        leaf=draw(hex32),
        classes=tuple(sorted(draw(st.sets(codes, min_size=1, max_size=3)))),
        count=draw(counts),
        authority=draw(codes),
        epoch=draw(positives),
        destroyed=Destroyed(draw(st.integers(index + 1, 2**53 - 1)), draw(hex32)),
        copies=tuple(sorted(draw(st.sets(uuids, max_size=3)))),
        at=draw(instants),
    )


erasures = _erasures()
enrolments = st.builds(
    lambda key, times, **members: EnrolmentDocument(
        key=key.kid, jwk=key.jwk, at=min(times), effective=max(times), **members
    ),
    public_keys,
    st.tuples(instants, instants),
    gateway=origins,
    person=hex32,
    salt=random16,
    assurance=st.sampled_from(["in-person", "eid", "guardian"]),
    registrar=parties,
    officers=pairs_of_parties,
)
certificates: st.SearchStrategy[Certificate] = st.builds(
    enrolment.make_certificate, enrolments, st.tuples(tokens, tokens), st.tuples(tokens, tokens)
)
officer_certificates = st.builds(
    lambda key, term, registrar, officer: OfficerCertificate(
        registrar=registrar, officer=officer, jwk=key.jwk, **term
    ),
    public_keys,
    terms("not_before", "not_after"),
    parties,
    parties,
)

_order: dict[str, st.SearchStrategy[Any]] = {
    "gateway": origins,
    "person": hex32,
    "salt": random16,
    "registrar": parties,
    "officers": pairs_of_parties,
    "at": instants,
}
orders: st.SearchStrategy[counter.Order] = st.one_of(
    st.builds(counter.CounterWithdrawal, consent_id=uuids, **_order),
    st.builds(
        counter.CounterRevocation,
        cause=st.sampled_from(["compromised", "lost"]),
        key=st.none() | random32,
        **_order,
    ),
    st.builds(counter.CounterListing, **_order),
)
signed_orders = st.builds(counter.join_order, orders, st.tuples(tokens, tokens), st.tuples(tokens, tokens))

_assertion: dict[str, st.SearchStrategy[Any]] = {
    "server_nonce": random32,
    "authenticator_data": st.binary(min_size=1, max_size=40).map(b64u),
    "client_data_json": st.binary(min_size=1, max_size=40).map(b64u),
    "signature": st.binary(min_size=1, max_size=72).map(b64u),
}
assertions = st.builds(Assertion, **_assertion)
kept_proofs = st.builds(
    lambda key, origins, **members: KeptProof(
        rp_id="example.cn", origins=tuple(sorted(origins)), jwk=key.jwk, **members
    ),
    public_keys,
    st.sets(
        st.sampled_from(["https://example.cn", "https://a.example.cn:8443", "https://a.b.example.cn"]),
        min_size=1,
    ),
    **_assertion,
)
