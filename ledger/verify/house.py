"""Rules of what the log says about itself: opening and closing, policies, keys.

Invariant: no details are sealed past a regulator (监管) who is registered, and no policy is in force that is
not published with the log.
"""

from __future__ import annotations

from keys.errors import KeysError
from keys.sealing import parse_x25519_jwk
from keys.signing import parse_public_jwk
from ledger.bodies import Body, KeyPublished, KeySealing, LogOpened, PolicyChanged
from ledger.entries import Leaf
from ledger.verify.chain import day
from ledger.verify.rules import Rule
from ledger.verify.state import PublishedKey, World


def _opened_origin(_: Leaf, body: LogOpened, world: World) -> str | None:
    return None if body.origin == world.origin else "the log was opened under another origin"


def _policy_published(leaf: Leaf, _: Body, world: World) -> str | None:
    found = world.find_policy(leaf.policy)
    return found if isinstance(found, str) else None


def _policy_replaces(_: Leaf, body: PolicyChanged, world: World) -> str | None:
    if body.replaces is None and body.policy == world.policy_hash:
        return None  # the announcement of the first one, which is in force from index 0
    return None if body.replaces == world.policy_hash else "the policy replaces one that was not in force"


def _key_once(_: Leaf, body: KeyPublished, world: World) -> str | None:
    return "the key was published before" if (body.use, body.kid) in world.keys else None


def _key_kind(_: Leaf, body: KeyPublished, __: World) -> str | None:
    try:
        if body.use in ("regulator", "encryption"):
            parse_x25519_jwk(body.public)
        elif parse_public_jwk(body.public).alg != "Ed25519" and body.use in ("checkpoint", "receipt"):
            return "the log's own keys are Ed25519"
    except KeysError:
        return "the key is not one for its use"
    return None


def _key_holder(_: Leaf, body: KeyPublished, world: World) -> str | None:
    """Answers are encrypted to who may get them, and to no regulator, who opens what is sealed."""
    if body.use in ("checkpoint", "receipt") and body.holder != world.origin:
        return "a key of the log's own is published in another's name"
    if body.use != "encryption":
        return None
    holder = world.institutions.get(body.holder)
    if holder is not None and holder.sector != "regulator":
        return None
    return "answers would be encrypted to somebody who gets none"


def _key_pinned(_: Leaf, body: KeyPublished, world: World) -> str | None:
    pinned = None if world.pins is None or body.use != "registrar" else world.pins.get(body.holder)
    if pinned is None or body.kid in {key.kid for key in pinned}:
        return None
    if body.kid in world.predecessors(body.holder):
        return None
    return "a pinned registrar's key is published as another than the pinned one"


def _sealing_once(_: Leaf, body: KeySealing, world: World) -> str | None:
    return "a sealing key of this id was announced before" if body.id in world.sealing_ids else None


def _sealing_regulators(_: Leaf, body: KeySealing, world: World) -> str | None:
    sealed_to = {copy.kid for copy in body.sealed}
    published = {
        kid: key.holder for (use, kid), key in world.keys.items() if use == "regulator" and key.ended is None
    }
    if not sealed_to <= published.keys():
        return "the sealing key went to a key that no regulator published, or that was revoked"
    if sealed_to != published.keys():
        return "the sealing key was kept from a regulator"
    if any(not _is_regulator(published[kid], world) for kid in sealed_to):
        return "the sealing key went to somebody who is not registered as a regulator"
    return None


def _is_regulator(holder: str, world: World) -> bool:
    institution = world.institutions.get(holder)
    return institution is not None and institution.sector == "regulator"


OPENED_ORIGIN = Rule("opened-origin", _opened_origin)
POLICY_PUBLISHED = Rule("policy-published", _policy_published)
POLICY_REPLACES = Rule("policy-replaces", _policy_replaces)
KEY_ONCE = Rule("key-once", _key_once)
KEY_KIND = Rule("key-kind", _key_kind)
KEY_HOLDER = Rule("key-holder", _key_holder)
KEY_PINNED = Rule("key-pinned", _key_pinned)
SEALING_ONCE = Rule("sealing-once", _sealing_once)
SEALING_REGULATORS = Rule("sealing-regulators", _sealing_regulators)


def apply_opened(leaf: Leaf, body: LogOpened, world: World) -> None:
    """`log.opened`."""
    world.previous = None if body.previous is None else body.previous.origin
    apply_policy(leaf, body, world)


def apply_policy(leaf: Leaf, _: Body, world: World) -> None:
    """`policy.changed`, and what `log.opened` has of it: the policy that the leaf carries is in force."""
    found = world.find_policy(leaf.policy)
    if world.policy.quotas:
        world.quotas_until = leaf.at
    if not isinstance(found, str):
        world.policy_hash, world.policy = leaf.policy, found


def apply_closed(_: Leaf, __: Body, world: World) -> None:
    """`log.closed`."""
    world.closed = True


def apply_published(leaf: Leaf, body: KeyPublished, world: World) -> None:
    """`key.published`."""
    public = tuple(sorted(body.public.items()))
    if body.use == "regulator":
        world.sealing.clear()  # none of them was sealed to the newcomer
    world.keys[body.use, body.kid] = PublishedKey(leaf.index, body.holder, public)


def apply_sealing(leaf: Leaf, body: KeySealing, world: World) -> None:
    """`key.sealing`."""
    world.sealing_ids.add(body.id)
    world.sealing[body.id] = day(leaf.at)
