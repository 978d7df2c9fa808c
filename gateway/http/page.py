"""What `/docs` shows: the API document in the order that a person reads it, as plain values for the template.

Invariant: nothing is said here that the document does not say; no text comes from a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.http.guards import Guard, Route
from gateway.http.openapi import document, path_of, problems_of
from gateway.http.operation import Operation
from gateway.http.problems import PROBLEMS, Problem

_WHO = {
    Guard.PUBLIC: ("任何人", "anyone"),
    Guard.PROOF: ("持有本人密钥所签文件者", "whoever holds what the citizen's key signed"),
    Guard.OPERATOR: ("机构查询用户（签名）", "an institution's operator (signed)"),
    Guard.CITIZEN: ("信息主体（签名）", "the citizen (signed)"),
    Guard.PARTY: ("机构查询用户或信息主体（签名）", "an operator or the citizen (signed)"),
}
_CHAPTERS = (
    ("queries", "查询", "Queries"),
    ("consent-requests", "请求授权", "Requests for consent"),
    ("consents", "授权", "Consents"),
    ("challenges", "通行密钥挑战", "Passkey challenges"),
    ("withdrawals", "撤回", "Withdrawals"),
    ("enrolments", "登记密钥", "Enrolment"),
    ("events", "通知事件", "What institutions are told"),
    ("me", "信息主体本人", "The citizen's own"),
    ("ledger", "账本", "The ledger"),
    ("keys", "公钥", "Keys"),
)


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a body: its name, its type in words, the schema that links to, whether it must be."""

    name: str
    type: str
    link: str
    required: bool
    note: str


@dataclass(frozen=True, slots=True)
class Shown:
    """One operation as it is shown."""

    method: str
    path: str
    operation: Operation
    who_zh: str
    who_en: str
    body: str
    replies: tuple[tuple[int, str, tuple[str, ...]], ...]
    problems: tuple[Problem, ...]


def page_of(routes: Sequence[Route], public_url: str) -> dict[str, Any]:
    """The template's variables."""
    described = document(routes, public_url)
    schemas = described["components"]["schemas"]
    chapters: dict[str, list[Shown]] = {name: [] for name in (*(name for name, _, _ in _CHAPTERS), "")}
    for route in routes:
        told = described["paths"][path_of(route.rule)][route.method.lower()]
        tag = told["tags"][0]
        chapters[tag if tag in chapters else ""].append(_shown(route, told))
    titles = {name: (zh, en) for name, zh, en in _CHAPTERS} | {"": ("运行与文档", "Running and documents")}
    return {
        "info": described["info"],
        "url": public_url,
        "schemes": described["components"]["securitySchemes"],
        "chapters": [(*titles[name], listed) for name, listed in chapters.items() if listed],
        "schemas": [
            (name, schema.get("description", ""), _members(schema)) for name, schema in schemas.items()
        ],
        "problems": list(PROBLEMS.values()),
    }


def _shown(route: Route, told: dict[str, Any]) -> Shown:
    who_zh, who_en = _WHO[route.guard]
    operation = route.operation
    return Shown(
        method=route.method,
        path=path_of(route.rule),
        operation=operation,
        who_zh=who_zh,
        who_en=who_en,
        body="" if operation.body is None else operation.body.__name__,
        replies=tuple(
            (
                status,
                told["responses"][str(status)]["description"].partition(";")[0],
                tuple(shape.__name__ for shape in shapes if isinstance(shape, type)),
            )
            for status, shapes in operation.replies.items()
        ),
        problems=problems_of(route),
    )


def _members(schema: dict[str, Any]) -> list[Member]:
    required = set(schema.get("required", ()))
    found = []
    for name, member in schema.get("properties", {}).items():
        words, link = _words(member)
        found.append(Member(name, words, link, name in required, member.get("description", "")))
    return found


def _words(schema: dict[str, Any]) -> tuple[str, str]:
    """A schema's type in words, and the name of the schema it refers to, if it is one."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return name, name
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"][:8]) + (
            " | …" if len(schema["enum"]) > 8 else ""
        ), ""
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        told = [_words(choice) for choice in choices]
        return " | ".join(words for words, _ in told), next((link for _, link in told if link), "")
    kind = schema.get("type", "any")
    if kind == "array":
        each: Any = schema.get("items") or next(
            iter(schema.get("prefixItems", ())), {}
        )  # fixed length: false
        words, link = _words(each)
        return f"[{words}]", link
    if "pattern" in schema:
        return f"{kind} {schema['pattern']}", ""
    return " | ".join(kind) if isinstance(kind, list) else str(kind), ""
