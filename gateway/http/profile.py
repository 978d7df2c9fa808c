"""The grammar of the one RFC 9421 profile: what a signature may look like before anything is verified.

Invariant: `parse_signature` accepts one signature with exactly the profile's components and parameters,
under any label, in any order and with the optional spaces of RFC 9651, and yields the strict serialisation
that the signature base needs (RFC 9421 section 2.3). Everything else is refused with a code of `Why`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Protocol

import msgspec

from gateway.errors import GatewayError
from keys.canonical import unb64u
from keys.errors import KeysError

TAG_INSTITUTION: Final = "chengxin"
TAG_CITIZEN: Final = "chengxin-citizen"
TAG_WEBHOOK: Final = "chengxin-webhook"
NONCE_BYTES: Final = range(16, 65)

# JOSE name of a key's algorithm -> name in the HTTP Signature Algorithms registry (RFC 9421 section 6.2).
HTTP_ALG: Final[Mapping[str, str]] = MappingProxyType({"Ed25519": "ed25519", "ES256": "ecdsa-p256-sha256"})
ALGS_OF_TAG: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        TAG_INSTITUTION: frozenset({"ed25519"}),
        TAG_CITIZEN: frozenset(HTTP_ALG.values()),
        TAG_WEBHOOK: frozenset({"ed25519"}),
    }
)

WITHOUT_BODY: Final = ("@method", "@target-uri")
WITH_BODY: Final = ("@method", "@target-uri", "content-digest", "content-type")

_PARAMETERS: Final = frozenset({"created", "keyid", "nonce", "alg", "tag"})
_HEADER_LIMIT: Final = 2048
_KEY: Final = r"[a-z*][a-z0-9_.*-]*"
_INPUT: Final = re.compile(rf" *({_KEY})=\(([ !-'*-~]*)\)([ -~]*)")
_COMPONENTS: Final = re.compile(r'(?:"[a-z@-]+"(?: +"[a-z@-]+")*)?')
_PARAMETER: Final = re.compile(rf'; *({_KEY})=(?:([0-9]{{1,15}})|"([ !#-\[\]-~]*)")')
_SIGNATURE: Final = re.compile(rf" *({_KEY})=:([A-Za-z0-9+/]{{86}}==): *")
_METHOD: Final = re.compile(r"[A-Z]{1,16}")


class Why(StrEnum):
    """Why a request's signature is refused. Codes for logs and for the developer who signs; no secrets."""

    NOT_SIGNED = "not-signed"
    MALFORMED = "malformed"
    SECOND_SIGNATURE = "second-signature"
    COMPONENTS = "components"
    PARAMETERS = "parameters"
    ALG = "alg"
    TAG = "tag"
    KEYID = "keyid"
    NONCE = "nonce"
    STALE = "stale"
    DIGEST = "digest"
    CONTENT_TYPE = "content-type"
    TARGET = "target"
    SIGNATURE = "signature"


_PROBLEM: Final[Mapping[Why, str]] = MappingProxyType(
    {
        Why.NOT_SIGNED: "not-signed",
        Why.STALE: "stale-signature",
        Why.TARGET: "target-refused",
    }
)


class SignatureRefused(GatewayError):
    """The request is not authenticated: `why` is the rule that failed, `problem` its row in the table."""

    def __init__(self, why: Why) -> None:
        super().__init__(f"the request's signature is refused: {why.value}")
        self.why = why

    @property
    def problem(self) -> str:
        return _PROBLEM.get(self.why, "bad-signature")


class Headers(Protocol):
    """What is needed of a request's headers: a lookup by lower-case name.

    Werkzeug's and httpx's headers look up without regard to case; a plain dictionary needs lower-case names.
    """

    def get(self, key: str, /) -> str | None: ...


class SignatureInput(msgspec.Struct, frozen=True):
    """One parsed signature, not yet verified. `created` is in seconds since the Unix epoch, UTC."""

    label: str
    components: tuple[str, ...]
    params: str
    created: int
    keyid: str
    nonce: str
    alg: str
    tag: str
    signature: bytes

    @property
    def covers_body(self) -> bool:
        return len(self.components) == len(WITH_BODY)


def parse_signature(method: str, headers: Headers) -> SignatureInput:
    """Read the one signature of a request. Raises SignatureRefused; nothing is verified yet."""
    raw_input, raw_signature = headers.get("signature-input"), headers.get("signature")
    if not raw_input or not raw_signature:
        raise SignatureRefused(Why.NOT_SIGNED)
    if len(raw_input) > _HEADER_LIMIT or len(raw_signature) > _HEADER_LIMIT:
        raise SignatureRefused(Why.MALFORMED)
    match = _INPUT.fullmatch(raw_input)
    if match is None:
        raise SignatureRefused(Why.MALFORMED)
    label, inner, rest = match.groups()
    components = _parse_components(inner)
    check_method(method, components)
    parameters = _parse_parameters(rest)
    nonce = str(parameters["nonce"])
    check_nonce(nonce)
    alg, tag = str(parameters["alg"]), str(parameters["tag"])
    if tag not in ALGS_OF_TAG:
        raise SignatureRefused(Why.TAG)
    if alg not in ALGS_OF_TAG[tag]:
        raise SignatureRefused(Why.ALG)
    return SignatureInput(
        label=label,
        components=components,
        params=format_params(components, parameters),
        created=int(parameters["created"]),
        keyid=str(parameters["keyid"]),
        nonce=nonce,
        alg=alg,
        tag=tag,
        signature=_parse_signature_value(raw_signature, label),
    )


def check_method(method: str, components: tuple[str, ...]) -> None:
    """Refuse a method that is no upper-case token, or that cannot carry the body that is covered."""
    # A body on GET or HEAD has no meaning (RFC 9110 section 9.3.1) and intermediaries drop it.
    if not _METHOD.fullmatch(method) or (len(components) > len(WITHOUT_BODY) and method in ("GET", "HEAD")):
        raise SignatureRefused(Why.COMPONENTS)


def check_nonce(nonce: str) -> None:
    """Refuse a nonce that is not 16 to 64 bytes in canonical unpadded base64url."""
    try:
        if len(unb64u(nonce)) in NONCE_BYTES:
            return
    except KeysError:
        pass
    raise SignatureRefused(Why.NONCE)


def format_params(components: tuple[str, ...], parameters: Mapping[str, int | str]) -> str:
    """The strict serialisation (RFC 9651 section 4.1) of the inner list and its parameters, order kept."""
    pairs = [
        f";{name}={value}" if isinstance(value, int) else f';{name}="{value}"'
        for name, value in parameters.items()
    ]
    return "".join([_format_components(components), *pairs])


@lru_cache(maxsize=64)
def _format_components(components: tuple[str, ...]) -> str:
    inner = " ".join(f'"{name}"' for name in components)
    return f"({inner})"


@lru_cache(maxsize=64)
def _parse_components(inner: str) -> tuple[str, ...]:
    if not _COMPONENTS.fullmatch(inner.strip(" ")):
        # Another signature's list cannot stand here: parentheses end the inner list. Left are component
        # parameters such as ;req or ;sf, upper case, and what is no string.
        raise SignatureRefused(Why.COMPONENTS)
    names = tuple(name.strip('"') for name in inner.split())
    if len(names) not in (len(WITHOUT_BODY), len(WITH_BODY)) or len(set(names)) != len(names):
        raise SignatureRefused(Why.COMPONENTS)
    if set(names) != set(WITH_BODY if len(names) == len(WITH_BODY) else WITHOUT_BODY):
        raise SignatureRefused(Why.COMPONENTS)
    return names


def _parse_parameters(rest: str) -> dict[str, int | str]:
    """Parameters of the inner list in the order received; exactly the five, each of its type."""
    found: dict[str, int | str] = {}
    end = 0
    while match := _PARAMETER.match(rest, end):
        name, integer, text = match.groups()
        if name not in _PARAMETERS or name in found or (integer is not None) != (name == "created"):
            raise SignatureRefused(Why.PARAMETERS)
        found[name] = int(integer) if integer is not None else text
        end = match.end()
    trailing = rest[end:].lstrip(" ")
    if trailing.startswith(","):
        raise SignatureRefused(Why.SECOND_SIGNATURE)
    if trailing or len(found) != len(_PARAMETERS):
        raise SignatureRefused(Why.PARAMETERS)
    return found


def _parse_signature_value(raw: str, label: str) -> bytes:
    match = _SIGNATURE.fullmatch(raw)
    if match is None:
        raise SignatureRefused(Why.SECOND_SIGNATURE if "," in raw else Why.MALFORMED)
    if match.group(1) != label:
        raise SignatureRefused(Why.SECOND_SIGNATURE)
    signature = base64.b64decode(match.group(2), validate=True)
    if base64.b64encode(signature).decode("ascii") != match.group(2):
        raise SignatureRefused(Why.MALFORMED)  # trailing bits: a second spelling of the same bytes
    return signature
