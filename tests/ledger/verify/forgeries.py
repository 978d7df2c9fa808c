"""Forged evidence: what can be made with every key of the gateway, but no citizen's and no registrar's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from keys.canonical import canonical
from keys.instant import DAY, format_instant
from keys.jws import sign_jws
from keys.signing import Jwk
from tests.ledger.verify.forge import START, Story
from tests.ledger.verify.people import (
    NOTARY,
    Citizen,
    certificate_hash,
    disclosed,
    grant_of,
    registrar,
    template,
)
from tests.ledger.verify.spoilers import Spoiler, body, both
from tests.ledger.verify.story import ANNA, BORIS, IMPOSTOR, REGISTRAR

GATEWAY = registrar("whatever the gateway's operator can make").key
ELSEWHERE = "other.example.cn/log0"


@dataclass(frozen=True)
class Pretender:
    """The operator's key under a citizen's name: the header says what it likes."""

    kid: str
    alg: str = "Ed25519"

    @property
    def jwk(self) -> Jwk:
        return GATEWAY.jwk

    def sign(self, message: bytes) -> bytes:
        return GATEWAY.sign(message)


def details(at: str, **members: Any) -> Spoiler:
    """Change members of sealed details."""

    def spoil(story: Story) -> None:
        story[at].details = (story[at].details or {}) | members

    return spoil


def anna_certified(certificate: dict[str, Any]) -> Spoiler:
    """Anna's enrolment and consents rest on another certificate, and the leaf names it."""
    digest = certificate_hash(certificate)
    grants = [details(name, certificate=certificate) for name in ("grant", "second-grant")]
    enrolled = details("anna-enrolled", certificate=certificate)
    return both(body("anna-enrolled", certificate_sha256=digest), enrolled, *grants)


def granted(document: dict[str, Any], key: Any = None, typ: str = "consent+jwt", **said: Any) -> Spoiler:
    """Anna's consent is this document, signed with `key`; the leaf says what it says but for `said`."""
    proof = sign_jws(canonical(document), key or ANNA.key, typ)
    content, held = grant_of(document, proof, ANNA)
    return both(body("grant", **(content | said)), details("grant", **held))


def edited(story: Story) -> None:
    """The bank's consent for a year, the proof of the month that was signed."""
    held = story["grant"].details or {}
    longer = held["document"] | {"not_after": format_instant(START + 90 * DAY)}
    content, made = grant_of(longer, held["proof"], ANNA)
    both(body("grant", **content), details("grant", **made))(story)


def document(**members: Any) -> dict[str, Any]:
    return template(ANNA.source, **({"subject": ANNA.key.kid} | members))


def one_person_two_officers() -> dict[str, Any]:
    key = REGISTRAR.officers["officer-a"]
    return replace(REGISTRAR, officers={"officer-a": key, "officer-b": key}).certificate(ANNA.key)


def one_officer_twice() -> dict[str, Any]:
    made = REGISTRAR.certificate(ANNA.key, officers=["officer-a", "officer-a"])
    return made | {"signatures": made["signatures"][:1] * 2, "officers": made["officers"][:1] * 2}


def citizen_plays_officer() -> dict[str, Any]:
    officers = REGISTRAR.officers | {"officer-b": ANNA.key}
    return replace(REGISTRAR, officers=officers).certificate(ANNA.key)


def shadow_of_anna(story: Story) -> None:
    """Anna's key enrols a second tag by another certificate for it: what is answered there she never sees."""
    draft = story.repeat("anna-enrolled", "shadow", "request")
    certificate = REGISTRAR.certificate(ANNA.key, assurance="eid")
    draft.who, draft.details = "shadow", (draft.details or {}) | {"certificate": certificate}
    draft.body |= {"certificate_sha256": certificate_hash(certificate), "assurance": "eid"}


def one_officer_alone() -> dict[str, Any]:
    made = REGISTRAR.certificate(ANNA.key)
    return made | {"signatures": made["signatures"][:1]}


def officer_of_yesterday() -> dict[str, Any]:
    made = REGISTRAR.certificate(ANNA.key)
    old = REGISTRAR.officer("officer-b", not_after=format_instant(START - 1))
    return made | {"officers": [made["officers"][0], old]}


def officer_of_another_registrar() -> dict[str, Any]:
    made = REGISTRAR.certificate(ANNA.key)
    other = REGISTRAR.officer("officer-b", registrar="sz-notary")
    return made | {"officers": [made["officers"][0], other]}


def signature_over_another_person() -> dict[str, Any]:
    made, other = REGISTRAR.certificate(ANNA.key), REGISTRAR.certificate(BORIS.key)
    return made | {"signatures": [made["signatures"][0], other["signatures"][1]]}


def own_registrar(story: Story) -> None:
    """The operator invents a registrar, with everything that belongs to one."""
    invented = registrar("invented", "sz-notary")
    published = {
        "use": "registrar",
        "kid": invented.key.kid,
        "public": invented.key.jwk,
        "holder": "sz-notary",
    }
    story.insert("registrar-key", "own-registrar", "key.published", published)
    victim = Citizen("victim", "Ed25519", invented)
    content, held = victim.enrolled("sz-notary")
    story.insert(
        "ingested",
        "victim-enrolled",
        "subject.enrolled",
        content,
        who="victim",
        by={"registrar": "sz-notary"},
        details=held,
    )


def registrars_name_taken(story: Story) -> None:
    """The true key is said to be lost, and the operator's published under the pinned registrar's name."""
    lost = {"use": "registrar", "kid": REGISTRAR.key.kid, "holder": NOTARY, "cause": "lost"}
    story.insert("registrar-key", "said-to-be-lost", "key.revoked", lost)
    published = {"use": "registrar", "kid": IMPOSTOR.key.kid, "public": IMPOSTOR.key.jwk, "holder": NOTARY}
    story.insert("said-to-be-lost", "false-key", "key.published", published)
    for name in ("registrar-rotated", "registrar-revoked"):
        story.remove(name)


def withdrawn(key: Any = None, **changes: Any) -> Spoiler:
    def spoil(story: Story) -> None:
        held = story["second-grant"].details or {}
        made = ANNA.withdrawn(held["document"]["consent_id"], **changes)
        if key is not None:
            made["proof"] = sign_jws(canonical(made["document"]), key, "withdrawal+jwt")
        story["withdrawn"].details = made

    return spoil


def asked(**changes: Any) -> Spoiler:
    """The sealed request differs from what the leaf says was answered; its hash is the leaf's."""

    def spoil(story: Story) -> None:
        held = story["answer-1"].details or {}
        content, made = disclosed(story.source, held["request"] | changes, 1)
        story["answer-1"].body |= {name: content[name] for name in ("commitment", "request")}
        story["answer-1"].details = made

    return spoil


def refused(**changes: Any) -> Spoiler:
    def spoil(story: Story) -> None:
        held = story["refused"].details or {}
        details("refused", request=held["request"] | changes)(story)

    return spoil


def revisions(story: Story) -> None:
    held = story["answer-1"].details or {}
    details("answer-1", revisions=list(reversed(held["revisions"])))(story)


def requested(**members: Any) -> Spoiler:
    return lambda story: details("request", document=template(story.source, **members))(story)


def blob(at: str, data: bytes | None) -> Spoiler:
    """Take a blob away, or put another in its place."""

    def spoil(story: Story) -> None:
        def change(directory: Any) -> None:
            path = directory / "sealed" / story.sealed_of[at]
            path.unlink()
            if data is not None:
                path.write_bytes(data)

        story.after_write.append(change)

    return spoil


def blob_of_another_leaf(story: Story) -> None:
    """The leaf names a blob that was sealed for another leaf: same key, another salt."""
    story["answer-2"].override["salt"] = story.source.salt()


def sealing_key_garbled(story: Story) -> None:
    copy = story["sealing"].body["sealed"][0]
    story["sealing"].body["sealed"] = [copy | {"sealed": "A" * 107}]
