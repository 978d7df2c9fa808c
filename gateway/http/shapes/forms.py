"""What members of replies are made of, and what every shape is: a struct with its members and no others."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

Hex32 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z", description="SHA-256, lower-case hex")]
Instant = Annotated[
    str,
    msgspec.Meta(
        pattern=r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z\Z",
        description="RFC 3339, UTC, milliseconds",
    ),
]
Day = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}\Z", description="a day in China")]
Index = Annotated[int, msgspec.Meta(ge=0, description="index of a leaf in the ledger")]
Receipt = Annotated[
    str,
    msgspec.Meta(
        pattern=r"\A[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z",
        description="compact JWS, typ receipt+jwt, by the gateway's receipt key: it names the leaf that "
        "records this, and covers the answer by answer_sha256 = SHA-256(JCS(answer))",
    ),
]
Jwe = Annotated[
    str,
    msgspec.Meta(
        pattern=r"\A[A-Za-z0-9_-]+\.\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z",
        description="compact JWE (RFC 7516), ECDH-ES and A256GCM, of JCS(answer), to the institution's key",
    ),
]
B64u = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]+\Z", description="base64url without padding")]
Thumbprint = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{43}\Z", description="RFC 7638")]
Uscc = Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-Z]{18}\Z", description="统一社会信用代码")]
Jwk = dict[str, str]
Record = dict[str, Any]
UNSET: Any = msgspec.UNSET
Unset = msgspec.UnsetType


class Shape(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A reply's body: nothing but its members."""
