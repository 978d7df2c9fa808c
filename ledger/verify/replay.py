"""Replay of enforcement: for each type of leaf, the rules that it must obey and what it changes.

Invariant: the table has a row for every type that `ledger.entries` can parse, so nothing passes without a
rule having been thought of; the rules of a row run in order, and one may rely on those before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from ledger.bodies import Answered, Body, ConsentWithdrawn, QueryRefused, SubjectRead
from ledger.entries import Leaf
from ledger.verify import citizens as ck
from ledger.verify import consents as c
from ledger.verify import copies as cp
from ledger.verify import corrections as co
from ledger.verify import deliveries as dl
from ledger.verify import epochs as ep
from ledger.verify import erasures as er
from ledger.verify import house as h
from ledger.verify import parties as p
from ledger.verify import queries as q
from ledger.verify import quotas, records
from ledger.verify import recovery as rc
from ledger.verify import signers as sg
from ledger.verify import statutes as st
from ledger.verify.rules import Apply, Rule, Rules, hold
from ledger.verify.state import World


def _details(leaf: Leaf, body: Body, __: World) -> str | None:
    """The end of a wait proves nothing: the query that waited was sealed with its own leaf. An erased person
    left nothing to prove, and a citizen's own reading is signed by nobody here."""
    if leaf.sealed is not None or (isinstance(body, QueryRefused) and body.pending is not None):
        return None
    if isinstance(body, ConsentWithdrawn) and body.by == "erasure":
        return None
    if isinstance(body, SubjectRead) and body.by == "citizen":
        return None
    return "the leaf comes without the sealed details that would prove it"


DETAILS: Final = Rule("details-sealed", _details)
"""What makes a leaf provable to a regulator must be sealed with it, or leaving it out would be a way around.
"""

_OFFICE: Final[Rules] = (p.ACTOR_KNOWN, p.ACTOR_STANDING, p.ACTOR_OFFICE)
_ASKS: Final[Rules] = (p.ACTOR_KNOWN, p.ACTOR_STANDING, p.ACTOR_QUERIES)
_ABOUT_GRANT: Final[Rules] = (c.GRANT_EXISTS, c.GRANT_SUBJECT, c.GRANT_LIVE)
_SCOPE: Final[Rules] = (c.PURPOSE_USABLE, c.CATEGORIES_PERMITTED)
_PREDICATE: Final[Rules] = (q.PREDICATE_ON, q.PREDICATE_CATEGORIES)
_STATUTE: Final[Rules] = (st.STATUTE_ON, st.STATUTE_HOLDER, st.STATUTE_SCOPE, *_PREDICATE)
_WAITED: Final[Rules] = (st.PENDING_OPEN, st.PENDING_SUBJECT, st.PENDING_ASKER, st.PENDING_SAME)
_UNDER_GRANT: Final[Rules] = (
    DETAILS,
    *_ASKS,
    *_ABOUT_GRANT,
    ck.GRANT_STANDS,
    q.GRANT_BEGUN,
    q.GRANT_NOT_OVER,
    q.GRANT_RECIPIENT,
    q.GRANT_PURPOSE,
    q.GRANT_CATEGORIES,
    q.GRANT_ANSWER,
    *_SCOPE,
    q.ANSWER_OFFERED,
    q.PREDICATE_SUFFICES,
    *_PREDICATE,
    q.USE_NUMBER,
    q.USE_LIMIT,
    q.QUERY_ONCE,
    quotas.QUOTA_KEPT,
)
_UNDER_STATUTE: Final[Rules] = (
    DETAILS,
    *_ASKS,
    *_WAITED,
    st.APPROVED_IN_TIME,
    st.APPROVER,
    *_STATUTE,
)


class Row(NamedTuple):
    """What a type of leaf must obey, and what it changes; under a statute `statutory` instead."""

    rules: Rules
    apply: Apply
    statutory: Rules = ()


REPLAY: Final[Mapping[str, Row]] = MappingProxyType(
    {
        "log.opened": Row((h.OPENED_ORIGIN, rc.CONTINUES_ANOTHER, h.POLICY_PUBLISHED), h.apply_opened),
        "log.recovered": Row((*_OFFICE, rc.RECOVERED_SIZE), rc.apply_recovered),
        "log.closed": Row(_OFFICE, h.apply_closed),
        "policy.changed": Row((*_OFFICE, h.POLICY_REPLACES, h.POLICY_PUBLISHED), h.apply_policy),
        "key.published": Row(
            (*_OFFICE, h.KEY_ONCE, h.KEY_KIND, h.KEY_HOLDER, h.KEY_PINNED, sg.KEY_ONE),
            h.apply_published,
        ),
        "key.rotated": Row((*_OFFICE, sg.ROTATED_FROM, sg.ROTATED_TO, sg.ROTATION_SIGNED), sg.apply_rotated),
        "key.revoked": Row((*_OFFICE, sg.REVOKED_KNOWN, sg.REVOKED_ONCE, sg.REVOKED_CAUSE), sg.apply_revoked),
        "key.sealing": Row((*_OFFICE, h.SEALING_ONCE, h.SEALING_REGULATORS), h.apply_sealing),
        "key.epoch": Row(
            (*_OFFICE, ep.EPOCH_NEXT, ep.EPOCH_REWRAPPED, ep.EPOCH_CLOSED, cp.COPIES_ATTESTED), ep.apply_epoch
        ),
        "key.index": Row((*_OFFICE, ep.INDEX_NEXT, ep.INDEX_COMPLETED, ep.INDEX_CLOSED), ep.apply_index),
        "key.data": Row(_OFFICE, q.apply_nothing),
        "institution.registered": Row((*_OFFICE, p.INSTITUTION_ONCE), p.apply_institution),
        "institution.suspended": Row(
            (*_OFFICE, p.INSTITUTION_KNOWN, p.STANDING_ACTIVE, p.UNTIL_LATER), p.apply_suspended
        ),
        "institution.reinstated": Row(
            (*_OFFICE, p.INSTITUTION_KNOWN, p.STANDING_SUSPENDED), p.apply_reinstated
        ),
        "operator.registered": Row((*_OFFICE, p.OPERATOR_ONCE, p.INSTITUTION_KNOWN), p.apply_operator),
        "operator.suspended": Row(
            (*_OFFICE, p.OPERATOR_KNOWN, p.STANDING_ACTIVE, p.UNTIL_LATER), p.apply_suspended
        ),
        "operator.reinstated": Row((*_OFFICE, p.OPERATOR_KNOWN, p.STANDING_SUSPENDED), p.apply_reinstated),
        "subject.enrolled": Row(
            (
                DETAILS,
                c.REGISTRAR_ACTS,
                c.REGISTRAR_PUBLISHED,
                c.REGISTRAR_STANDING,
                c.REGISTRAR_PINNED,
                ck.COMMITMENT_ONCE,
                c.CERTIFICATE_ONCE,
            ),
            ck.apply_enrolled,
        ),
        "subject.key_revoked": Row(
            (DETAILS, ck.REVOKED_KNOWN, ck.REVOKED_ONCE, ck.REFUSED_FURTHER, *ck.COUNTER), ck.apply_revoked
        ),
        "subject.read": Row((DETAILS, c.SUBJECT_ENROLLED, *ck.COUNTER), q.apply_nothing),
        "consent.requested": Row(
            (
                DETAILS,
                *_ASKS,
                c.REQUEST_RECIPIENT,
                c.REQUEST_ONCE,
                *_SCOPE,
                c.CATEGORIES_NECESSARY,
                quotas.QUOTA_KEPT,
            ),
            c.apply_requested,
        ),
        "consent.declined": Row((c.REQUEST_OPEN, c.REQUEST_SAME), c.apply_closed_request),
        "consent.lapsed": Row((c.REQUEST_OPEN, c.REQUEST_SAME), c.apply_closed_request),
        "consent.granted": Row(
            (
                DETAILS,
                c.SUBJECT_ENROLLED,
                c.KEY_COMMITMENT,
                ck.KEY_LIVE,
                ck.KEY_WAITED,
                c.CONSENT_ONCE,
                c.RECIPIENT_KNOWN,
                *_SCOPE,
                c.CATEGORIES_NECESSARY,
                c.VALIDITY,
                c.USES_ALLOWED,
                c.RETENTION_ALLOWED,
                q.ANSWER_OFFERED,
            ),
            c.apply_granted,
        ),
        "consent.carried": Row(
            (
                DETAILS,
                rc.CARRIED_OVER,
                c.SUBJECT_ENROLLED,
                c.KEY_COMMITMENT,
                c.CONSENT_ONCE,
                c.RECIPIENT_KNOWN,
                rc.CARRIED_USES,
            ),
            rc.apply_carried,
        ),
        "consent.withdrawn": Row(
            (DETAILS, *_ABOUT_GRANT, er.WITHDRAWN_ERASED, *ck.COUNTER), c.apply_withdrawn
        ),
        "consent.suspended": Row((*_ABOUT_GRANT, ck.SUSPENDED_ONCE, ck.SUSPENDED_CAUSE), ck.apply_suspended),
        "consent.resumed": Row(
            (DETAILS, *_ABOUT_GRANT, ck.GRANT_SUSPENDED, q.GRANT_NOT_OVER, ck.ACTING_KEY), ck.apply_resumed
        ),
        "query.disclosed": Row(_UNDER_GRANT, q.apply_answered, _UNDER_STATUTE),
        "query.predicate": Row(_UNDER_GRANT, q.apply_answered, _UNDER_STATUTE),
        "query.pending": Row(
            (DETAILS, *_ASKS, *_STATUTE, st.DEFERRAL, st.DEFERRAL_TAG, q.QUERY_ONCE, quotas.QUOTA_KEPT),
            st.apply_pending,
        ),
        "query.refused": Row(
            (DETAILS, p.ACTOR_KNOWN, *_WAITED, st.DENIED_BY, st.LAPSED, quotas.QUOTA_KEPT), st.apply_refused
        ),
        "query.throttled": Row(
            (
                quotas.THROTTLED_OPERATOR,
                quotas.THROTTLED_OVER,
                quotas.THROTTLED_ONCE,
                quotas.THROTTLED_QUOTA,
            ),
            quotas.apply_throttled,
        ),
        "query.redelivered": Row(
            (
                *_ASKS,
                dl.ANSWER_EXISTS,
                dl.ANSWER_SUBJECT,
                dl.REDELIVERED_ORIGINAL,
                dl.REDELIVERED_TO,
                dl.REDELIVERED_IN_TIME,
                dl.REDELIVERED_LIVE,
                dl.REDELIVERED_ASKER,
                dl.REDELIVERED_SCOPE,
                quotas.QUOTA_KEPT,
            ),
            dl.apply_redelivered,
        ),
        "query.undelivered": Row(
            (p.ACTOR_KNOWN, dl.ANSWER_EXISTS, dl.ANSWER_SUBJECT, dl.UNDELIVERED_ONCE), dl.apply_undelivered
        ),
        "query.unsealed": Row((st.UNSEALED_OPEN, st.UNSEALED_DUE, st.UNSEALED_PERSON), st.apply_unsealed),
        "record.ingested": Row(
            (
                p.ACTOR_KNOWN,
                p.ACTOR_STANDING,
                records.SOURCE_KNOWN,
                records.SOURCE_ROLE,
                records.SOURCE_STANDING,
                records.SOURCE_ACTS,
            ),
            er.apply_ingested,
        ),
        "record.restated": Row((co.CORRECTION_MADE, er.RESTATED_CAUSE, er.RESTATED_COUNT), co.apply_restated),
        "record.corrected": Row(
            (
                DETAILS,
                p.ACTOR_KNOWN,
                p.ACTOR_STANDING,
                records.SOURCE_KNOWN,
                records.SOURCE_ROLE,
                records.SOURCE_STANDING,
                records.SOURCE_ACTS,
                co.CORRECTED_HELD,
            ),
            co.apply_corrected,
        ),
        "record.erased": Row(
            (
                *_OFFICE,
                er.ERASURE_ONCE,
                er.ERASED_HELD,
                er.ERASED_WHOLE,
                er.ERASED_EPOCH,
                er.ERASED_GROUND,
                er.CASE_HOLDS,
            ),
            er.apply_erased,
        ),
        "case.opened": Row((DETAILS, *_OFFICE, er.CASE_ONCE), er.apply_opened),
        "case.closed": Row((*_OFFICE, er.CASE_OPEN), er.apply_closed),
        "key.backup": Row((*_OFFICE, cp.COPY_ONCE, cp.COPY_KEPT, cp.COPY_EPOCHS), cp.apply_backup),
    }
)
"""Type of leaf -> its row. Closed, like `ledger.bodies.LEAF_TYPES`."""


def check(index: int, leaf: Leaf, world: World) -> None:
    """Raise a Finding for the first rule of the leaf's type that does not hold."""
    row = REPLAY[leaf.type]
    hold((*er.OF_EVERY_LEAF, *co.OF_EVERY_LEAF, *ck.OF_EVERY_LEAF), index, leaf, leaf.body, world)
    statutory = isinstance(leaf.body, Answered) and leaf.body.statute is not None
    hold(row.statutory if statutory else row.rules, index, leaf, leaf.body, world)


def apply(leaf: Leaf, world: World) -> None:
    """Take over what a leaf that held says."""
    quotas.count(leaf, world)
    sg.certify(leaf.body, world)
    REPLAY[leaf.type].apply(leaf, leaf.body, world)
