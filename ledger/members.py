r"""The forms that members of leaves may take, each once, as msgspec types.

Invariant: a value of one of these types has exactly one spelling in JSON. Text is ASCII, hashes are
lower-case hex SHA-256, binary is unpadded base64url, times are RFC 3339 UTC with milliseconds. The types
check forms alone; what a value means is replay's affair. Every pattern is anchored with \A and \Z, for `$`
would let a final newline through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal

import msgspec

from keys.canonical import b64u, canonical, sha256
from keys.errors import KeysError
from keys.instant import parse_instant

ZERO_HASH: Final = "0" * 64

Hex32 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
"""A SHA-256 hash."""
Random16 = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{21}[AQgw]\Z")]
"""16 bytes: a salt or a person's tag. The last character holds two bits, so four of them are possible."""
Thumbprint = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]\Z")]
"""RFC 7638 thumbprint."""
Blob = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]+\Z", max_length=1024)]
"""Some bytes."""
Uuid = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")]
Instant = Annotated[
    str, msgspec.Meta(pattern=r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z\Z")
]
"""A time as text; `check_instants` makes sure that the day exists."""
END_OF_COUNT: Final = 2**53
"""Every number in a leaf is below it: RFC 8785 writes no greater one."""
Count = Annotated[int, msgspec.Meta(ge=0, lt=END_OF_COUNT)]
Positive = Annotated[int, msgspec.Meta(ge=1, lt=END_OF_COUNT)]
Origin = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9.:/_-]{0,199}\Z")]
Code = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9-]{0,47}\Z")]
"""A reason out of a closed vocabulary that the policy owns."""
Uscc = Annotated[str, msgspec.Meta(pattern=r"\A[0-9A-HJ-NPQRTUWXY]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}\Z")]
"""Unified social credit code (统一社会信用代码, GB 32100-2015): its form, not its check digit."""
OperatorId = Annotated[str, msgspec.Meta(pattern=r"\Aop-[0-9a-f]{16}\Z")]
PartyId = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9.:/_-]{0,199}\Z")]
"""A registrar, or the holder of a key: an institution, a registrar, the log's origin."""
Purpose = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{2}\Z")]
Category = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_]{0,31}\Z")]
Categories = Annotated[tuple[Category, ...], msgspec.Meta(min_length=1, max_length=256)]
"""Sorted, no duplicates: `check_sorted`."""
Answer = Annotated[str, msgspec.Meta(pattern=r"\A(report|predicate:[a-z][a-z0-9_-]{0,47})\Z")]
Klass = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_-]{0,47}\Z")]
"""A retention class of the catalogue, or `link` or `identity`."""
Token = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){2}\Z", max_length=2048)]
"""A compact JWS."""
Role = Literal["admin", "approve", "audit", "query", "registrar", "source"]
PredicateName = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9-]{0,47}\Z")]
Roles = Annotated[tuple[Role, ...], msgspec.Meta(min_length=1)]
Sector = Literal[
    "finance",
    "agency",
    "e-commerce",
    "delivery",
    "property",
    "data",
    "apps",
    "regulator",
    "registrar",
    "source",
]

JWK_MEMBERS: Final[Mapping[tuple[str, str], frozenset[str]]] = {
    ("OKP", "Ed25519"): frozenset({"kty", "crv", "x"}),
    ("OKP", "X25519"): frozenset({"kty", "crv", "x"}),
    ("EC", "P-256"): frozenset({"kty", "crv", "x", "y"}),
}
_COORDINATE: Final = 43  # characters of unpadded base64url for 32 bytes


def check_sorted(values: Sequence[str]) -> None:
    """A set is written in one way: ascending, each once. Raises ValueError."""
    if list(values) != sorted(set(values)):  # in C, which a comparison of each pair is not
        raise ValueError("not sorted, or with duplicates")


def check_instants(*times: str | None) -> None:
    """Every time given is one that exists (no 30 February). Raises ValueError."""
    for time in times:
        if time is not None:
            try:
                parse_instant(time)
            except KeysError as error:
                raise ValueError("no such time") from error


def check_jwk(jwk: Mapping[str, str], kid: str) -> None:
    """`jwk` is a bare public key and `kid` its RFC 7638 thumbprint. Raises ValueError.

    All members of such a key are required ones, so that the thumbprint is over the whole of it.
    """
    members = JWK_MEMBERS.get((jwk.get("kty", ""), jwk.get("crv", "")))
    if members is None or set(jwk) != members:
        raise ValueError("not a public key of a known kind")
    if any(len(jwk[member]) != _COORDINATE for member in members & {"x", "y"}):
        raise ValueError("not a public key of 32-byte coordinates")
    if b64u(sha256(canonical(dict(jwk)))) != kid:
        raise ValueError("kid is not the key's thumbprint")
