"""Whatever is sent, the reply is one that the API document foresees, and never a 500."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, assume, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.core.parameters import ParameterLocation
from werkzeug.test import TestResponse

from gateway.http.app import create_app
from gateway.publishing import PublishingThread
from tests.gateway import kit
from tests.gateway.http.conformance import Exchange, check
from tests.gateway.world import World, new_world

BOUNDED = settings(
    max_examples=6,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with new_world(tmp_path_factory.mktemp("fuzz") / "home", log_level="error") as made:
        yield made


@pytest.fixture(scope="module")
def app(shared: World) -> Flask:
    return create_app(shared.house, PublishingThread(shared.house))


@pytest.fixture(scope="module")
def document(app: Flask) -> dict[str, Any]:
    found: dict[str, Any] = app.test_client().get("/openapi.json").get_json()
    return found


@pytest.fixture(scope="module")
def operations(app: Flask) -> dict[str, Any]:
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app)
    return {one.ok().label: one.ok() for one in schema.get_all_operations()}


def hold(document: dict[str, Any], method: str, path: str, reply: TestResponse) -> None:
    headers = {name.lower(): value for name, value in reply.headers.items()}
    assert reply.status_code != 500
    check(document, Exchange((method, path), reply.status_code, headers, reply.data))


def send(app: Flask, case: Case) -> TestResponse:
    """The case, without a signature."""
    with app.test_client() as client:
        return client.open(**case.as_transport_kwargs(), follow_redirects=False)


@pytest.mark.parametrize("mode", MODES, ids=lambda mode: str(mode.value))
def test_unsigned_requests_of_any_form_get_a_reply_that_is_documented(
    app: Flask, document: dict[str, Any], operations: dict[str, Any], mode: GenerationMode
) -> None:
    """Wrong ones of what has a body; a path or parameter of another form is no route, or ignored."""
    tried = 0
    for label, operation in operations.items():
        if mode is GenerationMode.NEGATIVE and not label.startswith("POST"):
            continue

        @BOUNDED
        @given(case=operation.as_strategy(generation_mode=mode))
        def fuzz(case: Case) -> None:
            nonlocal tried
            tried += 1
            hold(document, case.operation.method.upper(), case.operation.path, send(app, case))

        fuzz()
    assert tried > 40


def test_signed_queries_of_the_documented_form_are_decided(
    shared: World, app: Flask, document: dict[str, Any], operations: dict[str, Any]
) -> None:
    seen = fuzz_queries(shared, app, document, operations, GenerationMode.POSITIVE)
    assert 403 in seen  # no consent, or no such purpose: decided, and in the ledger


def test_signed_queries_of_another_form_are_refused_without_a_leaf(
    shared: World, app: Flask, document: dict[str, Any], operations: dict[str, Any]
) -> None:
    before = kit.size(shared.house)
    seen = fuzz_queries(shared, app, document, operations, GenerationMode.NEGATIVE)
    assert seen == {400}
    assert kit.size(shared.house) == before


def fuzz_queries(
    world: World, app: Flask, document: dict[str, Any], operations: dict[str, Any], mode: GenerationMode
) -> set[int]:
    """The statuses that signed queries with generated bodies got."""
    seen: set[int] = set()

    @BOUNDED
    @given(case=operations["POST /v1/queries"].as_strategy(generation_mode=mode))
    def fuzz(case: Case) -> None:
        assume(case.meta.components[ParameterLocation.BODY].mode is mode)  # not a header's doing
        content = json_bytes(case.body)
        if mode is GenerationMode.POSITIVE:  # what JSON Schema cannot say: categories ascend
            content = json_bytes(case.body | {"categories": sorted(case.body["categories"])})
        prepared = kit.prepare(world, world.bank_key, "POST", "/v1/queries", content)
        with app.test_client() as client:
            reply = client.post(
                "/v1/queries",
                data=content,
                headers=prepared.headers,
                environ_overrides={"RAW_URI": "/v1/queries"},
            )
        seen.add(reply.status_code)
        hold(document, "POST", "/v1/queries", reply)

    fuzz()
    return seen


def json_bytes(body: Any) -> bytes:
    """A generated body as it would be sent; never empty, since then there is nothing to sign over."""
    return body if isinstance(body, bytes) and body else json.dumps(body, default=str).encode()
