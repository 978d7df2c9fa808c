"""The third part of the story, of a person's keys: Ella's second is announced, her first compromised, a third
refused; at the counter a consent is withdrawn and the rest of her keys are revoked.
"""

from __future__ import annotations

from typing import Any

from keys.canonical import b64u, canonical, sha256_hex
from keys.instant import DAY, HOUR, format_instant
from keys.jws import sign_jws
from tests.ledger.verify.first_part import OVERSEER
from tests.ledger.verify.forge import ORIGIN, Draft, Ref, Source, Story
from tests.ledger.verify.people import BANK, NOTARY, TELLER, Citizen, Registrar, disclosed, query
from tests.ledger.verify.third_rotate import NEW_REGISTRAR

ELLA_NUMBER = "990001199001010021"
WAIT = 72 * HOUR
BY_NOTARY = {"registrar": NOTARY}
BY_TELLER = {"institution": BANK, "operator": TELLER}
BEFORE, AFTER = "sealing-ella", "sealing-ella-later"
_SOURCE = Source("ella's counter")


def ellas(seed: str, at: int, effective: int) -> Citizen:
    """Ella with one of her keys, certified at `at`."""
    made = Citizen(seed, "Ed25519", NEW_REGISTRAR, ELLA_NUMBER)
    document = made.certificate["document"]
    times = {"at": format_instant(at), "effective": format_instant(effective)}
    named = {name: document[name] for name in ("salt", "person")}
    made.certificate = NEW_REGISTRAR.certificate(made.key, **named, **times)
    return made


def order(
    kind: str, at: int, *, by: Registrar = NEW_REGISTRAR, number: str = ELLA_NUMBER, **members: Any
) -> dict[str, Any]:
    """Details of what two officers ordered; None leaves a member out."""
    salt, ids = _SOURCE.bytes(16), sorted(by.officers)
    said = {
        "type": f"chengxin/counter-{kind}/v1",
        "gateway": ORIGIN,
        "person": sha256_hex(salt + number.encode()),
        "salt": b64u(salt),
        "registrar": by.name,
        "officers": ids,
        "at": format_instant(at),
    } | members
    document = {name: value for name, value in said.items() if value is not None}
    signed = {
        "document": document,
        "signatures": [sign_jws(canonical(document), by.officers[one], "counter+jwt") for one in ids],
        "officers": [by.officer(one) for one in ids],
    }
    return {"order": signed, "citizen_number": number}


def revoked(signer: Citizen, ended: Citizen, cause: str, **changes: Any) -> dict[str, Any]:
    """Details of `subject.key_revoked`, signed by one of the person's keys."""
    document = {
        "type": "chengxin/key-revocation/v1",
        "gateway": ORIGIN,
        "key": ended.key.kid,
        "cause": cause,
        "subject": signer.key.kid,
        "nonce": signer.source.salt(),
    } | changes
    proof = sign_jws(canonical(document), signer.key, "key-revocation+jwt")
    return {"document": document, "proof": proof, "key": ended.key.kid, "commitment_salt": ended.salt}


def resumed(signer: Citizen, consent_id: str, suspension: Any, **changes: Any) -> dict[str, Any]:
    """Details of `consent.resumed`."""
    document = {
        "type": "chengxin/resumption/v1",
        "consent_id": consent_id,
        "gateway": ORIGIN,
        "subject": signer.key.kid,
        "suspension": suspension,
        "nonce": signer.source.salt(),
    } | changes
    return {"document": document, "proof": sign_jws(canonical(document), signer.key, "resumption+jwt")}


class Ella:
    """Her three keys, made for the time at which the story tells of them."""

    def __init__(self, start: int) -> None:
        self.first = ellas("ella", start, start)
        self.second = ellas("ella's second", start, start + WAIT)
        self.third = ellas("ella's third", start + WAIT, start + WAIT + WAIT)


def tell_of_citizens(story: Story) -> None:
    """Go on with a log that was not closed."""
    start = story.drafts[-1].at
    ella = Ella(start)
    _seal(story, BEFORE)
    _enrol(story, "ella-enrolled", ella.first, BEFORE)
    _enrol(story, "ella-second", ella.second, BEFORE)
    story.add("ella-reads-keys", "subject.read", {"what": "keys"}, who="ella")
    _grant(story, "ella-grant", ella.first, BEFORE)
    _grant(story, "ella-other-grant", ella.first, BEFORE)
    _seal(story, AFTER).at += WAIT
    _grant(story, "ella-second-grant", ella.second, AFTER)
    _enrol(story, "ella-third", ella.third, AFTER)
    _revoke(story, "ella-refuses", ella.third, "refused", revoked(ella.first, ella.third, "refused"))
    _revoke(
        story, "ella-compromised", ella.first, "compromised", revoked(ella.second, ella.first, "compromised")
    )
    for name in ("ella-grant", "ella-other-grant"):
        body = {"grant": Ref(name), "cause": "key-compromised", "key": Ref("ella-compromised")}
        story.add(f"{name}-suspended", "consent.suspended", body, who="ella")
    _act(story, "ella-resumed", "consent.resumed", {"grant": Ref("ella-grant"), "by": "citizen"}, {})
    sign_resumption(story)
    answer(story, "ella-answer", "ella-grant", 1)
    _counter(story, ella)


def sign_resumption(story: Story) -> None:
    """Sign it for the index at which its suspension stands, also after leaves were put in before."""
    second = ellas("ella's second", 0, 0)
    suspension = story.index("ella-grant-suspended")
    story["ella-resumed"].details = resumed(second, id_of(story, "ella-grant"), suspension)


def _counter(story: Story, ella: Ella) -> None:
    def now() -> int:
        return story.drafts[-1].at

    by = {"by": BY_NOTARY}
    _act(story, "ella-listed", "subject.read", {"what": "consents-at-counter"}, order("list", now()), **by)
    ordered = order("withdrawal", now(), consent_id=id_of(story, "ella-second-grant"))
    body = {"grant": Ref("ella-second-grant"), "by": "counter"}
    _act(story, "ella-withdrawn", "consent.withdrawn", body, ordered, **by)
    ordered = order("revocation", now(), cause="lost")
    named = {"key": ella.second.key.kid, "commitment_salt": ella.second.salt}
    body = {"commitment": ella.second.commitment, "cause": "lost", "by": "counter"}
    _act(story, "ella-lost", "subject.key_revoked", body, ordered | named, **by)


def answer(story: Story, name: str, grant: str, use: int) -> Draft:
    """An answered query of the bank under a grant of hers, sealed after the wait."""
    body, details = disclosed(story.source, query(story.source, id_of(story, grant)), use)
    body |= {"grant": Ref(grant)}
    return _act(story, name, "query.disclosed", body, details, by=BY_TELLER)


def id_of(story: Story, grant: str) -> str:
    """The consent's id."""
    details = story[grant].details
    assert details is not None
    return str(details["document"]["consent_id"])


def _seal(story: Story, name: str) -> Draft:
    return story.add(name, "key.sealing", story.sealing_body(name, [(OVERSEER.kid, OVERSEER.public)]))


def _enrol(story: Story, name: str, ella: Citizen, sealing: str) -> None:
    body, details = ella.enrolled()
    story.add(name, "subject.enrolled", body, who="ella", by=BY_NOTARY, details=details, sealing=sealing)


def _grant(story: Story, name: str, ella: Citizen, sealing: str) -> None:
    at = story.drafts[-1].at
    terms = {"not_before": format_instant(at), "not_after": format_instant(at + 30 * DAY)}
    body, details = ella.granted(**terms)
    story.add(name, "consent.granted", body, who="ella", details=details, sealing=sealing)


def _revoke(story: Story, name: str, ended: Citizen, cause: str, details: dict[str, Any]) -> None:
    body = {"commitment": ended.commitment, "cause": cause, "by": "citizen"}
    _act(story, name, "subject.key_revoked", body, details)


def _act(
    story: Story, name: str, kind: str, body: dict[str, Any], details: dict[str, Any], **members: Any
) -> Draft:
    return story.add(name, kind, body, who="ella", details=details, sealing=AFTER, **members)
