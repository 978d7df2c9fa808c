"""Limits on bad signatures, by source address: a flood of forged requests reaches neither keys nor crypto.

Invariant: what is kept here is bounded (the address least lately seen is forgotten first), lives in this
worker's memory alone, and names addresses nowhere else: neither log nor metric shows one. Whoever had a
valid signature lately from an address is verified whatever else comes from that address, so that nobody
behind it is locked out by forging in its name; a request that spends no fresh nonce does not count as valid.

An address is an IPv4 address or an IPv6 /64, of which one customer has 2^64 to send from. Behind a proxy that
is named in `trusted_proxies`, it is the last address that this proxy wrote into X-Forwarded-For, with a port
or without. Where the proxy wrote none that can be read, its own address counts: all such requests share one
limit, which is for the proxy to mend; to leave them unlimited would be for anybody to use.
"""

from __future__ import annotations

import ipaddress
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import structlog

from gateway.errors import GatewayError
from keys.instant import DAY, MINUTE

WINDOW_MS: Final = MINUTE
LATELY_MS: Final = DAY
ADDRESSES: Final = 65_536
SIGNERS: Final = 16_384
_WITH_PORT: Final = re.compile(r"\[(?P<v6>[0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|(?P<v4>[0-9.]+):[0-9]{1,5}")

log = structlog.get_logger(__name__)


class TooManyBadSignatures(GatewayError):
    """Too many requests of an address were not authenticated; it is heard again in `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many bad signatures from this address")
        self.retry_after = retry_after


@dataclass(slots=True)
class _Window:
    """The bad requests of one address since `began` (ms)."""

    began: int
    bad: int = 0


class Flood:
    """Counts bad requests by address. `clock` is in ms; `limit` is how many a minute are still answered."""

    def __init__(
        self, limit: int, clock: Callable[[], int], addresses: int = ADDRESSES, signers: int = SIGNERS
    ) -> None:
        self._limit = limit
        self._clock = clock
        self._most_addresses = addresses
        self._most_signers = signers
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self._valid: OrderedDict[tuple[str, str], int] = OrderedDict()  # (address, keyid) -> when (ms)
        self._turned_away = 0
        self._said = 0
        self._lock = threading.Lock()

    def over(self, address: str) -> int | None:
        """Seconds until `address` is heard again, or None while it may be."""
        now = self._clock()
        with self._lock:
            window = self._current(address, now)
            if window is None or window.bad < self._limit:
                return None
            return max(1, -(-(window.began + WINDOW_MS - now) // 1000))

    def lately_valid(self, address: str, keyid: str) -> bool:
        """Whether this key signed a valid request from this address within the last day."""
        now = self._clock()
        with self._lock:
            when = self._valid.get((address, keyid))
            return when is not None and 0 <= now - when <= LATELY_MS

    def count_bad(self, address: str) -> None:
        """One request of `address` was not authenticated."""
        now = self._clock()
        with self._lock:
            window = self._current(address, now)
            if window is None:
                window = self._windows[address] = _Window(now)
            window.bad += 1
            self._windows.move_to_end(address)
            while len(self._windows) > self._most_addresses:
                self._windows.popitem(last=False)

    def count_good(self, address: str, keyid: str) -> None:
        """A request of `address` was signed by the key that it names, and never seen before."""
        now = self._clock()
        with self._lock:
            self._valid[(address, keyid)] = now
            self._valid.move_to_end((address, keyid))
            while len(self._valid) > self._most_signers:
                self._valid.popitem(last=False)

    def turned_away(self) -> None:
        """One request was answered 429. Said at most once a minute, as a number."""
        now = self._clock()
        with self._lock:
            self._turned_away += 1
            if abs(now - self._said) < WINDOW_MS:
                return
            count, self._turned_away, self._said = self._turned_away, 0, now
        log.warning("flood.limited", requests=count)

    def _current(self, address: str, now: int) -> _Window | None:
        """The window of an address unless it ended; one that begins after now, by a clock set back, did."""
        window = self._windows.get(address)
        if window is None or not 0 <= now - window.began < WINDOW_MS:
            self._windows.pop(address, None)
            return None
        return window


def source_address(environ: Mapping[str, Any], trusted_proxies: Collection[str]) -> str:
    """Whose request it is: an IPv4 address, an IPv6 /64, or empty where the server says none."""
    text, source = _read(environ.get("REMOTE_ADDR") or "")
    if text and text in trusted_proxies:
        forwarded, behind = _read(environ.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip())
        source = behind if forwarded else source
    return source


@lru_cache(maxsize=4096)
def _read(text: str) -> tuple[str, str]:
    """An address with or without a port, in its own spelling, and whose requests count with it; "" for none.

    IPv4 written as IPv6 (::ffff:192.0.2.1) is that IPv4 address.
    """
    bare = _WITH_PORT.fullmatch(text)
    try:
        address = ipaddress.ip_address(text if bare is None else bare["v6"] or bare["v4"])
    except ValueError:
        return "", ""
    plain = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else address
    if plain is not None:
        return str(plain), str(plain)
    bare_ipv6 = ipaddress.IPv6Address(int(address))  # a scope is free text
    return str(bare_ipv6), str(ipaddress.ip_network((bare_ipv6, 64), strict=False))
