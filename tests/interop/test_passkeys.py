"""Passkey proofs beside `webauthn` (Duo Labs): what we accept it accepts, what it refuses we refuse.

The other way round it need not be: a general library must take what a browser may send to anybody, and ours
takes what was made for one consent. Where it is looser is said here, name by name.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from webauthn import verify_authentication_response
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException

from consent.document import consent_hash
from keys.canonical import canonical, sha256, tagged_hash, unb64u

VECTORS = Path(__file__).parent.parent / "vectors" / "webauthn"

LOOSER = {
    # Ours alone: no extensions were asked for, and what is unknown is refused.
    "authenticatorData: a flag reserved for the future",
    "authenticatorData: another flag reserved for the future",
    "authenticatorData: an extension that nobody asked for",
    "authenticatorData: attested key data",
    # Ours alone: a consent is given to the gateway's own page, never inside another.
    "clientDataJSON: inside another page",
    "clientDataJSON: crossOrigin as text",
    "clientDataJSON: crossOrigin as a number",
    "clientDataJSON: with a topOrigin",
    # Ours alone: one reading of one text.
    "clientDataJSON: challenge twice, the right one last",
    "clientDataJSON: a padded challenge",
    "clientDataJSON: a challenge in plain base64",
    "clientDataJSON: a byte order mark",
    "clientDataJSON: not-a-number",
    "clientDataJSON: longer than anybody needs",
}


def cases(expect: str) -> list[Any]:
    return [
        pytest.param(case, id=f"{name}-{case['name']}".replace(" ", "-"))
        for name in ("generated", "recorded")
        for case in json.loads((VECTORS / f"{name}.json").read_text("utf-8"))["cases"]
        if case["expect"] == expect and not case["name"].startswith("kept set: ")
    ]


def cose(jwk: dict[str, str]) -> bytes:
    """A COSE_Key (RFC 9052, RFC 9053) by hand: the map of these few members in canonical CBOR."""

    def text(value: bytes) -> bytes:
        return b"\x58\x20" + value

    if jwk["kty"] == "OKP":
        return b"\xa4\x01\x01\x03\x27\x20\x06\x21" + text(unb64u(jwk["x"]))
    return b"\xa5\x01\x02\x03\x26\x20\x01\x21" + text(unb64u(jwk["x"])) + b"\x22" + text(unb64u(jwk["y"]))


def judge(case: dict[str, Any]) -> None:
    """What the library makes of it, told the challenge that this document and nonce must have."""
    proof, kind = case["proof"], case["kind"]
    signed = canonical(case["document"])
    hashed = tagged_hash(f"chengxin/{kind}/v1", signed)
    if kind == "consent":
        assert hashed == consent_hash(signed)
    verify_authentication_response(
        credential={
            "id": "AAAA",
            "rawId": "AAAA",
            "type": "public-key",
            "response": {
                "authenticatorData": proof["authenticator_data"],
                "clientDataJSON": proof["client_data_json"],
                "signature": proof["signature"],
            },
        },
        expected_challenge=sha256(
            f"chengxin/{kind}/v1/webauthn".encode() + b"\0" + unb64u(proof["server_nonce"]) + hashed
        ),
        expected_rp_id=proof["rp_id"],
        expected_origin=proof["origins"],
        credential_public_key=cose(case["public"]),
        credential_current_sign_count=0,
        require_user_verification=True,
    )


@pytest.mark.parametrize("case", cases("valid"))
def test_what_we_accept_the_library_accepts(case: dict[str, Any]) -> None:
    judge(case)


@pytest.mark.parametrize("case", [one for one in cases("refused") if one.values[0]["name"] not in LOOSER])
def test_what_we_refuse_the_library_refuses(case: dict[str, Any]) -> None:
    with pytest.raises((WebAuthnException, ValueError)):
        judge(case)


@pytest.mark.parametrize("case", [one for one in cases("refused") if one.values[0]["name"] in LOOSER])
def test_where_the_library_is_looser_it_still_is(case: dict[str, Any]) -> None:
    """Should this fail, the library has become stricter: take the name off the list."""
    judge(case)


def test_the_keys_are_of_the_algorithms_meant() -> None:
    assert (COSEAlgorithmIdentifier.ECDSA_SHA_256, COSEAlgorithmIdentifier.EDDSA) == (-7, -8)
