"""The API document says what is there: every route, shape and problem; and /docs says it to people."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.http import operations
from gateway.http.app import create_app
from gateway.http.flood import Flood
from gateway.http.guards import Api, Guard
from gateway.http.openapi import path_of
from gateway.http.operation import Operation
from gateway.http.problems import PROBLEMS, TYPE_PREFIX
from gateway.publishing import PublishingThread
from tests.gateway.world import World, new_world

CHINESE = re.compile(r"[\u4e00-\u9fff]")
METHODS = {"get", "post", "put", "delete", "patch"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with new_world(tmp_path_factory.mktemp("docs") / "home") as made:
        yield made


@pytest.fixture(scope="module")
def document(shared: World) -> dict[str, Any]:
    reply = httpx.get(shared.url + "/openapi.json")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/json")
    found: dict[str, Any] = reply.json()
    return found


def operations_of(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): told
        for path, item in document["paths"].items()
        for method, told in item.items()
        if method in METHODS
    }


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from nodes(item)
    elif isinstance(value, list):
        for item in value:
            yield from nodes(item)


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_the_document_has_exactly_the_routes_that_are_served(shared: World, document: dict[str, Any]) -> None:
    app = create_app(shared.house, PublishingThread(shared.house))
    served = {
        (method, path_of(rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD"}
    }
    assert set(operations_of(document)) == served


def test_every_operation_that_is_described_is_one_routes(document: dict[str, Any]) -> None:
    described = [one.name for _, one in inspect.getmembers(operations) if isinstance(one, Operation)]
    assert sorted(told["operationId"] for told in operations_of(document).values()) == sorted(described)


def test_a_route_without_a_description_cannot_be_registered(shared: World) -> None:
    api = Api(Flask("test"), shared.house, PublishingThread(shared.house), Flood(1, shared.clock))
    with pytest.raises(TypeError, match="operation"):
        api.route("/undescribed", ["GET"], Guard.PUBLIC)  # type: ignore[call-arg]  # what the test is about


def test_an_operation_that_names_a_problem_nobody_knows_is_refused() -> None:
    with pytest.raises(ValueError, match="no-such-problem"):
        Operation("x", "某", "x", {}, problems=("no-such-problem",))


def test_every_operation_speaks_both_languages(document: dict[str, Any]) -> None:
    for told in operations_of(document).values():
        zh, _, en = told["summary"].partition(" / ")
        assert CHINESE.search(zh)
        assert en
        assert not CHINESE.search(en)


def test_who_must_sign_is_said_of_every_guarded_route(shared: World, document: dict[str, Any]) -> None:
    app = create_app(shared.house, PublishingThread(shared.house))
    expected = {
        Guard.PUBLIC: [],
        Guard.PROOF: [],
        Guard.OPERATOR: [{"institution": []}],
        Guard.CITIZEN: [{"citizen": []}],
        Guard.PARTY: [{"institution": []}, {"citizen": []}],
    }
    told = operations_of(document)
    for rule in app.url_map.iter_rules():
        guard = app.view_functions[rule.endpoint].__dict__["guard"]
        for method in (rule.methods or set()) - {"HEAD"}:
            one = told[method, path_of(rule.rule)]
            assert one["security"] == expected[guard]
            assert (guard in (Guard.PUBLIC, Guard.PROOF)) or "401" in one["responses"]


def test_every_problem_is_declared_by_some_operation_or_by_none_of_them(document: dict[str, Any]) -> None:
    """What no route can say is what the server says before there is one."""
    said = {
        name.removeprefix(TYPE_PREFIX)
        for told in operations_of(document).values()
        for response in told["responses"].values()
        for node in nodes(response)
        for name in node.get("enum", ())
    }
    assert PROBLEMS.keys() - said == {"method-not-allowed"}


def test_no_member_is_ever_null_and_patterns_are_those_of_ecmascript(document: dict[str, Any]) -> None:
    for node in nodes(document):
        assert node.get("type") != "null"
        assert "default" not in node or node["default"] is not None
        pattern = node.get("pattern")
        if isinstance(pattern, str):
            assert pattern.startswith("^")
            assert pattern.endswith("$")
            assert r"\A" not in pattern
            assert r"\Z" not in pattern


def test_bodies_and_replies_are_closed(document: dict[str, Any]) -> None:
    """But for the policy, the records and the document itself, whose members are data."""
    for name, schema in document["components"]["schemas"].items():
        if name != "ApiDocument":
            assert schema["additionalProperties"] is False, name


class Page(HTMLParser):
    """What a page has: tags, the ids in it and the fragments and files it links to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            self.attributes.add(name)
            if name == "id" and value:
                self.ids.append(value)
            if name == "href" and value:
                self.links.add(value)


def test_the_page_needs_no_script_and_no_other_host(shared: World) -> None:
    reply = httpx.get(shared.url + "/docs")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    policy = reply.headers["Content-Security-Policy"]
    assert policy == "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    page = Page(reply.text)
    assert not page.tags & {"script", "style", "img", "iframe", "form", "object"}
    assert not page.attributes & {"style", "onclick", "onload", "src"}
    assert all(link.startswith(("#", "/")) for link in page.links)
    style = httpx.get(shared.url + "/docs.css")
    assert (style.status_code, style.headers["content-type"]) == (200, "text/css; charset=utf-8")
    assert "url(" not in style.text
    assert "@import" not in style.text
    assert "style-src" not in style.headers["Content-Security-Policy"]


def test_the_page_shows_every_operation_shape_and_problem_and_its_links_lead_there(
    shared: World, document: dict[str, Any]
) -> None:
    text = httpx.get(shared.url + "/docs").text
    page = Page(text)
    wanted = {told["operationId"] for told in operations_of(document).values()}
    wanted |= {f"shape-{name}" for name in document["components"]["schemas"]}
    wanted |= {f"problem-{name}" for name in PROBLEMS}
    assert wanted <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    for _, path in operations_of(document):
        assert path in text
    assert 'name="viewport"' in text
