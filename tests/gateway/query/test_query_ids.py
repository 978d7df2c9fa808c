"""A query_id serves one request of one institution, whatever became of it."""

from __future__ import annotations

import uuid

from gateway.client.bank import Answer
from gateway.institutions.register import reinstate, suspend
from tests.gateway import kit
from tests.gateway.world import BANK, World


def test_a_query_id_used_for_another_body_is_a_conflict_with_a_receipt(world: World) -> None:
    consent, query = world.consent(world.citizen(kit.NUMBER)), str(uuid.uuid4())
    assert isinstance(world.query(consent, query_id=query), Answer)
    for change in ({"categories": ("loan",)}, {"case_ref": "another"}, {"purpose": "03"}):
        kit.check_refused(world, world.query(consent, query_id=query, **change), "query-id-reused", query)
    assert len(kit.of_type(world.house, "query.disclosed")) == 1
    assert kit.row_of(world.house, "grants", "consent = ?", consent)["uses"] == 1


def test_the_id_of_a_refused_query_is_used_too_also_for_the_same_body(world: World) -> None:
    consent, query = world.consent(world.citizen(kit.NUMBER)), str(uuid.uuid4())
    kit.check_refused(world, world.query(consent, query_id=query, purpose="99"), "purpose-unknown", query)
    kit.check_refused(world, world.query(consent, query_id=query, purpose="99"), "query-id-reused", query)
    kit.check_refused(world, world.query(consent, query_id=query), "query-id-reused", query)


def test_another_institution_may_use_the_same_id(world: World) -> None:
    consent, query = world.consent(world.citizen(kit.NUMBER)), str(uuid.uuid4())
    assert isinstance(world.query(consent, query_id=query), Answer)
    other = world.bank(world.other_key)
    kit.check_refused(world, world.query(consent, other, query_id=query), "no-consent", query)


def test_a_used_id_under_suspension_is_refused_for_the_suspension_and_recorded(world: World) -> None:
    """Both apply; the asker without standing comes first, and the ledger is written all the same."""
    consent, query = world.consent(world.citizen(kit.NUMBER)), str(uuid.uuid4())
    assert isinstance(world.query(consent, query_id=query), Answer)
    suspend(world.house, "institution", BANK, "audit-failed")
    kit.check_refused(world, world.query(consent, query_id=query), "institution-suspended", query)
    other = world.query(consent, query_id=query, categories=("loan",))
    kit.check_refused(world, other, "institution-suspended", query)
    reinstate(world.house, "institution", BANK, "audit-passed")
    other = world.query(consent, query_id=query, categories=("loan",))
    kit.check_refused(world, other, "query-id-reused", query)
    assert isinstance(world.query(consent), Answer)
