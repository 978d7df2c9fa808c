"""The API document: OpenAPI 3.1, made of the routes as they are registered and of nothing else.

Invariant: what a route is registered with is what the document says of it, so the two cannot differ. Schemas
are those that parse bodies (`msgspec`); only what JSON Schema says otherwise is translated: no member is ever
null, and patterns are anchored as ECMA-262 has it.
"""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

import msgspec

from gateway.http import profile
from gateway.http.guards import Guard, Route
from gateway.http.operation import JSON, Operation, Shape, Text
from gateway.http.problems import EXTRA, MEDIA_TYPE, PROBLEMS, TYPE_PREFIX, Problem, problem

OPENAPI: Final = "3.1.0"
API_VERSION: Final = "1"
REF: Final = "#/components/schemas/{name}"
SIGNED_BY: Final[Mapping[Guard, tuple[dict[str, list[str]], ...]]] = {
    Guard.OPERATOR: ({"institution": []},),
    Guard.CITIZEN: ({"citizen": []},),
    Guard.PARTY: ({"institution": []}, {"citizen": []}),
}
_CONVERTERS: Final[Mapping[str, dict[str, Any]]] = {
    "uuid": {
        "type": "string",
        "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    },
    "int": {"type": "integer", "minimum": 0, "maximum": 2**53 - 1},
    "path": {"type": "string", "minLength": 1},
    "string": {"type": "string", "minLength": 1},
}
_PARAMETER: Final = re.compile(r"<(?:([a-z]+):)?([a-z_]+)>")
_COVERED: Final = " ".join(f'"{name}"' for name in profile.WITH_BODY)


def document(routes: Sequence[Route], public_url: str) -> dict[str, Any]:
    """The OpenAPI document of these routes, served at `public_url` (scheme, host and port)."""
    shapes = _shapes_of(route.operation for route in routes)
    components = msgspec.json.schema_components(shapes, ref_template=REF)[1]
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for route in routes:
        paths[path_of(route.rule)][route.method.lower()] = _operation(route)
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "诚信网关 Chengxin Gateway",
            "version": API_VERSION,
            "summary": "未经本人授权或法律规定，不提供任何个人信用信息 / "
            "Nothing about a person leaves unless that person, or a named statute, allowed it",
            "description": "Bodies are JSON without null, floats or unknown members; replies are canonical "
            "JSON (RFC 8785). Errors are problem+json (RFC 9457) whose `type` is stable. Every decision "
            "stands in the ledger and has a signed receipt.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": public_url}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {name: _plain(schema) for name, schema in sorted(components.items())}
            | {"Problem": _problem_schema()},
            "securitySchemes": _security_schemes(),
        },
    }


def path_of(rule: str) -> str:
    """A route's rule as an OpenAPI path: `<uuid:query_id>` becomes `{query_id}`."""
    return _PARAMETER.sub(r"{\2}", rule)


def problems_of(route: Route) -> tuple[Problem, ...]:
    """Every problem that a route can answer with, in the order of their status."""
    names = route.operation.problems_of(signed=route.guard in SIGNED_BY, proves=route.guard is Guard.PROOF)
    if "<" in route.rule:  # what the rule does not match is nothing that is here
        names = (*names, "not-found")
    return tuple(sorted({problem(name) for name in names}, key=lambda row: (row.status, row.name)))


@cache
def schema_of(type_: Any) -> dict[str, Any]:
    """The JSON Schema (2020-12) of one type, without components of its own."""
    return dict(_plain(msgspec.json.schema_components([type_], ref_template=REF)[0][0]))


def _shapes_of(operations: Iterable[Operation]) -> list[type[msgspec.Struct]]:
    found: dict[type[msgspec.Struct], None] = {}
    for operation in operations:
        if operation.body is not None:
            found[operation.body] = None
        for shapes in operation.replies.values():
            found |= {shape: None for shape in shapes if not isinstance(shape, Text)}
    return list(found)


def _operation(route: Route) -> dict[str, Any]:
    operation = route.operation
    told: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [route.rule.strip("/").removeprefix("v1/").partition("/")[0] or "index"],
        "summary": f"{operation.zh} / {operation.en}",
        "parameters": [*_path_parameters(route.rule), *_query_parameters(operation)],
        "responses": _responses(route),
        "security": list(SIGNED_BY.get(route.guard, ())),
    }
    if operation.body is not None:
        schema: dict[str, Any] = _ref(operation.body)
        if operation.body_rule is not None:
            schema = {"allOf": [schema, dict(operation.body_rule)]}
        told["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    return told


def _path_parameters(rule: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": _CONVERTERS[converter or "string"]}
        for converter, name in _PARAMETER.findall(rule)
    ]


def _query_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "query", "required": False, "schema": schema_of(type_)}
        for name, type_ in operation.query.items()
    ]


def _responses(route: Route) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for status, shapes in route.operation.replies.items():
        told[str(status)] = {"description": _said(shapes), "content": _content(shapes)}
    rows: dict[int, list[Problem]] = defaultdict(list)
    for row in problems_of(route):
        rows[row.status].append(row)
    for status, listed in rows.items():
        response = told.setdefault(str(status), {"description": "", "content": {}})
        names = "; ".join(f"{row.name}: {row.title_zh} / {row.title_en}" for row in listed)
        response["description"] = "; ".join(filter(None, (response["description"], names)))
        response["content"][MEDIA_TYPE] = {"schema": _problem_of(status, listed)}
        headers = _headers(status, listed)
        if headers:
            response["headers"] = headers
    return dict(sorted(told.items()))


def _said(shapes: tuple[Shape, ...]) -> str:
    return " / ".join(
        f"{shape.zh} / {shape.en}" if isinstance(shape, Text) else _sentence(shape) for shape in shapes
    )


def _sentence(shape: type[msgspec.Struct]) -> str:
    return " ".join(inspect.cleandoc(shape.__doc__ or "").split())


def _content(shapes: tuple[Shape, ...]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    structs = [shape for shape in shapes if not isinstance(shape, Text)]
    if structs:
        refs = [_ref(shape) for shape in structs]
        content[JSON] = {"schema": refs[0] if len(refs) == 1 else {"oneOf": refs}}
    for shape in shapes:
        if isinstance(shape, Text):
            readable = shape.media_type.startswith("text/")
            content[shape.media_type] = {"schema": {"type": "string"} if readable else {}}
    return content


def _problem_of(status: int, listed: list[Problem]) -> dict[str, Any]:
    members = {"type": {"enum": sorted(row.type for row in listed)}, "status": {"const": status}}
    return {"allOf": [{"$ref": REF.format(name="Problem")}, {"properties": members}]}


def _headers(status: int, listed: list[Problem]) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if status == 429 or any(row.retry_after is not None for row in listed):
        headers["Retry-After"] = {
            "description": "seconds; where it is said, the same request may serve later",
            "schema": {"type": "string", "pattern": "^[0-9]+$"},
        }
    if status == 401:
        headers["WWW-Authenticate"] = {"required": True, "schema": {"type": "string"}}
    return headers


def _problem_schema() -> dict[str, Any]:
    text = {"type": "string"}
    extra = {"type": ["string", "integer"], "description": "a code, an identifier or a number"}
    own = {
        "type": {"type": "string", "enum": sorted(TYPE_PREFIX + name for name in PROBLEMS)},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "title": text,
        "title_zh": text,
        "hint": text,
        "hint_zh": text,
    }
    receipt = {"type": "string", "description": "the signed receipt (compact JWS) of a refusal in the ledger"}
    return {
        "title": "Problem",
        "description": "RFC 9457, in Chinese and English. Branch on `type`, show `title` and `hint`.",
        "type": "object",
        "properties": own | dict.fromkeys(sorted(EXTRA), extra) | {"receipt": receipt},
        "required": list(own),
        "additionalProperties": False,
    }


def _security_schemes() -> dict[str, Any]:
    common = (
        "RFC 9421: exactly one signature in Signature-Input and Signature, over exactly "
        f"{_COVERED} (the first two without a body), with the parameters created (within 60 s), keyid, "
        "nonce (16 bytes or more, base64url, once), alg and tag and no other, in any order and under any "
        "label. @target-uri is the public URL and the path; thumbprints are those of RFC 7638; "
        "Content-Digest is sha-256 (RFC 9530). "
    )
    return {
        "institution": {
            "type": "apiKey",
            "in": "header",
            "name": "Signature",
            "description": f'{common}keyid: thumbprint of an operator\'s key; alg="ed25519"; '
            f'tag="{profile.TAG_INSTITUTION}".',
        },
        "citizen": {
            "type": "apiKey",
            "in": "header",
            "name": "Signature",
            "description": f"{common}keyid: thumbprint of the enrolled key; alg by the key: "
            f'"ed25519" or "ecdsa-p256-sha256"; tag="{profile.TAG_CITIZEN}".',
        },
    }


def _ref(shape: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": REF.format(name=shape.__name__)}


def _plain(schema: Any) -> Any:
    """A schema without null, patterns in ECMA-262, descriptions on one line."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema if item != {"type": "null"}]
    if not isinstance(schema, dict):
        return schema
    plain = {name: _plain(value) for name, value in schema.items()}
    if "default" in plain and plain["default"] is None:
        del plain["default"]
    if isinstance(plain.get("pattern"), str):
        plain["pattern"] = plain["pattern"].replace(r"\A", "^").replace(r"\Z", "$")
    if isinstance(plain.get("description"), str):
        plain["description"] = " ".join(plain["description"].split())
    choices = plain.get("anyOf")
    if isinstance(choices, list) and len(choices) == 1:
        del plain["anyOf"]
        plain = choices[0] | plain
    return plain
