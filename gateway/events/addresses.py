"""Where a webhook may lead: to https addresses of the outside world, and nowhere inside the gateway's own
net.

Invariant: a name is resolved once, and the connection goes to the very address that was judged, so that a
name which changes its mind between the two (DNS rebinding) gains nothing. Loopback is for demos only.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlsplit

from gateway.errors import GatewayError

if TYPE_CHECKING:
    from gateway.settings import Settings

MAX_URL: Final = 512
_URL: Final = re.compile(
    r"https?://(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(?::[0-9]{1,5})?"
    r"/[A-Za-z0-9._~!$&'()*+,;=:@/-]*(?:\?[A-Za-z0-9._~!$&'()*+,;=:@/?-]+)?"
)
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_TRANSLATED: Final = ipaddress.ip_network("64:ff9b::/96")  # NAT64 (RFC 6052): an IPv4 address in disguise

IpAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressRefused(GatewayError):
    """A webhook may not lead there; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """One resolved receiver: the address to connect to, and the name that it must answer to."""

    scheme: str
    host: str
    port: int
    target: str
    address: IpAddress

    @property
    def connect_url(self) -> str:
        """The same target at the address itself."""
        shown = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{self.scheme}://{shown}:{self.port}{self.target}"

    @property
    def authority(self) -> str:
        """The Host header (RFC 9110 section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def checked_url(url: str, settings: Settings) -> str:
    """`url` if events may be sent there as far as can be seen without resolving it. `AddressRefused`."""
    if len(url) > MAX_URL or not _URL.fullmatch(url):
        raise AddressRefused(
            "a webhook is https://host[:port]/path in small letters, without user, fragment, percent signs"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise AddressRefused("the webhook's address or port is none: correct it") from None
    if not {".", ".."}.isdisjoint(parts.path.split("/")):
        raise AddressRefused("a webhook's path has no dot segments: write where it leads")
    if port == 0 or port == _DEFAULT_PORTS[parts.scheme]:
        raise AddressRefused("leave out the port that the scheme implies, and name no port 0")
    if parts.scheme == "http" and host not in _LOOPBACK_NAMES:
        raise AddressRefused("a webhook is https; plain http serves loopback only")
    literal = _literal(host)
    if literal is not None or host in _LOOPBACK_NAMES:
        require_permitted(literal or ipaddress.ip_address("127.0.0.1"), settings)
    return url


def places_of(url: str, settings: Settings) -> list[Place]:
    """Where to connect, in the order of the resolver. `AddressRefused` if any address of it is not permitted.

    `OSError` when the name does not resolve.
    """
    parts = urlsplit(checked_url(url, settings))
    host = parts.hostname or ""
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in found]
    for address in addresses:
        require_permitted(address, settings)
    return [Place(parts.scheme, host, port, target, one) for one in dict.fromkeys(addresses)]


def require_permitted(address: IpAddress, settings: Settings) -> None:
    """`AddressRefused` unless the address is public, or the settings allow it."""
    meant = _meant(address)
    if meant.is_loopback:
        permitted = is_local(settings)
    elif meant.is_multicast or meant.is_unspecified or meant.is_link_local:
        permitted = False
    else:
        permitted = meant.is_global or settings.webhook_private_addresses == "allow"
    if not permitted:
        raise AddressRefused(
            "the webhook leads to an address inside: give a public one, or set webhook_private_addresses"
        )


def is_local(settings: Settings) -> bool:
    """Whether this installation serves nobody but its own machine: a demo."""
    return (urlsplit(settings.public_url).hostname or "") in _LOOPBACK_NAMES


def _literal(host: str) -> IpAddress | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _meant(address: IpAddress) -> IpAddress:
    """The IPv4 address inside an IPv6 one that only wraps it."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
