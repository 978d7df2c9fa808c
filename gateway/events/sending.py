"""Sending one event: one signed POST (RFC 9421), to the address that was judged, and what became of it.

Invariant: only a 2xx acknowledges. No redirect is followed, no proxy or credential of the environment used,
and of the receiver's answer only the status is read. The signature is by the receipt key of the moment,
covers method, target, digest and media type, and carries a tag of its own, so that nothing signed here is a
request to any gateway.
"""

from __future__ import annotations

import ssl
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import sqlalchemy as sa

from gateway.events.addresses import AddressRefused, Place, places_of
from gateway.events.stored import event_members
from gateway.http.signature import TAG_WEBHOOK, sign_request
from keys.canonical import b64u, canonical

if TYPE_CHECKING:
    from gateway.house import House

JSON: Final = "application/json"
TIMEOUT_S: Final = 10.0
_NONCE_BYTES: Final = 16

Body = dict[str, Any]


def event_body(house: House, institution: str, row: sa.Row[Any]) -> Body:
    """What is sent of an event. Its `id` is the same whenever it is sent."""
    return _enveloped(house, institution, event_members(row))


def probe_body(house: House, institution: str, at: str) -> Body:
    """An event that tells nothing: number 0, which no event of the ledger has."""
    return _enveloped(house, institution, {"seq": 0, "kind": "test", "at": at})


def _enveloped(house: House, institution: str, members: Body) -> Body:
    envelope = {"type": "chengxin/event/v1", "log": house.origin, "institution": institution}
    return envelope | {"id": f"{house.origin}/{institution}/{members['seq']}"} | members


def send(house: House, url: str, body: Body) -> str | None:
    """Send one event to `url`. None once the receiver acknowledged it; else a code for what went wrong."""
    try:
        places = places_of(url, house.settings)
    except AddressRefused:
        return "address-refused"
    except OSError:
        return "name-unresolved"
    house.receipts.require_usable()
    _, signer = house.receipts.signers[-1]  # the newest: rotation adds one
    data = canonical(body)
    headers = sign_request(
        "POST",
        url,
        data,
        JSON,
        signer,
        house.clock() // 1000,
        b64u(house.random(_NONCE_BYTES)),
        TAG_WEBHOOK,
    )
    why: str | None = "name-unresolved"
    with _client(house.settings.webhook_ca_file) as http:
        for place in places:
            why = _post(http, place, data, headers)
            if why != "unreachable":  # whoever answered has had it; only a closed door lets the next be tried
                break
    return why


def _post(http: httpx.Client, place: Place, data: bytes, headers: dict[str, str]) -> str | None:
    """One POST to one address; the certificate must be of the receiver's name all the same."""
    named = {**headers, "Host": place.authority}
    extensions = {"sni_hostname": place.host} if place.scheme == "https" else {}
    try:
        with http.stream(
            "POST", place.connect_url, content=data, headers=named, extensions=extensions
        ) as response:
            status = response.status_code
    except httpx.ConnectError as error:
        return "tls" if isinstance(_cause(error), ssl.SSLError) else "unreachable"
    except httpx.TimeoutException:
        return "timeout"
    except httpx.HTTPError:
        return "broken-off"
    return None if 200 <= status < 300 else f"status-{status}"


def _cause(error: BaseException) -> BaseException:
    """What an error of the client's goes back to: httpx wraps httpcore, which wraps the system's."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error


def _client(ca_file: Path | None) -> httpx.Client:
    return httpx.Client(
        timeout=TIMEOUT_S, follow_redirects=False, trust_env=False, verify=_authorities(ca_file)
    )


@lru_cache(maxsize=4)
def _authorities(ca_file: Path | None) -> ssl.SSLContext:
    """The certificate authorities that receivers are checked against; loading them outlasts a request."""
    if ca_file is None:
        return httpx.create_ssl_context(trust_env=False)
    return ssl.create_default_context(cafile=ca_file)
