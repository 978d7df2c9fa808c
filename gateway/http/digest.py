"""`Content-Digest` of RFC 9530, in the one form this gateway speaks: a single `sha-256` member.

Invariant: for every body there is exactly one header value that is accepted. A second member, another
algorithm, a parameter or other base64 is refused: what a signature covers must have one reading.
"""

from __future__ import annotations

import base64
import hashlib


def content_digest(body: bytes) -> str:
    """The header value for `body`: `sha-256=:<44 characters of base64>:` (RFC 9530 section 2)."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode('ascii')}:"


def digest_matches(header: str, body: bytes) -> bool:
    """Whether `header` is the digest of `body`. Spaces around it are the transport's, all else is exact."""
    return header.strip(" ") == content_digest(body)
