"""What the opened details of a leaf must prove: the table of types, their details, rules and what is kept.

Invariant: details are checked after the leaf itself held, so that their rules may rely on those of replay;
the rules of a row run in order and may rely on those before them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

import msgspec

from ledger.bodies import Body
from ledger.entries import Leaf
from ledger.errors import Finding
from ledger.verify import acts as a
from ledger.verify import corrections as co
from ledger.verify import erasures as er
from ledger.verify import proofs as p
from ledger.verify import requests as r
from ledger.verify.details import (
    Answered,
    Asked,
    Corrected,
    Details,
    Enrolled,
    Granted,
    HeldCase,
    Read,
    Refused,
    Requested,
    Resumed,
    Revoked,
    Withdrawn,
)
from ledger.verify.rules import Apply, Rules, hold
from ledger.verify.state import World


def _nothing(_: Leaf, __: tuple[Body, Details], ___: World) -> None:
    """Nothing that later leaves are compared with."""


class Row(NamedTuple):
    """The details of a type of leaf, what they must prove, and what is remembered of them."""

    shape: type[Details]
    rules: Rules
    apply: Apply


_ANSWERED: Final = Row(
    Answered,
    (
        r.REQUEST_HASH,
        r.REQUEST_MEMBERS,
        r.REQUEST_STATUTE,
        r.REQUEST_DOCUMENT,
        r.REQUEST_WAITED,
        r.REQUEST_PERSON,
        r.REVISIONS,
    ),
    _nothing,
)

EVIDENCE: Final[Mapping[str, Row]] = MappingProxyType(
    {
        "subject.enrolled": Row(
            Enrolled,
            (
                p.CERTIFICATE_HASH,
                p.CERTIFICATE_DOCUMENT,
                a.CERTIFICATE_WAITS,
                p.CERTIFICATE,
                p.COMMITMENT,
                p.CITIZEN_KEY_ONCE,
            ),
            p.know_key,
        ),
        "subject.key_revoked": Row(
            Revoked,
            (*a.ORDER, a.REVOCATION_DOCUMENT, a.REVOKED_COMMITMENT, a.REVOCATION_PROOF),
            _nothing,
        ),
        "subject.read": Row(Read, a.ORDER, _nothing),
        "consent.requested": Row(Requested, (p.REQUESTED_DOCUMENT,), _nothing),
        "consent.granted": Row(
            Granted,
            (
                p.CERTIFICATE_SAME,
                p.CERTIFICATE,
                p.COMMITMENT,
                p.CITIZEN_KEY_ONCE,
                p.CONSENT_DOCUMENT,
                p.CONSENT_HASH,
                p.CONSENT_KEY,
                p.PROOF_KIND,
                p.CONSENT_PROOF,
                p.PROOF_HASH,
            ),
            p.know_consent,
        ),
        "consent.carried": Row(
            Granted,
            (
                p.CERTIFICATE_SAME,
                p.CERTIFICATE,
                p.COMMITMENT,
                p.CONSENT_DOCUMENT,
                p.CONSENT_HASH,
                p.CONSENT_KEY,
                p.PROOF_KIND,
                p.CONSENT_PROOF,
                p.PROOF_HASH,
            ),
            p.know_consent,
        ),
        "consent.withdrawn": Row(Withdrawn, (*a.ORDER, a.WITHDRAWAL_DOCUMENT, a.WITHDRAWAL_PROOF), _nothing),
        "consent.resumed": Row(Resumed, (a.RESUMPTION_DOCUMENT, a.RESUMPTION_PROOF), _nothing),
        "query.disclosed": _ANSWERED,
        "query.predicate": _ANSWERED,
        "query.pending": Row(
            Asked,
            (
                r.REQUEST_HASH,
                r.REQUEST_MEMBERS,
                r.REQUEST_STATUTE,
                r.REQUEST_DOCUMENT,
                r.REQUEST_DEFERRAL,
                r.REQUEST_PERSON,
            ),
            r.know_request,
        ),
        "record.corrected": Row(Corrected, (co.CORRECTED_RECORD,), _nothing),
        "case.opened": Row(HeldCase, (er.CASE_SCOPE,), er.know_case),
        "query.refused": Row(Refused, (r.REFUSED_REQUEST,), _nothing),
    }
)
"""Type of leaf -> its row; the types whose details must be sealed."""


def read_details(index: int, leaf: Leaf, details: object) -> Details | None:
    """The opened details in the shape of the leaf's type; None for a type of which nothing is expected."""
    row = EVIDENCE.get(leaf.type)
    if row is None or details is None:
        return None
    try:
        return msgspec.convert(details, row.shape, strict=True)
    except msgspec.ValidationError:
        raise Finding(index, "details-shape", "the sealed details have a wrong or unknown member") from None


def check(index: int, leaf: Leaf, details: Details, world: World) -> None:
    """Raise a Finding for the first thing that the details do not prove."""
    hold(EVIDENCE[leaf.type].rules, index, leaf, (leaf.body, details), world)


def apply(leaf: Leaf, details: Details, world: World) -> None:
    """Remember what later leaves are compared with; after the leaf itself was applied."""
    EVIDENCE[leaf.type].apply(leaf, (leaf.body, details), world)
