"""Everything that is not exactly the profile is refused, by its rule, even where the signature holds."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from gateway.http.signature import (
    SKEW_MS,
    TAG_CITIZEN,
    TAG_INSTITUTION,
    SignatureRefused,
    Why,
    content_digest,
    digest_matches,
    target_uri,
)
from keys.canonical import b64u
from tests.gateway.http.signed import (
    ALL,
    BODY,
    CREATED,
    FOUR,
    KEY,
    NONCE,
    ORIGIN,
    OTHER,
    P256,
    PARAMS,
    refusal,
    resigned,
    signed,
    verify,
)


# What stands in the headers is well signed in each of these: only strictness refuses it.
@pytest.mark.parametrize(
    ("components", "why"),
    [
        ('"@method" "@target-uri" "content-digest"', Why.COMPONENTS),
        ('"@method" "@target-uri" "content-type"', Why.COMPONENTS),
        ('"@target-uri" "content-digest" "content-type"', Why.COMPONENTS),
        ('"@method" "content-digest" "content-type" "date"', Why.COMPONENTS),
        (FOUR + ' "date"', Why.COMPONENTS),
        (FOUR + ' "@authority"', Why.COMPONENTS),
        ('"@method" "@method" "content-digest" "content-type"', Why.COMPONENTS),
        ('"@method" "@target-uri"', Why.COMPONENTS),
        ("", Why.COMPONENTS),
    ],
)
def test_a_missing_extra_or_repeated_component_is_refused(components: str, why: Why) -> None:
    assert refusal(resigned(components, ALL)) is why


def test_component_parameters_are_refused() -> None:
    request = signed()
    request.headers["signature-input"] = request.headers["signature-input"].replace(
        '"@method"', '"@method";req'
    )
    assert refusal(request) is Why.COMPONENTS


@pytest.mark.parametrize(
    "parameters",
    [
        *("".join(PARAMS[kept] for kept in PARAMS if kept != left_out) for left_out in PARAMS),
        ALL + f";expires={CREATED + 60}",
        ALL + ";x",
        ALL + ";x=1",
        ALL + f";created={CREATED}",
        ALL.replace(f"created={CREATED}", f'created="{CREATED}"'),
        ALL.replace(f"created={CREATED}", f"created={CREATED}.0"),
        ALL.replace(f"created={CREATED}", "created=-1"),
        ALL.replace(";alg=", ";Alg="),
        ALL.replace('keyid="', 'keyid="\\"'),
        "",
    ],
)
def test_a_missing_repeated_unknown_or_mistyped_parameter_is_refused(parameters: str) -> None:
    assert refusal(resigned(FOUR, parameters)) is Why.PARAMETERS


@pytest.mark.parametrize("tag", ["", "chengxin-citizen", "Chengxin", "web-bot-auth"])
def test_a_signature_for_another_use_is_refused(tag: str) -> None:
    assert refusal(resigned(FOUR, ALL.replace('tag="chengxin"', f'tag="{tag}"'))) is Why.TAG


def test_an_institutions_signature_is_no_citizens_and_the_reverse() -> None:
    assert refusal(signed(), tag=TAG_CITIZEN) is Why.TAG
    assert refusal(signed(tag=TAG_CITIZEN), tag=TAG_INSTITUTION) is Why.TAG


@pytest.mark.parametrize("alg", ["", "Ed25519", "hmac-sha256", "rsa-pss-sha512", "ecdsa-p256-sha256"])
def test_an_algorithm_that_is_not_the_keys_is_refused(alg: str) -> None:
    assert refusal(resigned(FOUR, ALL.replace('alg="ed25519"', f'alg="{alg}"'))) is Why.ALG


def test_an_institution_cannot_sign_with_es256() -> None:
    with pytest.raises(SignatureRefused) as refused:
        signed(P256)
    assert refused.value.why is Why.ALG
    parameters = ALL.replace("ed25519", "ecdsa-p256-sha256").replace(KEY.kid, P256.kid)
    assert refusal(resigned(FOUR, parameters, P256), key=P256) is Why.ALG


def test_the_algorithm_named_must_be_that_of_the_citizens_key() -> None:
    parameters = ALL.replace('tag="chengxin"', 'tag="chengxin-citizen"').replace(
        "ed25519", "ecdsa-p256-sha256"
    )
    assert refusal(resigned(FOUR, parameters), tag=TAG_CITIZEN) is Why.ALG


def test_a_key_that_is_not_the_one_named_is_refused() -> None:
    assert refusal(signed(), key=OTHER) is Why.KEYID
    assert refusal(resigned(FOUR, ALL, OTHER)) is Why.SIGNATURE


@pytest.mark.parametrize("offset", [-SKEW_MS // 1000, 0, SKEW_MS // 1000])
def test_created_within_a_minute_either_way_is_accepted(offset: int) -> None:
    verify(signed(created=CREATED + offset))


@pytest.mark.parametrize("offset", [-SKEW_MS // 1000 - 1, SKEW_MS // 1000 + 1, -CREATED])
def test_created_in_the_past_or_future_is_stale(offset: int) -> None:
    request = signed(created=CREATED + offset)
    assert refusal(request) is Why.STALE
    with pytest.raises(SignatureRefused) as refused:
        verify(request)
    assert refused.value.problem == "stale-signature"


@pytest.mark.parametrize(
    "nonce", ["", b64u(bytes(15)), b64u(bytes(65)), NONCE + "=", NONCE[:-1] + "x", "!" * 22]
)
def test_a_nonce_that_is_short_long_or_not_base64url_is_refused(nonce: str) -> None:
    assert refusal(resigned(FOUR, ALL.replace(NONCE, nonce))) is Why.NONCE
    with pytest.raises(SignatureRefused):
        signed(nonce=nonce)


def test_a_second_signature_is_refused_wherever_it_stands() -> None:
    first, second = signed(), resigned(FOUR, ALL, OTHER, label="sig2")
    for name in ("signature-input", "signature"):
        request = replace(first, headers=dict(first.headers))
        request.headers[name] += ", " + second.headers[name]
        assert refusal(request) is Why.SECOND_SIGNATURE
    request = replace(first, headers={**first.headers, "signature": second.headers["signature"]})
    assert refusal(request) is Why.SECOND_SIGNATURE


@pytest.mark.parametrize("name", ["signature-input", "signature", "content-digest", "content-type"])
@pytest.mark.parametrize("joint", [",", ", "])
def test_a_repeated_header_is_refused(name: str, joint: str) -> None:
    request = signed()
    request.headers[name] = joint.join([request.headers[name]] * 2)
    assert refusal(request) in {Why.SECOND_SIGNATURE, Why.DIGEST, Why.CONTENT_TYPE}


@pytest.mark.parametrize("name", ["signature-input", "signature"])
def test_an_unsigned_request_is_told_apart(name: str) -> None:
    request = signed()
    del request.headers[name]
    with pytest.raises(SignatureRefused) as refused:
        verify(request)
    assert (refused.value.why, refused.value.problem) == (Why.NOT_SIGNED, "not-signed")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("signature-input", "sig1"),
        ("signature-input", "sig1=" + "("),
        ("signature-input", "SIG1=" + f"({FOUR}){ALL}"),
        ("signature-input", "sig1=(" + "a" * 4096 + ")"),
        ("signature-input", "sig1=?1"),
        ("signature", "sig1"),
        ("signature", "sig1=" + "A" * 86),
        ("signature", "sig1=:" + "A" * 84 + ":"),
        ("signature", "sig1=:" + "A" * 86 + "==:;x"),
        ("signature", "sig1=:" + "_" * 86 + "==:"),
        ("signature", "sig1=:" + "A" * 85 + "B==:"),
    ],
)
def test_malformed_headers_are_refused(name: str, value: str) -> None:
    request = signed()
    request.headers[name] = value
    assert refusal(request) is Why.MALFORMED


@pytest.mark.parametrize(
    "digest",
    [
        "sha-512=:" + base64.b64encode(bytes(64)).decode() + ":",
        content_digest(b"other"),
        content_digest(BODY) + ";x=1",
        content_digest(BODY).upper(),
        content_digest(BODY).removesuffix(":"),
        "",
    ],
)
def test_another_digest_is_refused_even_when_it_is_signed(digest: str) -> None:
    request = signed()
    request.headers["content-digest"] = digest
    assert refusal(request) is Why.DIGEST
    assert not digest_matches(digest, BODY)


@pytest.mark.parametrize("name", ["content-digest", "content-type"])
def test_a_covered_header_that_is_missing_is_refused(name: str) -> None:
    request = signed()
    del request.headers[name]
    assert refusal(request) in {Why.DIGEST, Why.CONTENT_TYPE}


@pytest.mark.parametrize("content_type", ["", "text/plain\x00", "application/json,text/plain", "应用/json"])
def test_a_content_type_that_cannot_be_signed_is_refused(content_type: str) -> None:
    with pytest.raises(SignatureRefused) as refused:
        signed(content_type=content_type)
    assert refused.value.why is Why.CONTENT_TYPE


def test_a_body_that_the_signature_does_not_cover_is_refused() -> None:
    bare = signed(body=None)
    bare.body = BODY
    assert refusal(bare) is Why.COMPONENTS
    stripped = signed()
    stripped.body = b""
    assert refusal(stripped) is Why.COMPONENTS


def test_an_uncovered_digest_is_refused() -> None:
    request = signed(body=None)
    request.headers["content-digest"] = content_digest(b"")
    assert refusal(request) is Why.DIGEST


@pytest.mark.parametrize("method", ["GET", "HEAD", "post", "P" * 17, "PO ST", ""])
def test_a_method_that_cannot_carry_this_body_is_refused(method: str) -> None:
    with pytest.raises(SignatureRefused):
        signed(method=method)
    request = signed()
    request.method = method
    assert refusal(request) is Why.COMPONENTS


@pytest.mark.parametrize(
    "target",
    [
        "/v1/a%2Fb",
        "/v1/%E4%BF%A1",
        "/v1/../keys",
        "/v1/./keys",
        "/v1/..",
        "/.",
        "/v1/keys?",
        "/v1/keys#top",
        "/v1/信",
        "/v1/a b",
        "/v1/a\\b",
        '/v1/"',
        "/v1/keys\n",
        "v1/keys",
        "",
        "https://credit.example.cn/v1/keys",
        "*",
    ],
)
def test_a_target_with_more_than_one_reading_is_refused(target: str) -> None:
    with pytest.raises(SignatureRefused) as refused:
        target_uri(ORIGIN, target)
    assert (refused.value.why, refused.value.problem) == (Why.TARGET, "target-refused")
    with pytest.raises(SignatureRefused):
        signed(target=ORIGIN + target)


@pytest.mark.parametrize("target", ["/", "/v1/keys", "/v1/a..b", "/v1/.well-known", "/v1/x?a=1&b=../c?d"])
def test_a_plain_target_is_the_origin_and_the_target(target: str) -> None:
    assert target_uri(ORIGIN, target) == ORIGIN + target
    verify(signed(target=ORIGIN + target))


@pytest.mark.parametrize("origin", ["credit.example.cn", "https://Credit.example.cn", "https://a.cn/", ""])
def test_a_configured_origin_that_is_none_is_our_own_error(origin: str) -> None:
    with pytest.raises(ValueError, match="public origin"):
        target_uri(origin, "/v1/keys")


def test_refusals_say_nothing_of_the_request() -> None:
    request = signed(nonce=b64u(b"canary-canary-canary"))
    request.body = b'{"citizen_number":"110101199003070011"}'
    with pytest.raises(SignatureRefused) as refused:
        verify(request)
    assert str(refused.value) == "the request's signature is refused: digest"
