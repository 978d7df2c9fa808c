"""A query that arrived whole, read from its bytes: the plain form of HTTP/1.1 that banks' clients send.

Invariant: what is read here the server's own parser reads the same, header for header and byte for byte of
the body, in time linear in the bytes. Everything else is nothing here (None), and left to that parser:
another target, a part of a request, more than one, a header that comes twice or is folded, whatever bears on
framing but one `Content-Length` (RFC 9112 section 6), a connection that is to be closed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

ROUTE: Final = "/v1/queries"
MAX_BODY: Final = 65_536
MAX_WHOLE: Final = 16_384
"""Of a request, head and body (bytes): a query is a tenth of it. What is longer is read elsewhere."""

_LINE: Final = f"POST {ROUTE} HTTP/1.1\r\n".encode()
_END: Final = b"\r\n\r\n"
_MAX_FIELDS: Final = 50
_MAX_FIELD: Final = 8_000
# A token without the underscore (RFC 9110 section 5.6.2), then visible ASCII and blanks.
_FIELD: Final = re.compile(r"([!#-'*+.^`|~0-9A-Za-z-]+):([ \t!-~]*)")
_LENGTH: Final = re.compile(r"[1-9][0-9]{0,4}")
_ELSEWHERE: Final = frozenset({"transfer-encoding", "expect", "upgrade", "te", "trailer", "http2-settings"})


@dataclass(frozen=True, slots=True)
class Whole:
    """A request: its WSGI environment, as far as the express lane reads one, and its body."""

    environ: dict[str, Any] = field(repr=False)
    body: bytes = field(repr=False)
    size: int


def parse_whole(data: bytes, peer: str) -> Whole | None:
    """The query that these bytes are, from the address `peer`; None for whatever is to be read elsewhere."""
    end = data.find(_END)
    if end < 0 or not data.startswith(_LINE):
        return None
    fields = _parse_fields(data[len(_LINE) : end])
    if fields is None or "host" not in fields or not _ELSEWHERE.isdisjoint(fields):
        return None
    length = fields.get("content-length", "")
    body = data[end + len(_END) :]
    if not _LENGTH.fullmatch(length) or int(length) != len(body):
        return None
    if fields.get("connection", "keep-alive").lower() != "keep-alive":
        return None
    environ: dict[str, Any] = {_key(name): value for name, value in fields.items()}
    environ |= {"REQUEST_METHOD": "POST", "RAW_URI": ROUTE, "REMOTE_ADDR": peer}
    return Whole(environ, body, len(data))


def _parse_fields(head: bytes) -> dict[str, str] | None:
    """Header fields by lower-case name; None where one is not of the plain form, or comes twice."""
    if not head.isascii():
        return None
    lines = head.decode("ascii").split("\r\n")
    fields: dict[str, str] = {}
    for line in lines:
        match = None if len(line) > _MAX_FIELD else _FIELD.fullmatch(line)
        if match is None:
            return None
        fields[match[1].lower()] = match[2].strip(" \t")
    return fields if len(fields) == len(lines) <= _MAX_FIELDS else None


@lru_cache(maxsize=256)
def _key(name: str) -> str:
    """The name of a header in a WSGI environment (PEP 3333)."""
    upper = name.upper().replace("-", "_")
    return upper if name in ("content-type", "content-length") else f"HTTP_{upper}"
