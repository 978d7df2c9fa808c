"""Policies for tests: the default bundle with something switched off, or with other figures."""

from __future__ import annotations

from typing import Any

import msgspec

from consent.policy import PolicyBundle, default_policy
from tests.gateway.world import roomy_policy


def generous() -> PolicyBundle:
    """The world's usual policy, with as many uses for purpose 02 as a crowd of clients takes."""
    policy = roomy_policy()
    purposes = (
        msgspec.structs.replace(row, max_uses=1_000) if row.code == "02" else row for row in policy.purposes
    )
    return msgspec.structs.replace(policy, purposes=tuple(purposes))


def checked(bundle: PolicyBundle | None = None, *, but_purpose: str | None = None) -> PolicyBundle:
    """The default bundle with every row checked, so that it serves without being a demonstration's."""
    base = bundle or default_policy(demo=False)

    def all_on(rows: Any) -> Any:
        return tuple(msgspec.structs.replace(row, checked=True) for row in rows)

    purposes = tuple(msgspec.structs.replace(row, checked=row.code != but_purpose) for row in base.purposes)
    return msgspec.structs.replace(
        base,
        demo=False,
        purposes=purposes,
        categories=all_on(base.categories),
        statutes=all_on(base.statutes),
        predicates=all_on(base.predicates),
    )


def waiting(days: int, *, demo: bool = True) -> PolicyBundle:
    """The default bundle with another time that requests wait: a change that decides no query."""
    base = default_policy(demo=demo)
    return msgspec.structs.replace(base, enrolment=msgspec.structs.replace(base.enrolment, request_days=days))
