"""The RFC 9421 profile: what is signed verifies, and no signed part can change."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import EnvironHeaders, Headers
from werkzeug.test import EnvironBuilder

from gateway.http.signature import (
    SKEW_MS,
    TAG_CITIZEN,
    TAG_INSTITUTION,
    SignatureRefused,
    Why,
    content_digest,
    parse_signature,
    signature_base,
    verify_request,
)
from keys.canonical import b64u
from keys.signing import PrivateKey
from tests.gateway.http.signed import (
    ALL,
    BODY,
    CREATED,
    FOUR,
    JSON,
    KEY,
    NONCE,
    NOW_MS,
    ORIGIN,
    OTHER,
    P256,
    PARAMS,
    TARGET,
    Request,
    public,
    refusal,
    resigned,
    signed,
    verify,
)


def test_the_signature_base_is_the_one_of_rfc_9421() -> None:
    """Worked by hand from section 2.5, so that signer and verifier cannot be wrong together."""
    base = signature_base(
        ("@target-uri", "content-type", "@method", "content-digest"),
        '("@target-uri" "content-type" "@method" "content-digest");created=1;keyid="k"',
        "POST",
        TARGET,
        JSON,
        "sha-256=:x:",
    )
    assert base == (
        b'"@target-uri": https://credit.example.cn:8443/v1/queries\n'
        b'"content-type": application/json\n'
        b'"@method": POST\n'
        b'"content-digest": sha-256=:x:\n'
        b'"@signature-params": ("@target-uri" "content-type" "@method" "content-digest");created=1;keyid="k"'
    )


def test_content_digest_is_the_example_of_rfc_9530() -> None:
    """Appendix D of RFC 9530: the sha-256 of the JSON line `{"hello": "world"}` and a newline."""
    assert content_digest(b'{"hello": "world"}\n') == "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"


@pytest.mark.parametrize("body", [BODY, None, b""])
def test_what_is_signed_verifies_with_and_without_a_body(body: bytes | None) -> None:
    verify(signed(body=body))


def test_a_get_covers_method_and_target_alone() -> None:
    request = signed(method="GET", body=None)
    assert parse_signature("GET", request.headers).components == ("@method", "@target-uri")
    assert set(request.headers) == {"signature-input", "signature"}
    verify(request)


def test_the_headers_of_a_wsgi_server_are_read() -> None:
    """WSGI upper-cases names and joins a header sent twice, which must stay a refusal."""
    request = signed()
    environ = EnvironBuilder(
        "/v1/queries", method="POST", headers=Headers(request.headers), data=request.body
    ).get_environ()
    headers = EnvironHeaders(environ)
    assert parse_signature("POST", headers) == parse_signature("POST", request.headers)
    verify_request(
        parse_signature("POST", headers),
        "POST",
        TARGET,
        request.body,
        headers.get("Content-Type"),
        headers.get("Content-Digest"),
        public(KEY),
        TAG_INSTITUTION,
        NOW_MS,
    )
    environ["HTTP_SIGNATURE"] += "," + environ["HTTP_SIGNATURE"]
    with pytest.raises(SignatureRefused):
        parse_signature("POST", headers)


def test_citizens_sign_with_either_algorithm() -> None:
    for key in (KEY, P256):
        verify(signed(key, tag=TAG_CITIZEN), key, TAG_CITIZEN)


@pytest.mark.parametrize("components", [FOUR, '"content-type" "@target-uri" "content-digest" "@method"'])
@pytest.mark.parametrize("order", [list(PARAMS), list(reversed(PARAMS))])
@pytest.mark.parametrize("label", ["sig1", "pyhms", "*a.b_c-9"])
def test_any_order_and_any_label_are_accepted(components: str, order: list[str], label: str) -> None:
    verify(resigned(components, "".join(PARAMS[name] for name in order), label=label))


def test_legal_spaces_are_accepted_and_do_not_enter_the_signature_base() -> None:
    request = resigned(FOUR, ALL)
    spaced = (
        request.headers["signature-input"].replace("(", "(  ").replace(";", ";  ").replace('" "', '"   "')
    )
    request.headers["signature-input"] = f" {spaced} "
    request.headers["signature"] = f" {request.headers['signature']} "
    verify(request)


# Round trip, and every signed part.

_BODIES = st.one_of(st.none(), st.binary(min_size=1, max_size=64))
_TARGETS = st.lists(st.text("abcXYZ019-_~", min_size=1, max_size=8), max_size=4).map(
    lambda parts: f"{ORIGIN}/{'/'.join(parts)}"
)
_NONCES = st.binary(min_size=16, max_size=64).map(b64u)


@settings(max_examples=60)
@given(
    key=st.sampled_from([KEY, OTHER, P256]),
    target=_TARGETS,
    body=_BODIES,
    nonce=_NONCES,
    offset=st.integers(-SKEW_MS, SKEW_MS),
)
def test_round_trip(key: PrivateKey, target: str, body: bytes | None, nonce: str, offset: int) -> None:
    request = signed(key, target=target, body=body, nonce=nonce, tag=TAG_CITIZEN)
    parsed = parse_signature(request.method, request.headers)
    assert (parsed.keyid, parsed.nonce, parsed.created) == (key.kid, nonce, CREATED)
    assert f"{parsed.label}={parsed.params}" == request.headers["signature-input"]
    verify(request, key, TAG_CITIZEN, NOW_MS + offset)


Mutation = Callable[[Request], None]


def _in(name: str, old: str, new: str) -> Mutation:
    def mutate(request: Request) -> None:
        assert old in request.headers[name]
        request.headers[name] = request.headers[name].replace(old, new, 1)

    return mutate


def _set(name: str, value: object) -> Mutation:
    return lambda request: setattr(request, name, value)


@pytest.mark.parametrize(
    "mutate",
    [
        _set("method", "PUT"),
        _set("target", TARGET + "/"),
        _set("target", TARGET.replace("https", "http")),
        _set("target", TARGET.replace(":8443", "")),
        _set("body", BODY + b" "),
        _in("content-type", JSON, JSON + "; charset=utf-8"),
        _in("signature-input", f"created={CREATED}", f"created={CREATED + 1}"),
        _in("signature-input", NONCE, b64u(bytes(16))),
        _in("signature-input", FOUR, '"@target-uri" "@method" "content-digest" "content-type"'),
        _in("signature-input", ';alg="ed25519";tag="chengxin"', ';tag="chengxin";alg="ed25519"'),
    ],
)
def test_a_change_to_any_signed_part_is_refused(mutate: Mutation) -> None:
    request = signed()
    mutate(request)
    assert refusal(request) in {Why.SIGNATURE, Why.DIGEST}


def test_swapping_body_and_digest_together_is_refused() -> None:
    request = signed()
    request.body = b"{}"
    request.headers["content-digest"] = content_digest(b"{}")
    assert refusal(request) is Why.SIGNATURE


@settings(max_examples=150)
@given(data=st.data())
def test_no_single_character_of_the_signed_headers_can_change(data: st.DataObject) -> None:
    """Except what RFC 9421 leaves unsigned: the label (if both agree) and optional spaces."""
    request = signed()
    name = data.draw(st.sampled_from(["signature-input", "signature", "content-digest", "content-type"]))
    value = request.headers[name]
    at = data.draw(st.integers(0, len(value) - 1))
    changed = data.draw(
        st.characters(min_codepoint=0x21, max_codepoint=0x7E).filter(lambda c: c != value[at])
    )
    request.headers[name] = value[:at] + changed + value[at + 1 :]
    refusal(request)


@settings(max_examples=100)
@given(
    st.text(st.characters(max_codepoint=0x17F), max_size=80),
    st.sampled_from(["signature-input", "signature"]),
)
def test_noise_is_refused_and_never_crashes(noise: str, name: str) -> None:
    request = signed()
    request.headers[name] = noise
    refusal(request)
