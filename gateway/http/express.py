"""The express lane: the hot route without Flask. What is not a plain answer goes to Flask, which says so.

Invariant: nothing is said here but an `Answer`. Every check is the very function that the Flask route calls;
when one refuses before anything was ruled, Flask begins anew with the same request and refuses it in its own
words. What was ruled is not ruled again: it is handed over (`Ruled`), and Flask only says it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import BytesIO, RawIOBase
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from consent.asks import Reason
from gateway import logs, tracing
from gateway.errors import GatewayError
from gateway.http.auth import recognise_operator
from gateway.http.flood import Flood, source_address
from gateway.http.served import HEADERS, REQUEST_ID, begin
from gateway.http.wire import JSON, parse_body
from gateway.query.answer import Answer, Refusal, answer
from gateway.query.request import Query, Signer
from gateway.query.ruled import Throttled

if TYPE_CHECKING:
    from gateway.house import House

Environ: TypeAlias = dict[str, Any]
Wsgi: TypeAlias = Callable[[Environ, Any], Iterable[bytes]]

ROUTE: Final = "/v1/queries"
MAX_BODY: Final = 65_536
RULED: Final = "chengxin.ruled"
"""Where a WSGI environment holds a `Ruled`: no client can put anything there."""
_NAMES: Final = {
    "signature": "HTTP_SIGNATURE",
    "signature-input": "HTTP_SIGNATURE_INPUT",
    "content-digest": "HTTP_CONTENT_DIGEST",
    "content-type": "CONTENT_TYPE",
}


@dataclass(frozen=True, slots=True)
class Ruled:
    """What became of a query in the express lane, for Flask to say; `outcome` may be an error to raise."""

    signer: Signer
    query: str
    outcome: Refusal | Throttled | Exception
    served: Any

    def said(self) -> Refusal | Throttled:
        """The outcome; raises what failed."""
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class _Leave(GatewayError):
    """Flask has to look at this request."""


class _Incoming:
    """A request, as `gateway.http.auth` reads one: its body only once the key that it names is known."""

    method = "POST"

    def __init__(self, environ: Environ) -> None:
        self.environ = environ
        self._body: bytes | None = None

    @property
    def headers(self) -> _Incoming:
        """By lower-case name: see `get`."""
        return self

    def get(self, key: str, /) -> str | None:
        """One of the headers that a signature needs; what came twice stands there joined by a comma."""
        found: str | None = self.environ.get(_NAMES[key])
        return found

    def get_data(self, cache: bool = True) -> bytes:
        """The body, read once and put back for Flask. `_Leave` where its length is not said, or too great."""
        if self._body is None:
            self._body = _body(self.environ)
        return self._body


class _Gone(RawIOBase):
    """The input of a client that went away in the middle of its request."""

    def __init__(self, error: OSError) -> None:
        self._error = error

    def readinto(self, _buffer: Any) -> int:
        """Raises what reading raised before."""
        raise self._error


class Express:
    """The WSGI application: the express lane in front of Flask's."""

    def __init__(self, flask: Wsgi, house: House, flood: Flood) -> None:
        self._flask = flask
        self._house = house
        self._flood = flood

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer a query, or leave it to Flask."""
        if environ.get("RAW_URI") != ROUTE or environ["REQUEST_METHOD"] != "POST" or tracing.is_on():
            return self._flask(environ, start_response)
        source = source_address(environ, self._house.settings.trusted_proxies)
        asked = self._read(environ, source)
        if asked is None:
            return self._flask(environ, start_response)
        signer, query, members = asked
        served = begin(self._house.random)
        try:
            outcome: Any = answer(self._house, query, members, signer)
        except Exception as error:  # noqa: BLE001  Flask raises it once more and says what it means
            outcome = error
        if not isinstance(outcome, Answer):
            if isinstance(outcome, Refusal) and outcome.reason is Reason.OPERATOR_SUSPENDED:
                self._house.operators.pop(signer.nonce.key, None)  # or the row is another: it is read anew
            environ[RULED] = Ruled(signer, query.query_id, outcome, served)
            return self._flask(environ, start_response)
        self._flood.count_good(source, signer.nonce.key)
        body = outcome.body()
        served.over("POST", ROUTE, 200)
        logs.end_request()
        own = (("Content-Type", JSON), ("Content-Length", str(len(body))))
        start_response("200 OK", [*own, *HEADERS.items(), (REQUEST_ID, served.id)])
        return (body,)

    def _read(self, environ: Environ, source: str) -> tuple[Signer, Query, dict[str, Any]] | None:
        """Who asks what; None for whatever Flask has to look at."""
        if self._flood.over(source) is not None:
            return None
        incoming = _Incoming(environ)
        try:
            signer = recognise_operator(self._house, incoming)
            if signer is None:
                return None
            query, members = parse_body(Query, incoming.get("content-type"), incoming.get_data())
        except GatewayError:
            return None
        return None if query.statute is not None else (signer, query, members)


def _body(environ: Environ) -> bytes:
    length = environ.get("CONTENT_LENGTH", "")
    if "HTTP_TRANSFER_ENCODING" in environ or not (length.isascii() and length.isdecimal()):
        raise _Leave
    if len(length) > len(str(MAX_BODY)) or not 0 < int(length) <= MAX_BODY:
        raise _Leave
    try:
        body: bytes = environ["wsgi.input"].read(int(length))
    except OSError as error:  # the client went away: Flask finds out the same way, and says it
        environ["wsgi.input"] = _Gone(error)
        raise _Leave from error
    environ["wsgi.input"] = BytesIO(body)
    if len(body) != int(length):
        raise _Leave
    return body
