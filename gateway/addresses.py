"""Addresses of the installation's own: where it listens, what clients sign, where a collector is.

Invariant: what is accepted is in one form only, the one that a signed @target-uri has, and never in clear but
on this machine.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import urlsplit

LOOPBACK: Final = ("127.0.0.1", "::1")
_COLLECTOR = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(?:/[A-Za-z0-9._~-]+)*/?")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def is_address(text: str) -> bool:
    """Whether this is an IP address, of either kind."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def checked_public_url(url: str) -> str:
    """`url` if it is exactly scheme, host and port as a signed @target-uri has them (RFC 9421, 2.2.2)."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if f"{parts.scheme}://{parts.netloc}" != url or parts.scheme not in _DEFAULT_PORTS or not host:
        raise ValueError("should be http or https, host and port only, like https://credit.example.cn")
    if "@" in parts.netloc or parts.netloc != parts.netloc.lower() or parts.netloc.endswith(":"):
        raise ValueError("should have a lower-case host and no user")
    if parts.port == _DEFAULT_PORTS[parts.scheme]:
        raise ValueError("should leave out the port that its scheme implies")
    if parts.scheme == "http" and host != "localhost" and host not in LOOPBACK:
        raise ValueError("should be https; plain http serves localhost only")
    return url


def checked_collector(url: str) -> str:
    """`url` if a collector may listen there: without the signal's path, and without a password in it."""
    try:
        named = urlsplit(url).hostname is not None and urlsplit(url).port != 0
    except ValueError:  # a port that is none, a bracket that is not closed
        named = False
    if not named or not _COLLECTOR.fullmatch(url):
        raise ValueError("should be http or https, host, port and perhaps a path, like http://localhost:4318")
    return url.rstrip("/")
