"""RFC 9421 in the one profile of this gateway: pure, strict, without a clock and without a database.

Invariant: a request is accepted only if exactly one signature, under the one key that `keyid` names,
covers exactly its method, its target and (when it has a body) its digest and content type, at about
this time, for this use. Everything else is refused with a code; nothing is guessed, and what the
signature does not cover is not read. Nonces are checked for form only: that each serves once is kept in
the database, under the head lock.

The profile: any label; components `"@method" "@target-uri" "content-digest" "content-type"` in any order,
the first two alone when there is no body; parameters `created`, `keyid`, `nonce`, `alg`, `tag` in any order,
each once and no other. Its grammar stands in `gateway.http.profile`.
"""

from __future__ import annotations

import base64
import re
from typing import Final

from gateway.http.digest import content_digest, digest_matches
from gateway.http.profile import (
    ALGS_OF_TAG,
    HTTP_ALG,
    TAG_CITIZEN,
    TAG_INSTITUTION,
    TAG_WEBHOOK,
    WITH_BODY,
    WITHOUT_BODY,
    Headers,
    SignatureInput,
    SignatureRefused,
    Why,
    check_method,
    check_nonce,
    format_params,
    parse_signature,
)
from keys.errors import KeysError
from keys.signing import PrivateKey, PublicKey

__all__ = [
    "SKEW_MS",
    "TAG_CITIZEN",
    "TAG_INSTITUTION",
    "TAG_WEBHOOK",
    "Headers",
    "SignatureInput",
    "SignatureRefused",
    "Why",
    "content_digest",
    "digest_matches",
    "parse_signature",
    "sign_request",
    "signature_base",
    "target_uri",
    "verify_request",
]

SKEW_MS: Final = 60_000
LABEL: Final = "sig1"

_ORIGIN: Final = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")
# pchar of RFC 3986 without percent-encoding, "/" and one "?"; no fragment.
_TARGET: Final = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@/-]*(?:\?[A-Za-z0-9._~!$&'()*+,;=:@/?-]+)?")
# Visible ASCII and single spaces, without the comma that joins a repeated header.
_CONTENT_TYPE: Final = re.compile(r"[!-+\--~]+(?: [!-+\--~]+)*")


def target_uri(public_origin: str, raw_target: str) -> str:
    """`@target-uri` from the configured public origin (`https://host[:port]`) and the raw request target.

    The target is a path with an optional query. A percent sign is refused because servers and proxies decode
    it differently; so are dot segments, a fragment and an empty query, which do not survive every hop.
    Raises SignatureRefused(TARGET); ValueError when it is the configured origin that is no origin.
    """
    path = raw_target.split("?", 1)[0]
    if not _TARGET.fullmatch(raw_target) or not {".", ".."}.isdisjoint(path.split("/")):
        raise SignatureRefused(Why.TARGET)
    if not _ORIGIN.fullmatch(public_origin):
        raise ValueError("the public origin must be http(s)://host[:port] in lower case, without a path")
    return public_origin + raw_target


def signature_base(
    components: tuple[str, ...],
    params: str,
    method: str,
    target: str,
    content_type: str | None,
    digest: str | None,
) -> bytes:
    """The signature base of RFC 9421 section 2.5: one line a component, then `@signature-params`."""
    values = {
        "@method": method,
        "@target-uri": target,
        "content-digest": digest,
        "content-type": content_type,
    }
    lines = [f'"{name}": {values[name]}' for name in components]
    lines.append(f'"@signature-params": {params}')
    return "\n".join(lines).encode("ascii")


def sign_request(
    method: str,
    target: str,
    body: bytes | None,
    content_type: str | None,
    key: PrivateKey,
    created_s: int,
    nonce: str,
    tag: str,
) -> dict[str, str]:
    """The headers that sign a request to the absolute URI `target`; `created_s` is in seconds.

    They are Signature-Input, Signature and, with a body, Content-Digest and Content-Type; an empty body is
    none. Raises SignatureRefused for a request that `verify_request` would refuse by its form.
    """
    alg = HTTP_ALG[key.alg]
    check_nonce(nonce)
    if alg not in ALGS_OF_TAG.get(tag, frozenset()):
        raise SignatureRefused(Why.ALG if tag in ALGS_OF_TAG else Why.TAG)
    _split_target(target)
    headers: dict[str, str] = {}
    if body:
        if content_type is None or not _CONTENT_TYPE.fullmatch(content_type):
            raise SignatureRefused(Why.CONTENT_TYPE)
        headers = {"Content-Type": content_type, "Content-Digest": content_digest(body)}
    components = WITH_BODY if body else WITHOUT_BODY
    check_method(method, components)
    params = format_params(
        components,
        {
            "created": created_s,
            "keyid": key.kid,
            "nonce": nonce,
            "alg": alg,
            "tag": tag,
        },
    )
    base = signature_base(
        components,
        params,
        method,
        target,
        headers.get("Content-Type"),
        headers.get("Content-Digest"),
    )
    signature = base64.b64encode(key.sign(base)).decode("ascii")
    return {
        **headers,
        "Signature-Input": f"{LABEL}={params}",
        "Signature": f"{LABEL}=:{signature}:",
    }


def verify_request(
    parsed: SignatureInput,
    method: str,
    target: str,
    body: bytes | None,
    content_type: str | None,
    digest: str | None,
    key: PublicKey,
    tag: str,
    now_ms: int,
) -> None:
    """Verify a parsed signature over this request: by `key`, for `tag`, at `now_ms`. Raises SignatureRefused.

    `target` comes from `target_uri`; `content_type` and `digest` are the header values as received, or None.
    """
    # 1 the use, the key and the time: cheap, and none of them needs the body
    if parsed.tag != tag:
        raise SignatureRefused(Why.TAG)
    if parsed.keyid != key.kid:
        raise SignatureRefused(Why.KEYID)
    if parsed.alg != HTTP_ALG.get(key.alg):
        raise SignatureRefused(Why.ALG)
    if abs(parsed.created * 1000 - now_ms) > SKEW_MS:
        raise SignatureRefused(Why.STALE)
    # 2 what is covered is what was sent
    if parsed.covers_body != bool(body):
        raise SignatureRefused(Why.COMPONENTS)
    if body:
        if digest is None or not digest_matches(digest, body):
            raise SignatureRefused(Why.DIGEST)
        if content_type is None or not _CONTENT_TYPE.fullmatch(content_type := content_type.strip(" ")):
            raise SignatureRefused(Why.CONTENT_TYPE)
        digest = digest.strip(" ")
    elif digest is not None:
        raise SignatureRefused(Why.DIGEST)
    # 3 the signature itself
    base = signature_base(parsed.components, parsed.params, method, target, content_type, digest)
    try:
        key.verify(base, parsed.signature)
    except KeysError:
        raise SignatureRefused(Why.SIGNATURE) from None


def _split_target(target: str) -> None:
    """Refuse to sign a target that no gateway would accept."""
    match = _ORIGIN.match(target)
    if match is None:
        raise SignatureRefused(Why.TARGET)
    target_uri(match.group(), target[match.end() :])
