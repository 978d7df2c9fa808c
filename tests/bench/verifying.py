"""The yardstick: what one Ed25519 verification by PyNaCl costs here and now."""

from __future__ import annotations

import statistics
import time
from typing import Final

import nacl.signing

MESSAGE: Final = b"m" * 450
"""As long as the signature base of a query."""

_TIMES: Final = 9
_EACH: Final = 200


def verify_seconds() -> float:
    """CPU seconds of one verification: the median of a few hundred, so that one interruption says nothing."""
    key = nacl.signing.SigningKey(bytes(range(32)))
    signed, verifier = key.sign(MESSAGE), key.verify_key
    message, signature = signed.message, signed.signature
    found = []
    for _ in range(_TIMES):
        begun = time.process_time()
        for _ in range(_EACH):
            verifier.verify(message, signature)
        found.append((time.process_time() - begun) / _EACH)
    return statistics.median(found)
