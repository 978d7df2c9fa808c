"""Certificate of erasure (删除证明): what was erased, and that the key which could still read it is no more.

Invariant: it names leaves, counts and classes, and nobody; it is made only once the epoch of the erasure is
destroyed, so that no backup opens what it speaks of. The gateway signs the bytes as JWS (`typ` `erasure+jwt`)
with its receipt key; whoever has an export of the log checks every member of it against the leaves.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, ClassVar

import msgspec

from consent import wire
from consent.errors import BadProof
from keys.errors import KeysError
from keys.jws import verify_jws
from keys.signing import PublicKey

ERASURE_TYPE = "chengxin/erasure/v1"
ERASURE_TYP = "erasure+jwt"

Klass = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_-]{0,47}\Z")]
_Positive = Annotated[int, msgspec.Meta(ge=1, lt=2**53)]


class Destroyed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The leaf `key.epoch` that says that the epoch's key is destroyed: index, and leaf hash in hex."""

    index: wire.Natural
    leaf: wire.Hex32


class ErasureCertificate(wire.Document, frozen=True, kw_only=True, tag_field="type", tag=ERASURE_TYPE):
    """What is signed: `index` and `leaf` (hex leaf hash) are of the `record.erased` of this `erasure`.

    `count` records of the retention classes `classes` went, on the ground `authority`; `copies` are those of
    custody with the key of that epoch or an earlier one, all attested as destroyed; `at` (ms) is the time of
    its making.
    """

    TIMES: ClassVar[tuple[str, ...]] = ("at",)

    log: wire.Origin
    erasure: wire.Uuid
    index: wire.Natural
    leaf: wire.Hex32
    classes: tuple[Klass, ...]
    count: wire.Natural
    authority: wire.ReasonCode
    epoch: _Positive
    destroyed: Destroyed
    copies: tuple[wire.Uuid, ...]
    at: wire.Instant

    def __post_init__(self) -> None:
        for values in (self.classes, self.copies):
            if any(first >= second for first, second in pairwise(values)):
                raise ValueError("not sorted, or with duplicates")
        if not self.classes:
            raise ValueError("nothing was erased")
        if self.destroyed.index <= self.index:
            raise ValueError("an epoch ends after what was erased under it")


def parse_erasure_certificate(data: bytes) -> ErasureCertificate:
    """Raises MalformedDocument for anything that `format_erasure_certificate` would not emit."""
    return wire.parse_struct(data, ErasureCertificate)


def format_erasure_certificate(certificate: ErasureCertificate) -> bytes:
    """JCS bytes: the payload to sign. Raises MalformedDocument."""
    return wire.format_struct(certificate)


def verify_erasure_certificate(token: str, key: PublicKey) -> ErasureCertificate:
    """The certificate that `key`, one for receipts, signed. Raises BadProof, MalformedDocument."""
    try:
        payload = verify_jws(token, key, ERASURE_TYP)
    except KeysError as refused:
        raise BadProof("the signature does not hold") from refused
    return parse_erasure_certificate(payload)
