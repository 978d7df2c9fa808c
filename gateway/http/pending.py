"""What an approver of a statutory query (法定查询) signs for: the hash of the very request that waits.

Invariant: one request, one hash. Whoever holds the request can work it out and need not believe the gateway.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from keys.canonical import canonical, tagged_hash

PENDING_TAG: Final = "chengxin/pending/v1"


def request_sha256(body: Mapping[str, Any]) -> str:
    """Hex SHA-256("chengxin/pending/v1" || 0x00 || JCS(body of `POST /v1/queries`))."""
    return tagged_hash(PENDING_TAG, canonical(dict(body))).hex()
