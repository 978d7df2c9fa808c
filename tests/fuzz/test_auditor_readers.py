"""Two readers, one document: what the gateway's parser accepts, the auditor's own reader accepts as well.

The other way round the auditor may be looser where replay holds the member against the leaf; the differences
that are known are named, so that no new one passes unseen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consent import counter, document, enrolment, revocation, webauthn, wire
from consent.errors import MalformedDocument
from keys.canonical import canonical, parse_canonical
from keys.errors import KeysError
from ledger.verify import documents, orders
from ledger.verify.webauthn import Kept
from tests.fuzz import values as v
from tests.fuzz.pairs import examples
from tests.fuzz.spoiling import nearly, spoiled

ATTEMPTS = settings(max_examples=40, suppress_health_check=list(HealthCheck))
Reader = Callable[[bytes], object]


def _shape(shape: type[Any]) -> Reader:
    return lambda data: documents.read(parse_canonical(data), shape)


def _object(data: bytes) -> dict[str, Any]:
    """The members of an object; whoever reads an order has made sure of that."""
    members = parse_canonical(data)
    if not isinstance(members, dict):
        raise MalformedDocument("not an object")
    return members


def _order(data: bytes) -> object:
    """An order, read by the shape that its type names."""
    members = _object(data)
    kinds = {
        "chengxin/counter-withdrawal/v1": orders.WithdrawalOrder,
        "chengxin/counter-revocation/v1": orders.RevocationOrder,
        "chengxin/counter-list/v1": orders.ListOrder,
    }
    return documents.read(members, kinds.get(str(members.get("type")), orders.ListOrder))


READERS: dict[str, tuple[Reader, Reader, st.SearchStrategy[Any]]] = {
    "consent": (document.parse_consent, _shape(documents.Consent), v.consents),
    "template": (document.parse_template, _shape(documents.ConsentTemplate), v.templates),
    "withdrawal": (document.parse_withdrawal, _shape(documents.Withdrawal), v.withdrawals),
    "enrolment": (enrolment.parse_enrolment, _shape(documents.Enrolment), v.enrolments),
    "certificate": (
        enrolment.parse_certificate,
        lambda data: documents.read_enrolment(parse_canonical(data)),
        v.certificates,
    ),
    "officer": (
        lambda data: wire.parse_struct(data, enrolment.OfficerCertificate),
        _shape(documents.Officer),
        v.officer_certificates,
    ),
    "revocation": (revocation.parse_revocation, _shape(orders.Revocation), v.revocations),
    "resumption": (revocation.parse_resumption, _shape(orders.Resumption), v.resumptions),
    "order": (lambda data: counter.read_order(_object(data)), _order, v.orders),
    "signed order": (counter.parse_signed_order, _shape(orders.SignedOrder), v.signed_orders),
    "kept proof": (webauthn.parse_kept, _shape(Kept), v.kept_proofs),
}
"""The gateway's parser, the auditor's reader, and documents."""
each = pytest.mark.parametrize("name", READERS)


def accepted(read: Reader, data: bytes) -> bool:
    """Whether a reader takes these bytes; what it did not declare comes out as it is."""
    try:
        read(data)
    except (KeysError, MalformedDocument):
        return False
    return True


def agree(name: str, data: bytes) -> None:
    ours, theirs, _ = READERS[name]
    assert not accepted(ours, data) or accepted(theirs, data), f"{name}: only the gateway accepts this"


@each
def test_the_auditor_accepts_whatever_the_gateway_accepts(name: str) -> None:
    @ATTEMPTS
    @given(READERS[name][2].map(wire.format_struct) | spoiled(READERS[name][2].map(wire.format_struct)))
    def hold(data: bytes) -> None:
        agree(name, data)

    hold()


@each
def test_no_known_trick_breaks_a_reader_or_parts_the_two(name: str) -> None:
    for good in examples(READERS[name][2].map(wire.format_struct), 1):
        assert accepted(READERS[name][0], good)
        assert accepted(READERS[name][1], good)
        for data in nearly(good):
            agree(name, data)


LOOSER: dict[str, tuple[str, dict[str, Any]]] = {
    "categories out of order": ("consent", {"categories": ["loan", "judgment"]}),
    "no day of retention": ("consent", {"retention_days": 0}),
    "more uses than any purpose has": ("consent", {"max_uses": 100_001}),
    "an origin in capitals": ("consent", {"gateway": "Credit.example.cn"}),
    "a day that does not exist": ("consent", {"not_before": "2026-02-30T08:00:00.000Z"}),
    "an end before the beginning": ("consent", {"not_after": "1970-01-01T00:00:00.000Z"}),
    "a notice in no language": ("consent", {"notice": {"language": "", "template": "", "sha256": "0" * 64}}),
    "a withdrawal with a line break": ("withdrawal", {"reason": "a\nb"}),
    "officers out of order": ("enrolment", {"officers": ["b", "a"]}),
    "a registrar with a slash": ("enrolment", {"registrar": "a/b"}),
    "a key that objects to itself": (
        "revocation",
        {"cause": "refused", "key": "A" * 43, "subject": "A" * 43},
    ),
    "an RP ID that is an address": ("kept proof", {"rp_id": "127.0.0.1", "origins": ["https://127.0.0.1"]}),
}
"""What the auditor reads and the gateway refuses: a document's name, and the members that differ."""


@pytest.mark.parametrize("name", LOOSER)
def test_where_the_auditor_is_looser_is_known(name: str) -> None:
    """A row that fails here is one that can go: the two readers agree on it now."""
    kind, changes = LOOSER[name]
    ours, theirs, strategy = READERS[kind]
    [good] = examples(strategy.map(wire.format_struct), 1)
    data = canonical(parse_canonical(good) | changes)
    assert not accepted(ours, data)
    assert accepted(theirs, data)
