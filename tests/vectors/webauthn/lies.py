"""What the refused cases get wrong: one thing each, well signed where a signature can follow the lie."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from keys.canonical import b64u, sha256, tagged_hash, unb64u
from tests.passkeys import AT, ED, UP, UV, SoftPasskey, wrapped
from tests.vectors.webauthn import cases
from tests.vectors.webauthn.cases import (
    NONCE,
    PARTY,
    PHONE,
    STRANGER,
    TABLET,
    Case,
    made,
    own_challenge,
    passkey,
)

SIGN_IN = "chengxin/sign-in/v1/webauthn"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

Bend = Callable[[Case], Any]


def refused(case: Case, name: str, bend: Bend | None = None) -> Case:
    """The case under another name, as one that must be refused; `bend` changes the copy."""
    bent: Case = json.loads(json.dumps(case)) | {"name": name, "expect": "refused"}
    del bent["challenge"], bent["proof_sha256"]
    if bend is not None:
        bend(bent)
    return bent


def of_purpose() -> list[Case]:
    """The challenge is of something else."""
    phone = passkey(PHONE)
    consent, withdrawal = made("consent", phone), made("withdrawal", phone, "withdrawal")
    document = cases.document("consent", PHONE.kid)
    hashed = tagged_hash("chengxin/consent/v1", document)

    def other_kind(case: Case) -> None:
        case["kind"], case["document"] = "withdrawal", withdrawal["document"]

    found = [
        refused(made("", phone, challenge=challenge), name)
        for name, challenge in (
            ("a sign-in with the same nonce", tagged_hash(SIGN_IN, NONCE)),
            ("a sign-in over the same document", tagged_hash(SIGN_IN, NONCE + hashed)),
            ("the tag of a withdrawal", tagged_hash("chengxin/withdrawal/v1/webauthn", NONCE + hashed)),
            ("the nonce alone", NONCE),
            ("the document's hash alone", hashed),
            ("hash before nonce", tagged_hash("chengxin/consent/v1/webauthn", hashed + NONCE)),
            (
                "the document's untagged hash",
                tagged_hash("chengxin/consent/v1/webauthn", NONCE + sha256(document)),
            ),
        )
    ]
    return [
        *found,
        refused(consent, "a consent's assertion under a withdrawal", other_kind),
        refused(consent, "another document", lambda case: case["document"].update(max_uses=4)),
        refused(
            consent,
            "another nonce",
            lambda case: case["proof"].update(server_nonce=b64u(cases.seeded("other", 32))),
        ),
    ]


def of_client_data() -> list[Case]:
    """clientDataJSON says something else, well signed."""
    phone = passkey(PHONE)
    challenge = b64u(own_challenge(PHONE))
    plain = f'{{"type":"webauthn.get","challenge":"{challenge}","origin":"{PARTY.origins[0]}"'
    members: dict[str, dict[str, Any]] = {
        "type of a registration": {"type": "webauthn.create"},
        "no type": {"type": None},
        "no challenge": {"challenge": None},
        "a padded challenge": {"challenge": challenge + "="},
        "a challenge in plain base64": {"challenge": challenge.replace("-", "+").replace("_", "/")},
        "no origin": {"origin": None},
        "another origin": {"origin": "https://bank.example.cn"},
        "an origin that only begins alike": {"origin": PARTY.origins[0] + ".example.com"},
        "an origin with a slash": {"origin": PARTY.origins[0] + "/"},
        "an origin in capitals": {"origin": PARTY.origins[0].upper()},
        "an origin over plain http": {"origin": "http://credit.example.cn"},
        "an origin on another port": {"origin": PARTY.origins[0] + ":8443"},
        "an unlisted origin under the RP ID": {"origin": "https://other.credit.example.cn"},
        "a list of origins": {"origin": list(PARTY.origins)},
        "inside another page": {"crossOrigin": True},
        "crossOrigin as text": {"crossOrigin": "false"},
        "crossOrigin as a number": {"crossOrigin": 0},
        "with a topOrigin": {"topOrigin": PARTY.origins[0]},
    }
    texts = {
        "challenge twice, the right one last": f'{{"challenge":"AA",{plain[1:]}}}',
        "challenge twice, the right one first": f'{plain},"challenge":"AA"}}',
        "type twice under an escape": f'{plain},"t\\u0079pe":"webauthn.create"}}',
        "a byte order mark": f"\ufeff{plain}}}",
        "cut off": plain,
        "text after it": f"{plain}}}{{}}",
        "an array": f"[{plain}}}]",
        "not-a-number": f'{plain},"x":NaN}}',
        "longer than anybody needs": f'{plain},"x":"{"x" * 4_096}"}}',
    }
    found = [
        (name, replace(phone, client_data=changes))
        for name, changes in members.items()
        if changes.get("challenge") != challenge
    ]
    found += [(name, replace(phone, raw_client_data=text.encode())) for name, text in texts.items()]
    found.append(("not UTF-8", replace(phone, raw_client_data=plain.encode() + b',"x":"\xff"}')))
    return [_sent(f"clientDataJSON: {name}", soft) for name, soft in found]


def _sent(name: str, soft: SoftPasskey) -> Case:
    """A refused case whose parts may be out of form, so that no kept set can be made of them here."""
    case = refused(made("", passkey(soft.key)), name)
    got = soft(own_challenge(soft.key), PARTY.rp_id)
    case["proof"].update(
        authenticator_data=b64u(got.authenticator_data),
        client_data_json=b64u(got.client_data_json),
        signature=b64u(got.signature),
    )
    return case


def of_authenticator() -> list[Case]:
    """Authenticator data says something else, well signed."""
    phone, tablet = passkey(PHONE), passkey(TABLET)
    attested = bytes(16) + b"\x00\x10" + bytes(16) + b"\xa0"
    changes = {
        "another relying party": replace(phone, rp_id="example.cn"),
        "the RP ID with a dot": replace(phone, rp_id="credit.example.cn."),
        "nobody present": replace(phone, flags=UV),
        "nobody verified": replace(phone, flags=UP),
        "nobody verified, Ed25519": replace(tablet, flags=UP),
        "neither": replace(phone, flags=0),
        "a flag reserved for the future": replace(phone, flags=UP | UV | 0x02),
        "another flag reserved for the future": replace(phone, flags=UP | UV | 0x20),
        "attested key data": replace(phone, flags=UP | UV | AT, tail=attested),
        "the flag of attested key data without it": replace(phone, flags=UP | UV | AT),
        "an extension that nobody asked for": replace(phone, flags=UP | UV | ED, tail=b"\xa1\x63uvm\xf5"),
        "the flag of extensions without any": replace(phone, flags=UP | UV | ED),
        "extension data without its flag": replace(phone, tail=b"\xa0"),
        "a byte too many": replace(tablet, tail=b"\x00"),
    }
    short = refused(made("", phone), "authenticatorData: a byte too few")
    data = unb64u(short["proof"]["authenticator_data"])[:-1]
    client_data = unb64u(short["proof"]["client_data_json"])
    short["proof"].update(
        authenticator_data=b64u(data), signature=b64u(wrapped(PHONE, data + sha256(client_data)))
    )
    return [*(_sent(f"authenticatorData: {name}", soft) for name, soft in changes.items()), short]


def of_signature() -> list[Case]:
    """The signature is not this key's over this assertion, or not in its one form."""
    phone, tablet = made("", passkey(PHONE)), made("", passkey(TABLET))
    raw = unb64u(phone["proof"]["signature"])
    r, s = decode_dss_signature(raw)
    high = max(s, P256_ORDER - s)
    assert high >> 255
    edwards = unb64u(tablet["proof"]["signature"])
    order = 2**252 + 27742317777372353535851937790883648493
    larger = (int.from_bytes(edwards[32:], "little") + order).to_bytes(32, "little")
    es256 = {
        "one bit of it": raw[:-1] + bytes([raw[-1] ^ 1]),
        "raw, not DER": r.to_bytes(32, "big") + s.to_bytes(32, "big"),
        "a byte after it": raw + b"\x00",
        "a long form of the length": b"\x30\x81" + raw[1:],
        "an integer with a zero too many": _der(b"\x00" + _minimal(r), _minimal(s)),
        "s without its sign byte": _der(_minimal(r), high.to_bytes(32, "big")),
        "r of zero": encode_dss_signature(0, s),
        "s of zero": encode_dss_signature(r, 0),
        "s plus the order of the group": encode_dss_signature(r, s + P256_ORDER),
        "three integers": b"\x30" + bytes([len(raw) - 2 + 3]) + raw[2:] + b"\x02\x01\x01",
        "over clientDataJSON unhashed": _over(phone, lambda data, client: data + client),
        "over clientDataJSON alone": _over(phone, lambda _, client: sha256(client)),
        "over authenticatorData alone": _over(phone, lambda data, _: data),
        "by another key": wrapped(
            STRANGER,
            unb64u(phone["proof"]["authenticator_data"]) + sha256(unb64u(phone["proof"]["client_data_json"])),
        ),
    }
    ed25519 = {
        "one bit of it": edwards[:-1] + bytes([edwards[-1] ^ 1]),
        "a byte too few": edwards[:-1],
        "a byte too many": edwards + b"\x00",
        "S plus the order of the group": edwards[:32] + larger,
        "in DER": encode_dss_signature(
            int.from_bytes(edwards[:32], "big"), int.from_bytes(edwards[32:], "big")
        ),
    }

    def bent(case: Case, alg: str, name: str, signature: bytes) -> Case:
        def bend(changed: Case) -> None:
            changed["proof"]["signature"] = b64u(signature)

        return refused(case, f"{alg} signature: {name}", bend)

    return [
        *(bent(phone, "ES256", name, signature) for name, signature in es256.items()),
        *(bent(tablet, "Ed25519", name, signature) for name, signature in ed25519.items()),
    ]


def _over(case: Case, message: Callable[[bytes, bytes], bytes]) -> bytes:
    data, client = (unb64u(case["proof"][name]) for name in ("authenticator_data", "client_data_json"))
    return wrapped(PHONE, message(data, client))


def _minimal(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big")


def _der(r: bytes, s: bytes) -> bytes:
    body = b"".join(b"\x02" + bytes([len(part)]) + part for part in (r, s))
    return b"\x30" + bytes([len(body)]) + body


def of_kept_set() -> list[Case]:
    """The kept set is not what any gateway would keep, or is another key's."""
    phone = made("", passkey(PHONE))
    stranger = dict(STRANGER.jwk)
    short, padded = b64u(NONCE[:31]), phone["proof"]["signature"] + "="
    elsewhere = {"rp_id": "example.com", "origins": ["https://example.com"]}
    changes: dict[str, dict[str, Any]] = {
        "another key in it": {"jwk": stranger},
        "a private key in it": {"jwk": phone["proof"]["jwk"] | {"d": b64u(bytes(31) + b"\x01")}},
        "another relying party in it": elsewhere,
        "no origins": {"origins": []},
        "origins out of order": {"origins": list(reversed(PARTY.origins))},
        "an origin twice": {"origins": [PARTY.origins[0]] * 2},
        "an origin outside the RP ID": {"origins": [PARTY.origins[0], "https://example.com"]},
        "an origin that only ends alike": {"origins": ["https://evilcredit.example.cn", PARTY.origins[0]]},
        "an origin over plain http": {"origins": ["http://credit.example.cn", PARTY.origins[0]]},
        "an RP ID in capitals": {"rp_id": "Credit.example.cn"},
        "a nonce of 31 bytes": {"server_nonce": short},
        "padded base64url": {"signature": padded},
        "another type": {"type": "webauthn"},
        "an unknown member": {"sign_count": 1},
    }
    found = [
        refused(phone, f"kept set: {name}", lambda case, changed=changed: case["proof"].update(changed))
        for name, changed in changes.items()
    ]
    found.append(refused(phone, "kept set: a member missing", lambda case: case["proof"].pop("rp_id")))
    other = refused(phone, "another person's key", lambda case: case.update(public=stranger))
    theirs = refused(phone, "another person's key throughout", lambda case: case.update(public=stranger))
    theirs["proof"]["jwk"] = stranger
    return [*found, other, theirs]
