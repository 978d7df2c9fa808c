"""Writes `generated.json` anew: `python -m tests.vectors.webauthn.make`.

Everything is synthetic and made from fixed seeds; Ed25519 and our ES256 (RFC 6979) come out the same each
time. Each refused case differs from a valid one in the single thing that its name says; whatever can be
signed anew after the change is signed anew, by the right key, so that only that thing is wrong.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from consent.webauthn import kept_sha256, parse_kept
from keys.canonical import b64u, canonical, unb64u
from tests.passkeys import BE, BS, UP, UV
from tests.vectors.webauthn import cases, lies
from tests.vectors.webauthn.cases import PARTY, PHONE, TABLET, Case, made, own_challenge, passkey

HERE = Path(__file__).parent


def valid() -> list[Case]:
    """What must be accepted."""
    phone, tablet = passkey(PHONE), passkey(TABLET)
    other = {"other_keys_can_be_added_here": "do not compare clientDataJSON against a template"}
    spaced = json.dumps(
        {"origin": PARTY.origins[0], "type": "webauthn.get", "challenge": b64u(own_challenge(PHONE))},
        indent=2,
    )
    found = [
        made(f"{kind} signed with {soft.key.alg}", soft, kind)
        for soft in (phone, tablet)
        for kind in ("consent", "withdrawal")
    ]
    found += [
        made("at the second origin, with a port", replace(phone, origin=PARTY.origins[1])),
        made("a synced passkey: backup flags, no counter", replace(phone, flags=UP | UV | BE | BS)),
        made("a counter", replace(tablet, count=2**32 - 1)),
        made("unknown members in clientDataJSON", replace(phone, client_data=other)),
        made("crossOrigin absent", replace(tablet, client_data={"crossOrigin": None})),
        made("clientDataJSON in another layout", replace(phone, raw_client_data=spaced.encode())),
    ]
    high = made("ES256 with the other s", phone)
    r, s = decode_dss_signature(unb64u(high["proof"]["signature"]))
    return [*found, _resigned(high, encode_dss_signature(r, lies.P256_ORDER - s))]


def _resigned(case: Case, signature: bytes) -> Case:
    """A valid case with another valid signature, and so another hash."""
    case["proof"]["signature"] = b64u(signature)
    case["proof_sha256"] = kept_sha256(parse_kept(canonical(case["proof"])), canonical(case["document"]))
    return case


def main() -> None:
    """Write the file."""
    found = valid()
    for refusals in (
        lies.of_purpose,
        lies.of_client_data,
        lies.of_authenticator,
        lies.of_signature,
        lies.of_kept_set,
    ):
        found += refusals()
    about = "Assertions by a passkey in software: valid ones of every legal kind, others with one lie each."
    cases.write(HERE / "generated.json", about, found)


if __name__ == "__main__":
    main()
