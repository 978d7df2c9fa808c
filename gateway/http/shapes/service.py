"""The log and the machine: keys, health, this document."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from gateway.http.shapes.forms import UNSET, Index, Jwk, Shape, Thumbprint, Unset


class Signatures(Shape, frozen=True):
    """Compact JWS by the old and by the new key, over one statement of rotation."""

    old: str
    new: str


class PublishedKey(Shape, frozen=True):
    """One published key, the leaf from which on it counts, and the one at which it no longer did.

    `signatures`, of one that was rotated to, let whoever pinned the key before follow to this one.
    """

    use: Literal["checkpoint", "encryption", "receipt", "registrar", "regulator"]
    kid: Thumbprint
    public: Jwk
    holder: str
    index: Index
    ended: Index | Unset = UNSET
    signatures: Signatures | Unset = UNSET


class Keys(Shape, frozen=True):
    """The log's name, its verifier key and the published keys. Pin what you got elsewhere, not this."""

    origin: str
    vkey: str
    keys: list[PublishedKey]


class Healthy(Shape, frozen=True):
    """The process runs."""

    status: Literal["ok"]


class Ready(Shape, frozen=True):
    """The gateway serves."""

    status: Literal["ready"]


class ApiDocument(msgspec.Struct, frozen=True):
    """This document (OpenAPI 3.1)."""

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]
