"""Whoever asked under a statute does not approve of it, with whatever second key (四眼原则, two persons).

A key is one operator's, an operator one person's: what signs under the first cannot sign as the other. What a
gateway cannot see is an institution that registers one human being twice; both operators then stand in the
answer's leaf, for its regulator to ask about. Roles, institutions and times: tests/gateway/query/statutory/.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.client.bank import Answer
from gateway.client.statutory import Settled, Waiting
from gateway.errors import Rejected
from gateway.http.pending import request_sha256
from gateway.institutions.register import add_operator, suspend
from keys.canonical import canonical
from keys.signing import PrivateKey, parse_public_jwk
from tests.attacks.bent import Asking, Raw
from tests.attacks.siege import Attack, Attacks, besieged, check_refused, nothing_given, somebody
from tests.gateway import kit
from tests.gateway.query.statutory.kit import Office
from tests.gateway.world import BANK, Citizen, World, fresh_key

ATTACKS = Attacks()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with besieged("sqlite", tmp_path_factory) as made:
        yield made


@pytest.fixture(scope="module")
def office(world: World) -> Office:
    return Office(world)


@pytest.fixture(scope="module")
def victim(world: World) -> Citizen:
    return somebody(world, 100)


class Approving:
    """A query that waits, asked by somebody who may also approve, and approvals of it by hand."""

    def __init__(self, office: Office, victim: Citizen) -> None:
        self.office, self.world = office, office.world
        self.request = office.request(number=victim.number)
        assert isinstance(office.submit(self.request, by="both"), Waiting)

    def by(self, key: PrivateKey, other: dict[str, Any] | None = None, **params: object) -> Raw:
        """An approval of this query, or of another, signed by `key`."""
        request = other or self.request
        body = {
            "query_id": request["query_id"],
            "request_sha256": request_sha256(request),
            "decision": "approve",
        }
        path = f"/v1/queries/{request['query_id']}/approval"
        return Asking(self.world, "").signed(key, target=path, content=canonical(body), **params)

    @property
    def asker(self) -> PrivateKey:
        return self.office.keys["both"]


@ATTACKS.refused(403, "role-not-permitted", recorded=True)
def with_the_key_that_asked(approving: Approving) -> Raw:
    """Its operator may approve, and what others asked only."""
    return approving.by(approving.asker)


@ATTACKS.refused(401, "unknown-key")
def with_a_second_key_that_is_nobodys(approving: Approving) -> Raw:
    return approving.by(fresh_key())


@ATTACKS.refused(403, "operator-suspended", recorded=True)
def with_a_second_key_that_was_retired(approving: Approving) -> Raw:
    """The key that this person had before."""
    old = fresh_key()
    public = parse_public_jwk(old.jwk)
    operator, _ = add_operator(approving.world.house, approving.office.institution, public, ["approve"])
    suspend(approving.world.house, "operator", operator, "key-replaced")
    return approving.by(old)


@ATTACKS.refused(401, "bad-signature")
def with_the_key_that_asked_in_the_approvers_name(approving: Approving) -> Raw:
    return approving.by(approving.asker, keyid=approving.office.keys["approver"].kid)


@ATTACKS.refused(401, "unknown-key")
def with_the_key_that_they_have_as_a_citizen(approving: Approving) -> Raw:
    return approving.by(approving.world.citizen(kit.person(101)).key)


@ATTACKS.refused(401, "bad-signature")
def with_what_the_approver_said_of_another_query(approving: Approving) -> Raw:
    """A colleague's honest approval, carried to this query's address."""
    other = approving.office.request()
    assert isinstance(approving.office.submit(other, by="both"), Waiting)
    said = approving.by(approving.office.keys["approver"], other)
    return replace(said, target=f"/v1/queries/{approving.request['query_id']}/approval")


@ATTACKS.refused(401, "replayed-nonce")
def with_what_the_approver_said_before(approving: Approving) -> Raw:
    """The same approval twice: the second time nobody said it."""
    other = approving.office.request()
    assert isinstance(approving.office.submit(other, by="both"), Waiting)
    said = approving.by(approving.office.keys["approver"], other)
    assert said.send().status_code == 200
    return said


@ATTACKS.each
def test_nobody_approves_of_their_own_query(office: Office, victim: Citizen, attack: Attack) -> None:
    approving = Approving(office, victim)
    raw = attack.make(approving)
    with nothing_given(office.world, *attack.leaves):
        check_refused(raw.send(), attack, victim)
    assert isinstance(office.collect(approving.request, by="both"), Waiting)
    assert isinstance(office.approve(approving.request), Settled)
    assert isinstance(office.collect(approving.request, by="both"), Answer)


def test_one_key_is_not_registered_as_two_operators(office: Office) -> None:
    """Neither at the same institution nor at another, whatever roles it is to have there."""
    house, public = office.world.house, parse_public_jwk(office.keys["both"].jwk)
    for institution, role in ((office.institution, "approve"), (BANK, "query")):
        size = kit.size(house)
        with pytest.raises(Rejected) as refused:
            add_operator(house, institution, public, [role])
        assert refused.value.problem == "already-answered"
        assert kit.size(house) == size
