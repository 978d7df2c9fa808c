"""Ways of the insider to make a consent, or to get more out of one: each returns the leaf and the rule that
an audit must name.

Where the gateway's own code is in the way it is bent; where the point of it is an answer, one is given.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from consent.enrolment import (
    draft_enrolment,
    format_certificate,
    make_certificate,
    officer_sign,
    parse_certificate,
)
from gateway import rows
from gateway.tables import grants
from keys.canonical import parse_canonical
from keys.instant import format_instant
from keys.signing import parse_public_jwk
from ledger.log import Entry
from ledger.tables import ledger_leaves
from tests.attacks.insider import ANNA, DORA, Found, Insider, granted_leaf
from tests.gateway.world import DAY_MS, OTHER_BANK, REGISTRAR, fresh_key, new_registrar


def recipient_replaced(insider: Insider) -> Found:
    """For another bank."""
    return _honest_consent_says(insider, recipient=OTHER_BANK)


def purpose_replaced(insider: Insider) -> Found:
    """For another purpose."""
    return _honest_consent_says(insider, purpose="01")


def more_uses(insider: Insider) -> Found:
    """For more uses."""
    return _honest_consent_says(insider, max_uses=5)


def longer(insider: Insider) -> Found:
    """For a longer time."""
    return _honest_consent_says(insider, not_after=format_instant(insider.world.clock() + 60 * DAY_MS))


def more_categories(insider: Insider) -> Found:
    """For more categories."""
    return _honest_consent_says(insider, categories=["employment", "loan", "repayment"])


def recipient_replaced_in_the_document(insider: Insider) -> Found:
    """The document too: then the citizen's signature is of another."""
    insider.believe_every_certificate()
    papers = insider.papers()
    papers["document"] |= {"recipient": OTHER_BANK, "consent_id": str(uuid.uuid4())}
    entry = insider.append_grant(papers)
    insider.must_answer(insider.write_grant(papers, entry), bank=insider.world.bank(insider.world.other_key))
    return entry.index, "consent-proof"


def more_uses_in_the_document(insider: Insider) -> Found:
    """The document too, and the gateway counts to it."""
    insider.believe_every_certificate()
    papers = insider.papers()
    papers["document"] |= {"max_uses": 5, "consent_id": str(uuid.uuid4())}
    entry = insider.append_grant(papers)
    consent = insider.write_grant(papers, entry)
    for _ in range(5):
        insider.must_answer(consent)
    return entry.index, "consent-proof"


def granted_again(insider: Insider) -> Found:
    """The honest consent once more, as it is, with its count at nought; the gateway is content with it."""
    papers = insider.papers()
    entry = insider.append_grant(papers)
    consent = insider.write_grant(papers, entry)
    for _ in range(3):
        insider.must_answer(consent)
    return entry.index, "consent-once"


def count_put_back(insider: Insider) -> Found:
    """The honest grant's row with no use counted."""
    _rewrite_row(insider, {"uses": 1}, {"uses": 0})
    return insider.must_answer(insider.honest), "use-number"


def withdrawal_undone(insider: Insider) -> Found:
    """After the withdrawal the row is granted again."""
    insider.world.withdraw(insider.anna, insider.honest)
    _rewrite_row(insider, {"state": "withdrawn"}, {"state": "granted"})
    return insider.must_answer(insider.honest), "grant-live"


def row_without_a_leaf(insider: Insider) -> Found:
    """A grant's row alone, evident by an honest leaf that is no grant: the triggers are dropped and that
    leaf's search column is set.
    """
    insider.believe_every_certificate()
    papers, house = insider.own_consent(), insider.world.house
    about = rows.about(grants, papers["document"]["consent_id"])
    leaf = ledger_leaves.c
    with house.engine.begin() as conn:
        conn.exec_driver_sql("DROP TRIGGER ledger_leaves_refuse_update")
        found = conn.execute(
            sa.select(leaf.idx, leaf.leaf_hash).where(leaf.type == "consent.requested")
        ).first()
        assert found is not None
        conn.execute(sa.update(ledger_leaves).where(leaf.idx == found.idx).values(about=about))
    entry = Entry(found.idx, found.leaf_hash, b"", 0, "", b"")
    return insider.must_answer(insider.write_grant(papers, entry)), "grant-exists"


def signed_by_the_operator(insider: Insider) -> Found:
    """Row, leaf and document, signed by the operator's own key as if it were Anna's."""
    insider.believe_every_certificate()
    papers = insider.own_consent()
    entry = insider.append_grant(papers)
    insider.must_answer(insider.write_grant(papers, entry))
    return entry.index, "consent-proof"


def signed_by_the_operator_in_their_own_name(insider: Insider) -> Found:
    """The document names the key that signed it, and the certificate is Anna's."""
    insider.believe_every_certificate()
    key = fresh_key()
    papers = insider.own_consent(key, subject=key.kid)
    entry = insider.append_grant(papers)
    insider.must_answer(insider.write_grant(papers, entry))
    return entry.index, "consent-key"


def another_key_in_the_certificate(insider: Insider) -> Found:
    """Everything about the key agrees with itself, and not with what was enrolled."""
    key = fresh_key()
    papers = insider.own_consent(key, subject=key.kid)
    rogue = new_registrar().certify(insider.world.house.origin, ANNA, key, insider.world.clock())
    papers["certificate"] = parse_canonical(rogue)
    return insider.append_grant(papers).index, "key-commitment"


def consent_without_details(insider: Insider) -> Found:
    """Nothing is sealed, so that nothing can be checked."""
    return insider.append(
        "consent.granted", granted_leaf(insider.own_consent()), ANNA
    ).index, "details-sealed"


def details_under_a_key_of_ones_own(insider: Insider) -> Found:
    """The details are sealed to nobody."""
    house = insider.world.house
    assert house.sealing is not None
    own = replace(house.sealing, id=str(uuid.uuid4()), key=bytes(32))
    papers = insider.own_consent()

    def act(tx: Any) -> Entry:
        tx.sealing = own
        return tx.append(
            "consent.granted", granted_leaf(papers), tag=insider.subject(ANNA).tag, details=papers
        )

    index = house.transact(act).index
    house.sealing = None
    return index, "sealing-announced"


def consent_of_a_key_not_yet_effective(insider: Insider) -> Found:
    """An honest certificate whose key may act in three days only, and its holder's consent of today."""
    world, key, number = insider.world, fresh_key(), DORA
    at = world.clock()
    document = draft_enrolment(
        gateway=world.house.origin,
        citizen_number=number,
        citizen_key=parse_public_jwk(key.jwk),
        assurance="in-person",
        registrar=REGISTRAR,
        officers=("officer-a", "officer-b"),
        at=at,
        salt=bytes(16),
        effective=at + 3 * DAY_MS,
    )
    held = parse_certificate(insider.anna.certificate)
    officers = world.registrar.officers
    signatures = (
        officer_sign(document, officers["officer-a"]),
        officer_sign(document, officers["officer-b"]),
    )
    later = insider.someone(
        number, format_certificate(make_certificate(document, signatures, held.officers)), key
    )
    insider.enrol(later)
    asked = world.ask(later)
    body = world.wallet.sign_consent(asked.template, key)
    assert "key-not-live" in str(later.client.grant(body))
    papers = insider.papers() | body | {"certificate": parse_canonical(later.certificate)}
    papers["commitment_salt"] = insider.commitment_salt(number)
    entry = insider.append("consent.granted", granted_leaf(papers), number, details=papers)
    return entry.index, "key-waited"


def _honest_consent_says(insider: Insider, **said: Any) -> Found:
    """A document that Anna did sign, recorded by the insider under a leaf that says something else."""
    return insider.append_grant(insider.unsent(), **said).index, "consent-document"


def _rewrite_row(insider: Insider, was: Mapping[str, Any], becomes: Mapping[str, Any]) -> None:
    """The honest grant's row with other columns, its MAC made anew over the leaf it names."""
    house = insider.world.house
    with house.engine.begin() as conn:
        [row] = rows.read_evident(conn, grants, "consent", [insider.honest], house.shard)
        assert was.items() <= row.items()
        changed = rows.columns_of(grants, row) | becomes
        protected = rows.protect(house.custody, grants, changed, row["leaf_hash"])
        conn.execute(sa.update(grants).where(grants.c.consent == insider.honest).values(**protected))


WAYS = (
    recipient_replaced,
    purpose_replaced,
    more_uses,
    longer,
    more_categories,
    recipient_replaced_in_the_document,
    more_uses_in_the_document,
    granted_again,
    count_put_back,
    withdrawal_undone,
    row_without_a_leaf,
    signed_by_the_operator,
    signed_by_the_operator_in_their_own_name,
    another_key_in_the_certificate,
    consent_without_details,
    details_under_a_key_of_ones_own,
    consent_of_a_key_not_yet_effective,
)
