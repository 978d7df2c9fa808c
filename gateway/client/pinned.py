"""What both online clients are: one key, one gateway, two pinned keys, and a transport to close.

Invariant: the pins are given, never fetched here; see `gateway.client.published` for how to come by them.
What is fetched, when a key is met that is not known, are rotations that the pinned keys signed.
"""

from __future__ import annotations

import os
from functools import partial
from types import TracebackType
from typing import ClassVar, Self

import httpx

from gateway.client.channel import Channel, Clock, new_http, system_clock
from gateway.client.evidence import Pins
from gateway.client.published import published_keys
from keys.notes import Vkey, parse_vkey
from keys.signing import PrivateKey, PublicKey, Random


class PinnedClient:
    """Signs with `key` for the use `TAG`. `base_url` is the gateway's public origin, `https://host[:port]`.

    An `http` that is given is the caller's (proxy, certificates, time limits) and left open by `close`.
    """

    TAG: ClassVar[str]

    def __init__(
        self,
        base_url: str,
        key: PrivateKey,
        vkey: Vkey | str,
        receipt_key: PublicKey,
        *,
        http: httpx.Client | None = None,
        clock: Clock = system_clock,
        random: Random = os.urandom,
    ) -> None:
        self._owns_http = http is None
        self._channel = Channel(base_url, key, self.TAG, http or new_http(), clock, random)
        self.pins = Pins(
            parse_vkey(vkey) if isinstance(vkey, str) else vkey,
            receipt_key,
            ask=partial(published_keys, base_url, self._channel.http),
        )

    def close(self) -> None:
        """Close the connections that this client opened."""
        if self._owns_http:
            self._channel.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
