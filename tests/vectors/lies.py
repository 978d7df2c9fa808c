"""The negative cases of the vectors: each changes one thing of a case that holds."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

from consent.receipt import RECEIPT_TYP
from keys.canonical import b64u, canonical, sha256_hex, unb64u
from keys.jws import sign_jws
from keys.signing import PrivateKey
from ledger.proof import Proof, format_proof

Case = dict[str, Any]


def _but(case: Case, name: str, **changes: Any) -> Case:
    """The case with another name, refused, and these members changed."""
    return copy.deepcopy(case) | {"name": name, "expect": "refused"} | changes


def _headers(case: Case, **changes: str | None) -> dict[str, str]:
    kept = dict(case["headers"])
    for name, value in changes.items():
        header = name.replace("_", "-").title()
        kept.pop(header, None)
        if value is not None:
            kept[header] = value
    return kept


def _input(case: Case, old: str, new: str) -> dict[str, str]:
    """Signature-Input with a piece replaced; the signature is then over something else, or nothing legal."""
    text = case["headers"]["Signature-Input"]
    assert old in text, old
    return _headers(case, signature_input=text.replace(old, new))


def of_signatures(post: Case, get: Case) -> list[Case]:
    """Requests that the gateway refuses, and its code for why."""
    body = json.loads(post["body"])
    other_body = canonical(body | {"purpose": "03"}).decode()
    nonce = post["headers"]["Signature-Input"].split('nonce="')[1].split('"')[0]
    signature = post["headers"]["Signature"]
    twice = f"{signature}, {signature.replace('sig1', 'sig2')}"
    second = post["headers"]["Signature-Input"]
    cases = [
        _but(post, "another body than was signed", why="digest", body=other_body),
        _but(post, "another method than was signed", why="signature", method="PUT"),
        _but(post, "another target than was signed", why="signature", target="/v1/consents"),
        _but(post, "an hour old", why="stale", now=post["now"] + 3_600_000),
        _but(post, "an hour ahead", why="stale", now=post["now"] - 3_600_000),
        _but(post, "no signature", why="not-signed", headers=_headers(post, signature=None)),
        _but(post, "no signature input", why="not-signed", headers=_headers(post, signature_input=None)),
        _but(post, "no digest", why="digest", headers=_headers(post, content_digest=None)),
        _but(
            post,
            "two signatures",
            why="second-signature",
            headers=_headers(
                post, signature=twice, signature_input=f"{second}, {second.replace('sig1', 'sig2')}"
            ),
        ),
        _but(post, "a component too few", why="components", headers=_input(post, ' "content-type"', "")),
        _but(
            post,
            "a component too many",
            why="components",
            headers=_input(post, '("@method"', '("@authority" "@method"'),
        ),
        _but(post, "without its algorithm", why="parameters", headers=_input(post, ';alg="ed25519"', "")),
        _but(post, "algorithm none", why="alg", headers=_input(post, 'alg="ed25519"', 'alg="none"')),
        _but(
            post,
            "an HMAC for an algorithm",
            why="alg",
            headers=_input(post, 'alg="ed25519"', 'alg="hmac-sha256"'),
        ),
        _but(
            post,
            "with an expiry that nobody asked for",
            why="parameters",
            headers=_input(post, ';tag="chengxin"', ';tag="chengxin";expires=2000000000'),
        ),
        _but(
            post,
            "made for another use",
            why="tag",
            headers=_input(post, 'tag="chengxin"', 'tag="chengxin-citizen"'),
        ),
        _but(post, "a nonce of eight bytes", why="nonce", headers=_input(post, nonce, b64u(bytes(8)))),
        _but(
            post,
            "another nonce than was signed",
            why="signature",
            headers=_input(post, nonce, b64u(bytes(16))),
        ),
        _but(
            post,
            "a signature of zeros",
            why="signature",
            headers=_headers(post, signature=f"sig1=:{base64.b64encode(bytes(64)).decode()}:"),
        ),
        _but(get, "a read with a body", why="components", body="{}"),
        _but(get, "a percent sign in the target", why="target", target=get["target"] + "%20"),
        _but(get, "a dot segment in the target", why="target", target="/v1/../v1/keys"),
    ]
    for case in cases:
        case.pop("signature_base")
    return cases


def of_consents(good: Case, citizen: PrivateKey, stranger: PrivateKey, withdrawal: str) -> list[Case]:
    """Proofs that do not hold over their document under the citizen's key."""
    document = good["document"]
    data = canonical(document)
    head, payload, signature = good["proof"].split(".")
    bare = b64u(canonical({"alg": "none", "kid": citizen.kid, "typ": "consent+jwt"}))
    jwk = b64u(
        canonical({"alg": "Ed25519", "jwk": dict(stranger.jwk), "kid": citizen.kid, "typ": "consent+jwt"})
    )
    tampered = bytearray(unb64u(signature))
    tampered[0] ^= 1
    kept = {name: value for name, value in good.items() if name not in ("consent_hash", "proof_sha256")}
    return [
        _but(
            kept,
            "a day longer than was signed",
            document=document | {"not_after": "2026-12-22T08:00:00.000Z"},
        ),
        _but(
            kept,
            "a category more than was signed",
            document=document | {"categories": ["judgment", "loan", "penalty"]},
        ),
        _but(
            kept, "another recipient than was signed", document=document | {"recipient": "911100006000373416"}
        ),
        _but(kept, "signed by a stranger", proof=sign_jws(data, stranger, "consent+jwt")),
        _but(kept, "signed as something else", proof=sign_jws(data, citizen, "receipt+jwt")),
        _but(kept, "a withdrawal in place of a consent", proof=withdrawal),
        _but(kept, "algorithm none", proof=f"{bare}.{payload}."),
        _but(kept, "a key in the header", proof=f"{jwk}.{payload}.{signature}"),
        _but(kept, "one bit of the signature turned", proof=f"{head}.{payload}.{b64u(bytes(tampered))}"),
        _but(kept, "padded base64", proof=f"{head}.{payload}.{signature}=="),
        _but(kept, "categories not sorted", document=document | {"categories": ["loan", "judgment"]}),
        _but(kept, "a member that is null", document=document | {"reason": None}),
        _but(kept, "a member that is unknown", document=document | {"onward": True}),
        _but(kept, "for another gateway", document=document | {"gateway": "credit.example.com/log0"}),
    ]


def of_receipts(good: list[Case], receipts: PrivateKey, stranger: PrivateKey) -> list[Case]:
    """Replies that a client must not believe."""
    answer, _, refusal = good
    payload = unb64u(answer["receipt"].split(".")[1])
    members = json.loads(payload)
    records = {"records": {"loan": []}}

    def signed(**changes: Any) -> str:
        return sign_jws(canonical(members | changes), receipts, RECEIPT_TYP)

    head, body, signature = answer["receipt"].split(".")
    return [
        _but(answer, "another answer than the receipt covers", answer=answer["answer"] | records),
        _but(answer, "the receipt of another query", query_id="7d8f1f1c-2a4b-4a5e-8f60-0b1c2d3e4f50"),
        _but(answer, "signed by a stranger", receipt=sign_jws(payload, stranger, RECEIPT_TYP)),
        _but(answer, "signed for another purpose", receipt=sign_jws(payload, receipts, "consent+jwt")),
        _but(answer, "of another log", receipt=signed(log="credit.example.com/log0")),
        _but(answer, "a refusal where an answer came", receipt=refusal["receipt"]),
        _but(
            answer,
            "without the hash of the answer",
            receipt=sign_jws(
                canonical({k: v for k, v in members.items() if k != "answer_sha256"}), receipts, RECEIPT_TYP
            ),
        ),
        _but(answer, "with a member that is unknown", receipt=signed(trust="me")),
        _but(answer, "not in canonical form", receipt=sign_jws(payload + b" ", receipts, RECEIPT_TYP)),
        _but(answer, "signature cut short", receipt=f"{head}.{body}.{signature[:-4]}"),
        _but(refusal, "another reason than the receipt has", reason="expired"),
        _but(refusal, "an answer's receipt where a refusal came", receipt=answer["receipt"]),
    ]


def of_proofs(good: Case, path: tuple[bytes, ...], note: bytes, forged: bytes) -> list[Case]:
    """Proofs that do not lead from this leaf to a checkpoint of the pinned key."""
    turned = (bytes([path[0][0] ^ 1]) + path[0][1:], *path[1:])

    def proof(index: int = 3, steps: tuple[bytes, ...] = path, checkpoint: bytes = note) -> str:
        return format_proof(Proof(index, steps, checkpoint)).decode()

    return [
        _but(good, "of another leaf", leaf_hash=sha256_hex(b"\x00another leaf")),
        _but(good, "at another index", proof=proof(index=2)),
        _but(good, "the index asked for is another", index=2),
        _but(good, "one bit of the path turned", proof=proof(steps=turned)),
        _but(good, "a path too short", proof=proof(steps=path[:-1])),
        _but(good, "a path too long", proof=proof(steps=(*path, bytes(32)))),
        _but(good, "a checkpoint by a stranger under the log's name", proof=proof(checkpoint=forged)),
        _but(good, "a larger tree than was signed", proof=good["proof"].replace("\n5\n", "\n6\n")),
        _but(good, "not a tlog-proof", proof=good["proof"].replace("tlog-proof@v1", "tlog-proof@v2")),
        _but(good, "no checkpoint at all", proof=good["proof"].split("\n\n")[0]),
    ]


def of_answers(good: Case, strangers: str) -> list[Case]:
    """Tokens that a bank must not take for an answer to it."""
    head, key, nonce, text, tag = good["jwe"].split(".")
    header = json.loads(unb64u(head))

    def token(name: str, **changes: Any) -> Case:
        altered = b64u(canonical(header | changes))
        return _but(good, name, jwe=f"{altered}.{key}.{nonce}.{text}.{tag}")

    def parts(name: str, key: str = key, text: str = text, tag: str = tag) -> Case:
        return _but(good, name, jwe=f"{head}.{key}.{nonce}.{text}.{tag}")

    turned = bytearray(unb64u(text))
    turned[0] ^= 1
    return [
        _but(good, "for another bank", jwe=strangers),
        parts("one bit of the text turned", text=b64u(bytes(turned))),
        parts("a tag cut short", tag=b64u(unb64u(tag)[:12])),
        parts("an encrypted key where there is none", key="AAAA"),
        token("another content encryption", enc="A128GCM"),
        token("another key agreement", alg="ECDH-ES+A256KW"),
        token("direct encryption", alg="dir"),
        token("compressed", zip="DEF"),
        token("a critical extension", crit=["exp"]),
        token("an ephemeral key of another curve", epk=header["epk"] | {"crv": "Ed25519"}),
        token("an ephemeral key of zeros", epk=header["epk"] | {"x": b64u(bytes(32))}),
        token("another key's name", kid="A" * 43),
    ]
