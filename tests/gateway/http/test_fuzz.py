"""Whatever is sent, the reply is one that the API document foresees, and never a 500."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, assume, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.core.parameters import ParameterLocation
from werkzeug.test import EnvironBuilder, TestResponse

from gateway.http.app import create_app
from gateway.http.signature import TAG_CITIZEN, TAG_INSTITUTION
from gateway.publishing import PublishingThread
from keys.signing import PrivateKey
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
Keys: TypeAlias = dict[str, tuple[PrivateKey, str]]
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


@pytest.fixture(scope="module")
def keys(shared: World) -> Keys:
    """A key that is in force, and the tag that goes with it."""
    citizen = shared.citizen(kit.NUMBER, "测试人")
    shared.consent(citizen)
    return {"institution": (shared.bank_key, TAG_INSTITUTION), "citizen": (citizen.key, TAG_CITIZEN)}


def hold(document: dict[str, Any], method: str, path: str, reply: TestResponse) -> None:
    headers = {name.lower(): value for name, value in reply.headers.items()}
    assert reply.status_code != 500
    if reply.status_code >= 400:
        assert headers["content-type"] == "application/problem+json"
        assert reply.get_json(force=True)["status"] == reply.status_code
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


@pytest.mark.parametrize("who", ["institution", "citizen"])
def test_signed_requests_of_any_form_get_past_the_signature_and_a_documented_reply(
    shared: World, app: Flask, document: dict[str, Any], operations: dict[str, Any], keys: Keys, who: str
) -> None:
    """Every operation of a signer, in his name: so that what is generated reaches what reads it."""
    theirs = {label: one for label, one in operations.items() if who in signers_of(document, one)}
    seen = {label: set[int]() for label in theirs}
    for operation in theirs.values():
        for mode in MODES if "requestBody" in told(document, operation) else [GenerationMode.POSITIVE]:

            @BOUNDED
            @given(case=operation.as_strategy(generation_mode=mode))
            def fuzz(case: Case) -> None:
                reply = send_signed(shared, app, case, *keys[who])
                hold(document, case.operation.method.upper(), case.operation.path, reply)
                assert reply.status_code != 401, (case.operation.label, reply.data)
                seen[case.operation.label].add(reply.status_code)

            fuzz()
    bodies = {label for label, one in theirs.items() if "requestBody" in told(document, one)}
    assert len(theirs) >= 6
    assert bodies
    assert all(400 in seen[label] for label in bodies), seen


def test_every_operation_is_tried_in_the_name_of_each_of_its_signers(
    document: dict[str, Any], operations: dict[str, Any], keys: Keys
) -> None:
    needed = {who for one in operations.values() for who in signers_of(document, one)}
    assert needed == keys.keys() == document["components"]["securitySchemes"].keys()


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


def told(document: dict[str, Any], operation: Any) -> dict[str, Any]:
    """What the document says of an operation."""
    found: dict[str, Any] = document["paths"][operation.path][operation.method.lower()]
    return found


def signers_of(document: dict[str, Any], operation: Any) -> set[str]:
    """Who may sign it; nobody where no signature is asked for."""
    return {who for scheme in told(document, operation).get("security", []) for who in scheme}


def send_signed(world: World, app: Flask, case: Case, key: PrivateKey, tag: str) -> TestResponse:
    """The case with a good signature over whatever it holds."""
    environ = EnvironBuilder(**case.as_transport_kwargs()).get_environ()
    content, target, method = environ["wsgi.input"].read(), environ["REQUEST_URI"], environ["REQUEST_METHOD"]
    assume("%" not in target)  # refused before the signature is read: tests of the target
    prepared = kit.prepare(world, key, method, target, content or None, tag=tag)
    with app.test_client() as client:
        return client.open(
            target,
            method=method,
            data=content,
            headers=prepared.headers,
            environ_overrides={"RAW_URI": target},
            follow_redirects=False,
        )


def json_bytes(body: Any) -> bytes:
    """A generated body as it would be sent; never empty, since then there is nothing to sign over."""
    return body if isinstance(body, bytes) and body else json.dumps(body, default=str).encode()
