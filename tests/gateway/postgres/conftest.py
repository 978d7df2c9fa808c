"""A gateway on PostgreSQL for every test here, and connections as each of the roles."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from gateway import grants, provision
from tests import databases
from tests.gateway.world import World, new_world

AUDITOR = "test_auditor"
Login = Callable[[str], psycopg.Connection[Any]]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One gateway with a published log, for tests that are refused what they try."""
    with databases.using("postgresql"), new_world(tmp_path_factory.mktemp("roles") / "home") as made:
        made.consent(made.citizen("110101199003070134"))
        made.publishing.publish_now()
        yield made


@pytest.fixture(scope="module")
def login(shared: World) -> Iterator[Login]:
    """Connect to the gateway's database as one of the roles. The auditor's login is assigned this log."""
    server, name = databases.postgres(), databases.name_of(shared.house.settings.database_url)
    with server.connect() as admin:
        if not admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [AUDITOR]).fetchone():
            admin.execute(f"CREATE ROLE {AUDITOR} LOGIN")
            admin.execute("CREATE ROLE test_stranger LOGIN")
    provision.grant(shared.house.settings)  # rights on a database itself do not come with its template
    with provision.as_owner(shared.house.settings) as engine:
        grants.assign_auditor(engine, AUDITOR, shared.house.shard)
    with ExitStack() as closing:
        yield lambda user: closing.enter_context(server.connect(name, user))
