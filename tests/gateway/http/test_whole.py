"""A query read from its bytes is what the server's own parser reads, or nothing at all."""

from __future__ import annotations

from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http import wsgi
from gunicorn.http.parser import RequestParser
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.whole import MAX_BODY, ROUTE, parse_whole

BODY = b'{"query_id":"00000000-0000-4000-8000-000000000000"}'
LINE = f"POST {ROUTE} HTTP/1.1".encode()
FIELDS = (
    b"Host: localhost:8443",
    b"Content-Type: application/json",
    b"Content-Digest: sha-256=:AAAA:",
    b'Signature-Input: sig1=("@method");created=1',
    b"Signature: sig1=:AAAA:",
    b"Content-Length: " + str(len(BODY)).encode(),
)
PEER = "192.0.2.7"


def message(*fields: bytes, line: bytes = LINE, body: bytes = BODY) -> bytes:
    return b"\r\n".join((line, *fields, b"", body))


def by_the_server(data: bytes) -> tuple[dict[str, Any], bytes, bytes]:
    """Environment, body and what is left over, as gunicorn has them, set up as `gateway.server` does."""
    config = Config()
    config.set("http_parser", "python")
    config.set("limit_request_line", 4094)
    config.set("limit_request_fields", 50)
    config.set("forwarded_allow_ips", "")
    parser = RequestParser(config, iter([data]), (PEER, 40_000))
    request = next(parser)
    assert not request.should_close()
    _, environ = wsgi.create(request, None, (PEER, 40_000), ("127.0.0.1", 8443), config)
    body = environ["wsgi.input"].read()
    return environ, body, parser.unreader.buf.getvalue()


def check_alike(data: bytes) -> None:
    """What is read here is read alike there."""
    whole = parse_whole(data, PEER)
    assert whole is not None
    environ, body, rest = by_the_server(data)
    assert {name: environ.get(name) for name in whole.environ} == whole.environ
    said = {name for name in environ if name.startswith("HTTP_")} | {"CONTENT_TYPE", "CONTENT_LENGTH"}
    assert said - whole.environ.keys() <= {"CONTENT_TYPE"}
    assert (body, rest, whole.size) == (whole.body, b"", len(data))


def test_a_plain_query_is_read_as_the_server_reads_it() -> None:
    check_alike(message(*FIELDS))


@pytest.mark.parametrize(
    "more",
    [
        b"X-Forwarded-For: 198.51.100.1, 203.0.113.9",
        b"Connection: keep-alive",
        b"connection: Keep-Alive",
        b"Accept:",
        b"Accept: \t */* \t ",
        b'X-Many: a,b;c="d\te"',
        b"User-Agent: " + b"x" * 7_900,
    ],
)
def test_what_else_a_client_may_say(more: bytes) -> None:
    check_alike(message(*FIELDS, more))


ELSEWHERE = {
    "nothing": b"",
    "a part of the head": message(*FIELDS)[:60],
    "a part of the body": message(*FIELDS)[:-1],
    "more than one": message(*FIELDS) * 2,
    "a byte too many": message(*FIELDS) + b" ",
    "an empty line before it": b"\r\n" + message(*FIELDS),
    "another method": message(*FIELDS, line=f"PUT {ROUTE} HTTP/1.1".encode()),
    "another target": message(*FIELDS, line=b"POST /v1/queries?x=1 HTTP/1.1"),
    "an absolute target": message(*FIELDS, line=b"POST http://localhost/v1/queries HTTP/1.1"),
    "another version": message(*FIELDS, line=f"POST {ROUTE} HTTP/1.0".encode()),
    "no host": message(*FIELDS[1:]),
    "no length": message(*FIELDS[:-1]),
    "a length that is none": message(*FIELDS[:-1], b"Content-Length: +51"),
    "a length with a zero before it": message(*FIELDS[:-1], b"Content-Length: 051"),
    "a length of another alphabet": message(*FIELDS[:-1], "Content-Length: \u0665\u0661".encode()),
    "no body": message(*FIELDS[:-1], b"Content-Length: 0", body=b""),
    "two lengths": message(*FIELDS, FIELDS[-1]),
    "two hosts": message(*FIELDS, FIELDS[0]),
    "two signatures": message(*FIELDS, FIELDS[4]),
    "the same in other letters": message(*FIELDS, FIELDS[4].upper()),
    "chunks": message(*FIELDS, b"Transfer-Encoding: chunked"),
    "chunks alone": message(*FIELDS[:-1], b"Transfer-Encoding: chunked"),
    "an expectation": message(*FIELDS, b"Expect: 100-continue"),
    "an upgrade": message(*FIELDS, b"Connection: Upgrade", b"Upgrade: h2c"),
    "a connection to be closed": message(*FIELDS, b"Connection: close"),
    "a list of options": message(*FIELDS, b"Connection: keep-alive, close"),
    "an underscore": message(*FIELDS, b"Content_Length: 2"),
    "a folded line": message(*FIELDS[:4], b"Signature: sig1=", b" :AAAA:", FIELDS[-1]),
    "a blank before the colon": message(*FIELDS, b"Accept : x"),
    "a bare line feed": message(*FIELDS, b"Accept: x\nSignature: y"),
    "a bare carriage return": message(*FIELDS, b"Accept: x\rSignature: y"),
    "a zero byte": message(*FIELDS, b"Accept: x\0"),
    "another alphabet": message(*FIELDS, "Accept: \u8bda\u4fe1".encode()),
    "no name": message(*FIELDS, b": x"),
    "no colon": message(*FIELDS, b"Accept"),
    "a very long field": message(*FIELDS, b"Accept: " + b"x" * 9_000),
    "very many blanks": message(*FIELDS, b"Accept:" + b" " * 15_000 + b"\x01"),
    "very many fields": message(*FIELDS, *(b"X-%d: y" % number for number in range(60))),
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_is_left_to_the_server(name: str) -> None:
    assert parse_whole(ELSEWHERE[name], PEER) is None


def test_the_greatest_body_is_the_routes() -> None:
    """Longer ones are for Flask to refuse."""
    length = b"Content-Length: " + str(MAX_BODY).encode()
    check_alike(message(*FIELDS[:-1], length, body=b" " * MAX_BODY))


PIECES = st.sampled_from(
    [
        *FIELDS,
        b"\r\n",
        b"\r\n\r\n",
        b"\n",
        b" ",
        b"\t",
        b":",
        b"\0",
        b"\x80",
        b"Connection: close",
        b"Connection: keep-alive",
        b"Transfer-Encoding: chunked",
        b"Content-Length: 51",
        b"Content_Length: 51",
        b"Content-Length: 5",
        b"x",
        b"",
    ]
)


@given(st.data())
def test_whatever_is_read_here_the_server_reads_alike(data: st.DataObject) -> None:
    """A request with pieces put in, left out and exchanged."""
    text = message(*data.draw(st.permutations(FIELDS)))
    for _ in range(data.draw(st.integers(0, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 20)))
        text = text[:start] + data.draw(PIECES) + text[end:]
    if parse_whole(text, PEER) is not None:
        check_alike(text)
