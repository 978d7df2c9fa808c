"""One way to the gateway: a request is canonical JSON, signed, sent once, and its reply read whole.

Invariant: what is signed is what is sent, to the byte. Nothing is retried here: a request whose reply was
lost may have been acted upon, and only the caller knows which identifier makes asking again safe.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

import httpx

from gateway.client.errors import UnexpectedReply, Unreachable
from gateway.client.reply import JSON, Reply, retry_after
from gateway.http.signature import sign_request, target_uri
from keys.canonical import b64u, canonical
from keys.signing import PrivateKey, Random

TIMEOUT_S: Final = 30.0
MAX_REPLY_BYTES: Final = 64 * 1024 * 1024
_NONCE_BYTES: Final = 16

Clock = Callable[[], int]


def system_clock() -> int:
    """Milliseconds since the Unix epoch, UTC."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Channel:
    """Requests to the gateway at `base_url` (public origin, `https://host[:port]`), signed for `tag`."""

    base_url: str
    key: PrivateKey
    tag: str
    http: httpx.Client
    clock: Clock = system_clock
    random: Random = os.urandom

    def get(self, path: str) -> Reply:
        """GET `path`, signed."""
        return self._send("GET", path, None)

    def post(self, path: str, body: object) -> Reply:
        """POST `body` as canonical JSON to `path`, signed."""
        return self._send("POST", path, canonical(body))

    def put(self, path: str, body: object) -> Reply:
        """PUT `body` as canonical JSON to `path`, signed."""
        return self._send("PUT", path, canonical(body))

    def delete(self, path: str) -> Reply:
        """DELETE `path`, signed."""
        return self._send("DELETE", path, None)

    def _send(self, method: str, path: str, body: bytes | None) -> Reply:
        target = target_uri(self.base_url, path)
        headers = sign_request(
            method,
            target,
            body,
            JSON if body else None,
            self.key,
            self.clock() // 1000,
            b64u(self.random(_NONCE_BYTES)),
            self.tag,
        )
        return exchange(self.http, method, target, body, headers)


def new_http() -> httpx.Client:
    """A client that follows no redirects and takes no proxy or credentials from the environment.

    Only SSL_CERT_FILE counts, OpenSSL's own: a gateway in an agency's network has a certificate of its own
    authority. Whoever can set it learns what TLS hides, and can forge nothing: keys are pinned, all is
    signed.
    """
    return httpx.Client(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False, verify=_authorities())


@cache
def _authorities() -> ssl.SSLContext:
    """The certificate authorities, which httpx would load for each client anew: that outlasts a request."""
    return httpx.create_ssl_context(trust_env=True)


def exchange(
    http: httpx.Client, method: str, target: str, body: bytes | None, headers: dict[str, str]
) -> Reply:
    """Send one request and read the whole reply, up to 64 MiB. Raises Unreachable, UnexpectedReply."""
    try:
        with http.stream(method, target, content=body, headers=headers, follow_redirects=False) as response:
            data = bytearray()
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > MAX_REPLY_BYTES:
                    raise UnexpectedReply("the reply is too large")
    except httpx.HTTPError as error:
        raise Unreachable(f"no reply from the gateway ({type(error).__name__})") from error
    return Reply(
        status=response.status_code,
        media_type=response.headers.get("content-type", "").partition(";")[0].strip().lower(),
        body=bytes(data),
        retry_after=retry_after(response.headers.get("retry-after")),
    )
