"""The express lane: the hot route without Flask. What is not a plain answer goes to Flask, which says so.

Invariant: nothing is said here but an `Answer`, and nothing is let through that the Flask route would refuse:
the checks are the same, by the same functions, under a key that Flask has met (`recognise_operator`). When
one refuses before anything was ruled, Flask begins anew with the same request and refuses it in its own
words. What was ruled is not ruled again: it is handed over (`Unsaid`), and Flask only says it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from io import BytesIO, RawIOBase
from socket import socket
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from weakref import WeakKeyDictionary

from consent.asks import Reason
from gateway import logs, tracing
from gateway.errors import GatewayError
from gateway.http.auth import recognise_operator
from gateway.http.flood import Flood, source_address
from gateway.http.served import HEADERS, REQUEST_ID, Served, arrive
from gateway.http.signature import SignatureInput, parse_signature
from gateway.http.whole import MAX_BODY, ROUTE, Whole
from gateway.http.wire import JSON, parse_body
from gateway.query.answer import Answer, Made, Outcome, Refusal, Unmade, conclude, make, rule
from gateway.query.request import Asked, Query, Signer
from gateway.query.ruled import Disclosed, Throttled
from gateway.query.stages import each

if TYPE_CHECKING:
    from gateway.house import House

Environ: TypeAlias = dict[str, Any]
Wsgi: TypeAlias = Callable[[Environ, Any], Iterable[bytes]]

RULED: Final = "chengxin.ruled"
"""Where a WSGI environment holds a `Unsaid`: no client can put anything there."""
_NAMES: Final = {
    "signature": "HTTP_SIGNATURE",
    "signature-input": "HTTP_SIGNATURE_INPUT",
    "content-digest": "HTTP_CONTENT_DIGEST",
    "content-type": "CONTENT_TYPE",
}


@dataclass(frozen=True, slots=True)
class Unsaid:
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


@dataclass(frozen=True, slots=True)
class _Asking:
    """A query on its way: what is asked, where from, and since when."""

    asked: Asked
    source: str
    served: Served


@dataclass(frozen=True, slots=True)
class Reply:
    """A plain answer, ready to leave: its headers in order, and its body."""

    headers: list[tuple[str, str]]
    body: bytes = field(repr=False)


class Express:
    """The WSGI application: the express lane in front of Flask's.

    A server that reads queries by itself may hand over many at once (`answer_all`). Those that Flask has to
    look at it calls again, through WSGI and on the same socket, where what was ruled waits for them.
    """

    def __init__(self, flask: Wsgi, house: House, flood: Flood) -> None:
        self._flask = flask
        self._house = house
        self._flood = flood
        # The signature besides: what was ruled is said to the very request that it was ruled for.
        self._waiting: WeakKeyDictionary[socket, tuple[str, Unsaid]] = WeakKeyDictionary()

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer a query, or leave it to Flask."""
        ruled = self._ruled_before(environ)
        if ruled is None:
            [asking] = self._askings([environ])
            if asking is None:
                return self._flask(environ, start_response)
            logs.begin_request(asking.served.id)
            try:
                [said] = self._conclude_all([asking], rule(self._house, [asking.asked]))
            finally:
                logs.end_request()
            if isinstance(said, Reply):
                start_response("200 OK", said.headers)
                return (said.body,)
            ruled = said
        environ[RULED] = ruled
        return self._flask(environ, start_response)

    def _ruled_before(self, environ: Environ) -> Unsaid | None:
        """What `answer_all` ruled on this request, if it did."""
        client = environ.get("gunicorn.socket")
        signature, ruled = (None, None) if client is None else self._waiting.pop(client, (None, None))
        return ruled if signature == environ.get(_NAMES["signature"]) else None

    def answer_all(self, wholes: Sequence[tuple[socket, Whole]]) -> list[Reply | None]:
        """Answer queries together; aligned, None for one that has to go through WSGI, by the same socket."""
        askings = self._askings([{**one.environ, "wsgi.input": BytesIO(one.body)} for _, one in wholes])
        ahead = [one for one in askings if one is not None]
        concluded = iter(self._conclude_all(ahead, rule(self._house, [one.asked for one in ahead])))
        replies: list[Reply | None] = []
        for (client, whole), asking in zip(wholes, askings, strict=True):
            said = None if asking is None else next(concluded)
            if isinstance(said, Unsaid):
                self._waiting[client] = whole.environ[_NAMES["signature"]], said
            replies.append(said if isinstance(said, Reply) else None)
        return replies

    def _askings(self, environs: Sequence[Environ]) -> list[_Asking | None]:
        """Who asks what, aligned; None for whatever Flask has to look at."""
        parsed = each(self._parse, environs)
        signed = each(self._recognise, parsed)
        askings = each(self._read, signed)
        # Whatever it was befell one alone, before anything was ruled: Flask meets it again and says so.
        return [one if isinstance(one, _Asking) else None for one in askings]

    def _parse(self, environ: Environ) -> tuple[_Incoming, str, SignatureInput]:
        if environ.get("RAW_URI") != ROUTE or environ["REQUEST_METHOD"] != "POST" or tracing.is_on():
            raise _Leave
        source = source_address(environ, self._house.settings.trusted_proxies)
        if self._flood.over(source) is not None:
            raise _Leave
        incoming = _Incoming(environ)
        return incoming, source, parse_signature(incoming.method, incoming)

    def _recognise(self, parsed: tuple[_Incoming, str, SignatureInput]) -> tuple[_Incoming, str, Signer]:
        incoming, source, signature = parsed
        signer = recognise_operator(self._house, incoming, signature)
        if signer is None:
            raise _Leave
        return incoming, source, signer

    def _read(self, signed: tuple[_Incoming, str, Signer]) -> _Asking:
        incoming, source, signer = signed
        query, members = parse_body(Query, incoming.get("content-type"), incoming.get_data())
        if query.statute is not None:
            raise _Leave
        served = arrive(self._house.random)
        return _Asking(Asked(query, members, signer, served.id), source, served)

    def _conclude_all(self, askings: Sequence[_Asking], outcomes: Sequence[Outcome]) -> list[Reply | Unsaid]:
        """The answers to queries that were ruled on; what else became of one, for Flask to say."""
        made = make(self._house, outcomes)
        said = [self._conclude(asking, one) for asking, one in zip(askings, made, strict=True)]
        return [
            self._reply(asking, one, outcome) if isinstance(one, Answer) else one
            for asking, one, outcome in zip(askings, said, outcomes, strict=True)
        ]

    def _conclude(self, asking: _Asking, made: Made) -> Answer | Unsaid:
        return made if isinstance(made, Answer) else self._unsaid(asking, made)

    def _unsaid(self, asking: _Asking, made: Made) -> Unsaid:
        """What became of a query that has no answer, said in the ledger where it has to be; Flask says it."""
        signer, query = asking.asked.signer, asking.asked.query.query_id
        logs.begin_request(asking.served.id)
        try:
            said: Any = conclude(self._house, query, made)
        except Exception as error:  # noqa: BLE001  Flask raises it once more and says what it means
            said = error
        finally:
            logs.end_request()
        if isinstance(said, Refusal) and said.reason is Reason.OPERATOR_SUSPENDED:
            self._house.operators.pop(signer.nonce.key, None)  # or the row is another: it is read anew
        return Unsaid(signer, query, said, asking.served)

    def _reply(self, asking: _Asking, said: Answer, outcome: Outcome) -> Reply | Unsaid:
        """What leaves, logged and counted; an answer that could not be logged does not leave."""
        try:
            body = said.body()
            self._flood.count_good(asking.source, asking.asked.signer.nonce.key)
            asking.served.over("POST", ROUTE, 200)
        except Exception as error:
            if isinstance(outcome, Disclosed):
                return self._unsaid(asking, Unmade(outcome, error))
            raise
        own = [("Content-Type", JSON), ("Content-Length", str(len(body)))]
        return Reply([*own, *HEADERS.items(), (REQUEST_ID, asking.served.id)], body)


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
