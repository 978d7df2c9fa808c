"""Quotas: exact under any crowd, in any number of processes, and what an auditor counts from the leaves."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from consent.policy import PolicyBundle, default_policy
from consent.quotas import WINDOW_MS, Quota
from gateway.client.bank import Answer, Person
from gateway.client.reply import Refused
from gateway.institutions.register import add_operator, reinstate, suspend
from gateway.policies import apply_policy
from gateway.publishing import vkey_of
from gateway.query.answer import Answer as Answered
from gateway.query.quota import flush_throttled
from gateway.query.request import Query
from gateway.query.ruled import Throttled
from gateway.query.turnstile import rule_batch
from keys.canonical import canonical, parse_canonical
from keys.instant import DAY, HOUR, MINUTE, format_instant, parse_instant
from keys.signing import parse_public_jwk
from ledger.verify.auditor import Trust, audit
from tests.attacks.insider import export_of
from tests.gateway import kit
from tests.gateway.query.asked import look_up
from tests.gateway.world import BANK, World, fresh_key, new_world

LIMIT = 5


def limited(*quotas: Quota) -> PolicyBundle:
    return msgspec.structs.replace(
        default_policy(demo=True), quotas=tuple(sorted(quotas, key=lambda one: one.key))
    )


def quota(
    scope: str = "operator", per: str = "hour", limit: int = LIMIT, purpose: str | None = None
) -> Quota:
    return Quota(scope=scope, per=per, limit=limit, purpose=purpose)  # type: ignore[arg-type]


@contextmanager
def at_the_begin_of_a_window(home: Path, *quotas: Quota) -> Iterator[tuple[World, str]]:
    """A gateway under these quotas, with one consent, an instant after the windows began."""
    with new_world(home) as world:
        consent = world.consent(world.citizen(kit.NUMBER), max_uses=10)
        apply_policy(world.house, limited(*quotas))
        kit.insider(world.house, "DELETE FROM quota_counts")  # of the policy before
        next_window(world, DAY)
        yield world, consent


def next_window(world: World, length: int) -> None:
    world.clock.offset += length - world.clock() % length


def counters(world: World) -> dict[tuple[str, str, str, str], int]:
    rows = kit.insider(world.house, 'SELECT scope, name, purpose, per, "count" FROM quota_counts')
    return {(scope, name, purpose, per): count for scope, name, purpose, per, count in rows}


def check_throttled(refused: object) -> Refused:
    """Turned away: 429, no receipt, and when to come again."""
    assert isinstance(refused, Refused), refused
    assert (refused.problem.name, refused.problem.status) == ("quota-exceeded", 429)
    assert refused.receipt is None
    assert 1 <= (refused.problem.retry_after or 0) <= 3_600
    return refused


def test_beyond_the_limit_nothing_is_answered_and_nothing_is_recorded(tmp_path: Path, engine: str) -> None:
    with at_the_begin_of_a_window(tmp_path / engine, quota()) as (world, consent):
        for _ in range(LIMIT):
            assert isinstance(world.query(consent), Answer)
        before = kit.size(world.house)
        for _ in range(3):
            refused = check_throttled(world.query(consent))
            assert abs((refused.problem.retry_after or 0) - 3_600) <= 60
        assert kit.size(world.house) == before
        assert kit.row_of(world.house, "grants", "consent = ?", consent)["uses"] == LIMIT
        next_window(world, HOUR)
        assert isinstance(world.query(consent), Answer)


def test_refusals_count_and_so_do_those_of_who_has_no_standing(tmp_path: Path, engine: str) -> None:
    with at_the_begin_of_a_window(tmp_path / engine, quota()) as (world, consent):
        suspend(world.house, "institution", BANK, "audit-failed")
        for _ in range(2):
            kit.check_refused(world, world.query(consent), "institution-suspended")
        reinstate(world.house, "institution", BANK, "audit-passed")
        kit.check_refused(world, world.query(consent, purpose="99"), "purpose-unknown")
        with world.bank() as bank:
            for _ in range(2):
                asked = bank.request_consent(str(uuid.uuid4()), Person(kit.NUMBER), world.terms(purpose="99"))
                kit.check_refused(world, asked, "purpose-unknown")
            check_throttled(bank.request_consent(str(uuid.uuid4()), Person(kit.NUMBER), world.terms()))
        check_throttled(world.query(consent))


def test_a_replayed_nonce_and_a_repeated_consent_request_count_nothing(tmp_path: Path, engine: str) -> None:
    with at_the_begin_of_a_window(tmp_path / engine, quota()) as (world, consent):
        sent = kit.prepare(world, world.bank_key, "POST", "/v1/queries", kit.query_body(consent))
        assert sent.send().status_code == 200
        for _ in range(3):
            assert kit.name_of(sent.send()) == "replayed-nonce"
        request, terms = str(uuid.uuid4()), world.terms()
        with world.bank() as bank:
            for _ in range(4):
                assert not isinstance(bank.request_consent(request, Person(kit.NUMBER), terms), Refused)
        assert set(counters(world).values()) == {2}


def test_the_nonce_of_a_throttled_request_is_spent(tmp_path: Path, engine: str) -> None:
    with at_the_begin_of_a_window(tmp_path / engine, quota(limit=1)) as (world, consent):
        assert isinstance(world.query(consent), Answer)
        sent = kit.prepare(world, world.bank_key, "POST", "/v1/queries", kit.query_body(consent))
        assert kit.name_of(sent.send()) == "quota-exceeded"
        assert kit.name_of(sent.send()) == "replayed-nonce"


def test_the_id_of_a_throttled_query_is_not_used(tmp_path: Path, engine: str) -> None:
    with at_the_begin_of_a_window(tmp_path / engine, quota(limit=1)) as (world, consent):
        assert isinstance(world.query(consent), Answer)
        query = str(uuid.uuid4())
        check_throttled(world.query(consent, query_id=query))
        next_window(world, HOUR)
        assert isinstance(world.query(consent, query_id=query), Answer)


def test_what_is_given_again_counts_for_its_operator_and_not_for_its_purpose(
    tmp_path: Path, engine: str
) -> None:
    quotas = quota(limit=4), quota("purpose", "day", 1, "02")
    with at_the_begin_of_a_window(tmp_path / engine, *quotas) as (world, consent):
        query = str(uuid.uuid4())
        assert isinstance(world.query(consent, query_id=query), Answer)
        check_throttled_for_the_day(world.query(consent))
        for _ in range(3):
            again = world.query(consent, query_id=query)
            assert isinstance(again, Answer)
            assert again.receipt.decision == "redelivered"
        check_throttled(world.query(consent, query_id=query))
        counted = {scope: count for (scope, *_), count in counters(world).items()}
        assert counted == {"operator": 4, "purpose": 1}


def test_a_redelivery_that_is_refused_counts_for_its_purpose_too(tmp_path: Path, engine: str) -> None:
    quotas = quota(limit=9), quota("purpose", "day", 2, "02")
    with at_the_begin_of_a_window(tmp_path / engine, *quotas) as (world, consent):
        query = str(uuid.uuid4())
        assert isinstance(world.query(consent, query_id=query), Answer)
        suspend(world.house, "institution", BANK, "audit-failed")
        kit.check_refused(world, world.query(consent, query_id=query), "institution-suspended")
        check_throttled_for_the_day(world.query(consent, query_id=query))
        counted = {scope: count for (scope, *_), count in counters(world).items()}
        assert counted == {"operator": 2, "purpose": 2}


def check_throttled_for_the_day(refused: object) -> None:
    assert isinstance(refused, Refused), refused
    assert refused.problem.name == "quota-exceeded"
    assert refused.problem.retry_after == 3_600  # the client believes no longer wait than an hour


def test_one_batch_lets_exactly_the_limit_through(tmp_path: Path, engine: str) -> None:
    with at_the_begin_of_a_window(tmp_path / engine, quota()) as (world, consent):
        asks = [_ask(world, consent) for _ in range(20)]
        ruled = world.house.transact(lambda tx: rule_batch(tx, asks))
        assert [isinstance(one, Throttled) for one in ruled] == [False] * 5 + [True] * 15
        [turned_away] = kit.insider(world.house, 'SELECT operator, "count" FROM throttled')
        assert turned_away == (world.operators[BANK], 15)


def _ask(world: World, consent: str) -> Any:
    members: dict[str, Any] = parse_canonical(canonical(kit.query_body(consent)))
    query = Query(**{**members, "categories": tuple(members["categories"])})
    return look_up(world.house, query, members, kit.signer_of(world))


def test_two_processes_and_a_crowd_let_exactly_the_limit_through(tmp_path: Path, engine: str) -> None:
    with at_the_begin_of_a_window(tmp_path / engine, quota(limit=7)) as (world, consent):
        second = world.reopen()
        try:
            houses = (world.house, second) * 16
            work = [partial(kit.ask_house, world, consent, house) for house in houses]
            results = kit.together(*work)
        finally:
            second.engine.dispose()
            second.custody.close()
        assert Counter(type(one) for one in results) == {Answered: 7, Throttled: 25}
        next_window(world, MINUTE)
        flush_throttled(world.house)
        summary = audit(export_of(world, tmp_path / "export"), Trust(vkey_of(world.house)))
        assert summary.counts["query.disclosed"] == 7
        assert sum(leaf.body.count for leaf in kit.of_type(world.house, "query.throttled")) == 25


def test_each_operator_has_a_quota_and_the_institution_one_for_all(tmp_path: Path, engine: str) -> None:
    quotas = quota(limit=2), quota("institution", "day", 3)
    with at_the_begin_of_a_window(tmp_path / engine, *quotas) as (world, consent):
        key = fresh_key()
        add_operator(world.house, BANK, parse_public_jwk(key.jwk), ["query"])
        for _ in range(2):
            assert isinstance(world.query(consent), Answer)
        check_throttled(world.query(consent))
        with world.bank(key) as colleague:
            assert isinstance(world.query(consent, colleague), Answer)
            check_throttled_for_the_day(world.query(consent, colleague))
        other = world.query(consent, world.bank(world.other_key))
        kit.check_refused(world, other, "no-consent")


@pytest.mark.parametrize(
    "damage",
    [
        'UPDATE quota_counts SET "count" = 0',
        'UPDATE quota_counts SET "window" = "window" - 1',
        "UPDATE quota_counts SET mac = zeroblob(32)",
    ],
)
def test_a_counter_that_was_changed_counts_as_full(tmp_path: Path, engine: str, damage: str) -> None:
    with at_the_begin_of_a_window(tmp_path / engine, quota()) as (world, consent):
        assert isinstance(world.query(consent), Answer)
        kit.insider(world.house, damage)
        check_throttled(world.query(consent))


def test_another_counters_row_does_not_serve(tmp_path: Path, engine: str) -> None:
    """The other bank's row, with its count and its MAC, under this bank's name."""
    with at_the_begin_of_a_window(tmp_path / engine, quota()) as (world, consent):
        for _ in range(2):
            assert isinstance(world.query(consent), Answer)
        world.query(consent, world.bank(world.other_key))
        mine, theirs = (
            kit.row_of(world.house, "quota_counts", "name = ?", name) for name in world_names(world)
        )
        kit.insider(
            world.house,
            'UPDATE quota_counts SET "count" = ?, mac = ? WHERE name = ?',
            [theirs["count"], theirs["mac"], mine["name"]],
        )
        check_throttled(world.query(consent))


def world_names(world: World) -> list[str]:
    return [world.operators[BANK], next(one for name, one in world.operators.items() if name != BANK)]


def test_throttled_asks_become_one_entry_an_operator_and_finished_minute(tmp_path: Path, engine: str) -> None:
    with at_the_begin_of_a_window(tmp_path / engine, quota(limit=1)) as (world, consent):
        begun = world.clock() // MINUTE * MINUTE
        assert isinstance(world.query(consent), Answer)
        for _ in range(2):
            check_throttled(world.query(consent))
        assert flush_throttled(world.house) == 0  # the minute is not over
        next_window(world, MINUTE)
        check_throttled(world.query(consent))
        assert flush_throttled(world.house) == 1
        next_window(world, MINUTE)
        assert flush_throttled(world.house) == 1
        assert flush_throttled(world.house) == 0
        said = kit.of_type(world.house, "query.throttled")
        operator = world.operators[BANK]
        expected = [(operator, format_instant(begun + n * MINUTE), 2 - n) for n in (0, 1)]
        assert [(leaf.body.operator, leaf.body.minute, leaf.body.count) for leaf in said] == expected
        assert all(leaf.by is None and leaf.subject is None and leaf.sealed is None for leaf in said)


def test_the_auditors_count_from_the_leaves_is_the_gateways(tmp_path: Path, engine: str) -> None:
    """Everything that may count, once or twice; then each counter against the leaves of its last window."""
    quotas = (
        quota(limit=50),
        quota("institution", "day", 90),
        quota("purpose", "day", 80, "02"),
    )
    with at_the_begin_of_a_window(tmp_path / engine, *quotas) as (world, consent):
        query = str(uuid.uuid4())
        world.query(consent, query_id=query)
        world.query(consent, query_id=query)
        world.query(consent, query_id=query, categories=("loan",))
        world.query(consent, purpose="03")
        world.query(consent, world.bank(world.other_key))
        world.ask(world.citizen(kit.person(1)))
        with world.bank() as bank:
            bank.request_consent(str(uuid.uuid4()), Person(kit.NUMBER), world.terms(purpose="99"))
        assert counters(world) == counted_from_leaves(world, quotas)
        assert len(counters(world)) == 6


ASKS = {"consent.requested", "query.disclosed", "query.predicate", "query.refused", "query.redelivered"}


def counted_from_leaves(world: World, quotas: tuple[Quota, ...]) -> dict[tuple[str, str, str, str], int]:
    counts: Counter[tuple[str, str, str, str]] = Counter()
    begin = world.clock() // DAY * DAY
    for leaf in kit.leaves(world.house):
        if leaf.type not in ASKS or leaf.by is None or parse_instant(leaf.at) < begin:
            continue
        for one in quotas:
            assert parse_instant(leaf.at) // WINDOW_MS[one.per] == world.clock() // WINDOW_MS[one.per]
            name = leaf.by.operator if one.scope == "operator" else leaf.by.institution
            if one.purpose is None or one.purpose == getattr(leaf.body, "purpose", None):
                counts[one.scope, str(name), one.purpose or "", one.per] += 1
    return dict(counts)
