"""Why an erasure or a hold is not done."""

from __future__ import annotations

from gateway.errors import GatewayError


class ErasureRefused(GatewayError):
    """Nothing was erased or held; the message says why and what to do. It names cases, never a person."""
