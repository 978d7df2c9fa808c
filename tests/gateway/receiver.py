"""A real HTTP or HTTPS server that takes what is posted to it, and answers as a test says."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from keys.canonical import parse_canonical
from tests.gateway.certificates import Certified


@dataclass(frozen=True)
class Delivered:
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def members(self) -> dict[str, Any]:
        found: dict[str, Any] = parse_canonical(self.body)
        return found


@dataclass
class Receiver:
    """What arrived, in order; `answer` gives the status of each, and may take its time."""

    answer: Callable[[Delivered], int] = lambda _: 204
    arrived: list[Delivered] = field(default_factory=list)
    port: int = 0
    secure: bool = False
    location: str | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.secure else 'http'}://localhost:{self.port}/events"

    @property
    def told(self) -> list[tuple[int, str]]:
        """Number and kind of each event that arrived."""
        return [(one.members["seq"], one.members["kind"]) for one in self.arrived]


@contextmanager
def receiving(receiver: Receiver, tls: Certified | None = None, port: int = 0) -> Iterator[Receiver]:
    """Have `receiver` listen on loopback; `port` 0 takes a free one."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            delivered = Delivered("POST", self.path, headers, body)
            status = receiver.answer(delivered)
            receiver.arrived.append(delivered)
            self.send_response(status)
            if receiver.location is not None:
                self.send_header("Location", receiver.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # whoever hangs up is a test's doing
    if tls is not None:
        server.socket = tls.context().wrap_socket(server.socket, server_side=True)
    receiver.port, receiver.secure = server.server_address[1], tls is not None
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
