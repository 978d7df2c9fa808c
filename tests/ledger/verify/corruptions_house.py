"""Named corruptions of the chain, the log, its policies and keys, and of standing.

The log's operator could hash and sign each of them anew; replay alone finds it. A corruption names the rule
that must find it and the draft whose leaf must be reported.
"""

from __future__ import annotations

from typing import Any

from keys.canonical import canonical
from keys.instant import DAY, format_instant
from keys.signing import Ed25519PrivateKey, generate_key
from ledger.members import ZERO_HASH
from tests.ledger.verify.forge import ORIGIN, START, Draft, Story
from tests.ledger.verify.people import (
    ADMIN,
    BANK,
    CLERK,
    OTHER_TELLER,
    REGULATOR,
    RIVAL,
    TELLER,
)
from tests.ledger.verify.policies import policy
from tests.ledger.verify.spoilers import (
    Corruption,
    Spoiler,
    actor,
    again,
    body,
    insert,
    later,
    override,
    remove,
)
from tests.ledger.verify.story import (
    BY_ADMIN,
    BY_TELLER,
    OVERSEER,
    SPY,
)


def _earlier(story: Story) -> None:
    story["read"].at = story["answer-3"].at - 1


def _suspend(party: str, **members: Any) -> Draft:
    if party == "teller":
        content = {"operator": TELLER, "institution": BANK, "reason": "fraud"}
        return Draft("suspension", "operator.suspended", content | members, 0)
    content = {"institution": BANK, "reason": "fraud"}
    return Draft("suspension", "institution.suspended", content | members, 0)


def _suspended_before(party: str, place: str, **members: Any) -> Spoiler:
    return lambda story: story.insert_after(place, _suspend(party, **members))


def _own_regulator(story: Story) -> None:
    """The operator slips a key of their own among the regulators: sealed to both."""
    both_keys = [(OVERSEER.kid, OVERSEER.public), (SPY.kid, SPY.public)]
    story["sealing"].body = story.sealing_body("sealing", both_keys)


def _regulator_left_out(story: Story) -> None:
    """A second regulator's key stands in the log, but the sealing key is not for them."""
    content = {"use": "regulator", "kid": SPY.kid, "public": SPY.jwk, "holder": REGULATOR}
    story.insert("regulator-key", "second-regulator", "key.published", content)


def _no_regulator(story: Story) -> None:
    """A published key whose holder nobody registered as a regulator."""
    story["regulator-key"].body["holder"] = RIVAL


def _policy_kept_back(story: Story) -> None:
    del story.policies[story.first_policy]


def _policy_edited(story: Story) -> None:
    digest = story["stricter"].body["policy"]
    story.policies[digest] = canonical(policy(demo=True))


def _policy_is_none(story: Story) -> None:
    story["stricter"].body["policy"] = story.publish_policy({"type": "chengxin/policy/v2"})


def _policy_incomplete(story: Story) -> None:
    digest = story.publish_policy({"type": "chengxin/policy/v1", "demo": False})
    story["stricter"].body["policy"] = digest


def _checkpoint_key(story: Story) -> None:
    key = Ed25519PrivateKey(story.source.bytes(32))
    story["checkpoint-key"].body |= {"kid": key.kid, "public": key.jwk}
    for name in ("checkpoint-rotated", "checkpoint-revoked"):
        story.remove(name)
    story.rotated.clear()


def _regulator_signs(story: Story) -> None:
    """A signing key published as one to seal to."""
    key = Ed25519PrivateKey(story.source.bytes(32))
    story["regulator-key"].body |= {"kid": key.kid, "public": key.jwk}


def _receipts_es256(story: Story) -> None:
    key = generate_key("ES256", story.source.bytes)
    story["receipt-key"].body |= {"kid": key.kid, "public": key.jwk}


def _not_json(story: Story) -> None:
    story["read"].raw = lambda data: data[:-1]


def _spaced(story: Story) -> None:
    story["read"].raw = lambda data: data.replace(b'":', b'": ', 1)


def _by(operator: str) -> Spoiler:
    """Somebody else of (or not of) the bank gives the first answer."""
    return actor("answer-1", {"institution": BANK, "operator": operator})


def _renumbered(story: Story, at: str, **members: Any) -> None:
    story[at].override["subject"] = members


def _late(story: Story) -> None:
    """Reinstating the teller, whose suspension had lapsed without a leaf."""
    content = {"operator": TELLER, "institution": BANK, "reason": "cleared"}
    story.insert("answer-3", "late", "operator.reinstated", content)


def _joined_later(story: Story) -> None:
    """A second regulator joins in the middle, and details go on under the key that they never got."""
    content = {"use": "regulator", "kid": SPY.kid, "public": SPY.jwk, "holder": REGULATOR}
    story.insert("read", "joined", "key.published", content)


SUSPENDED = {"institution": RIVAL, "reason": "rivalry"}


HOUSE = (
    # --- the chain
    Corruption("leaf_of_another_log", "log-origin", "read", override("read", log="other.example.cn/log0")),
    Corruption("index_skipped", "index", "read", override("read", index=99)),
    Corruption("chain_restarted", "prev", "read", override("read", prev=ZERO_HASH)),
    Corruption("clock_set_back", "time", "read", _earlier),
    Corruption(
        "log_opened_twice",
        "opened-first",
        "reopened",
        insert("court", "reopened", "log.opened", {"origin": ORIGIN}),
    ),
    Corruption("log_never_opened", "opened-first", "policy", remove("opened")),
    Corruption(
        "answers_after_the_log_closed",
        "closed-last",
        "use-1",
        insert("bank-back", "closed", "log.closed", {"reason": "moved"}),
    ),
    Corruption(
        "access_left_out_of_the_persons_chain",
        "subject-number",
        "answer-2",
        lambda story: _renumbered(story, "answer-2", n=9),
    ),
    Corruption(
        "person_given_another_past",
        "subject-prev",
        "answer-2",
        lambda story: _renumbered(story, "answer-2", prev=ZERO_HASH),
    ),
    Corruption(
        "leaf_under_a_policy_of_before",
        "policy-in-force",
        "last-grant",
        lambda story: story["last-grant"].override.update(policy=story.first_policy),
    ),
    Corruption(
        "details_under_a_key_nobody_announced",
        "sealing-announced",
        "anna-enrolled",
        remove("sealing"),
    ),
    Corruption("sealed_under_the_key_of_yesterday", "sealing-current", "use-3", later("use-3", DAY)),
    Corruption("sealed_past_a_regulator_who_joined", "sealing-current", "withdrawn", _joined_later),
    Corruption("leaf_of_an_unknown_type", "leaf", "read", override("read", type="subject.forgotten")),
    Corruption("member_smuggled_into_a_body", "leaf", "read", body("read", reader="somebody")),
    Corruption("leaf_not_canonical", "leaf", "read", _spaced),
    Corruption("leaf_not_json", "leaf", "read", _not_json),
    Corruption("withdrawal_by_the_bank", "leaf", "withdrawn", actor("withdrawn", BY_TELLER)),
    # --- log, policies, keys
    Corruption(
        "log_opened_for_another_origin",
        "opened-origin",
        "opened",
        body("opened", origin="other.example.cn/log0"),
    ),
    Corruption("policy_kept_back", "policy-published", "opened", _policy_kept_back),
    Corruption("policy_file_edited", "policy-published", "stricter", _policy_edited),
    Corruption("policy_of_an_unknown_type", "policy-published", "stricter", _policy_is_none),
    Corruption("policy_without_purposes", "policy-published", "stricter", _policy_incomplete),
    Corruption(
        "policy_replaces_one_never_in_force",
        "policy-replaces",
        "stricter",
        body("stricter", replaces="3" * 64),
    ),
    Corruption("policy_replaced_silently", "policy-replaces", "stricter", body("stricter", replaces=None)),
    Corruption("key_published_twice", "key-once", "again", again("registrar-key", "again")),
    Corruption("regulators_key_that_signs", "key-kind", "regulator-key", _regulator_signs),
    Corruption("receipts_with_es256", "key-kind", "receipt-key", _receipts_es256),
    Corruption("another_checkpoint_key", "key-checkpoint", "checkpoint-key", _checkpoint_key),
    Corruption("sealing_key_twice", "sealing-once", "resealed", again("sealing", "resealed")),
    Corruption("sealed_to_a_key_of_the_operators", "sealing-regulators", "sealing", _own_regulator),
    Corruption("sealed_past_a_regulator", "sealing-regulators", "sealing", _regulator_left_out),
    Corruption("sealed_to_a_bank", "sealing-regulators", "sealing", _no_regulator),
    # --- institutions and operators
    Corruption("unregistered_operator_answers", "actor-known", "answer-1", _by(CLERK[:3] + "9" * 16)),
    Corruption("operator_acts_for_another_bank", "actor-known", "answer-1", _by(OTHER_TELLER)),
    Corruption(
        "suspended_operator_answers",
        "actor-standing",
        "answer-2",
        _suspended_before("teller", "answer-1"),
    ),
    Corruption(
        "suspended_institution_answers",
        "actor-standing",
        "answer-2",
        _suspended_before("bank", "answer-1"),
    ),
    Corruption(
        "answer_before_the_suspension_lapsed",
        "actor-standing",
        "answer-3",
        body("teller-suspended", until=format_instant(START + DAY)),
    ),
    Corruption("institution_never_reinstated", "actor-standing", "use-1", remove("bank-back")),
    Corruption("administrator_queries", "actor-queries", "answer-1", _by(ADMIN)),
    Corruption("bank_without_the_role_queries", "actor-queries", "request", body("bank", roles=["admin"])),
    Corruption(
        "teller_suspends_a_rival",
        "actor-office",
        "rivalry",
        insert("ingested", "rivalry", "institution.suspended", SUSPENDED, by=BY_TELLER),
    ),
    Corruption(
        "administrator_suspends_a_rival",
        "actor-office",
        "rivalry",
        insert("ingested", "rivalry", "institution.suspended", SUSPENDED, by=BY_ADMIN),
    ),
    Corruption("bank_changes_the_policy", "actor-office", "stricter", actor("stricter", BY_ADMIN)),
    Corruption("institution_registered_twice", "institution-once", "twin", again("bank", "twin")),
    Corruption("operator_registered_twice", "operator-once", "twin", again("teller", "twin")),
    Corruption("operator_of_no_institution", "institution-known", "other-teller", remove("rival")),
    Corruption(
        "operator_suspended_elsewhere",
        "operator-known",
        "clerk-suspended",
        body("clerk-suspended", institution=RIVAL),
    ),
    Corruption("suspended_twice", "standing-active", "twice", again("bank-suspended", "twice")),
    Corruption("reinstated_from_nothing", "standing-suspended", "clerk-back", remove("clerk-suspended")),
    Corruption("reinstated_after_the_lapse", "standing-suspended", "late", _late),
    Corruption(
        "suspension_over_before_it_began",
        "until-later",
        "bank-suspended",
        body("bank-suspended", until=format_instant(START)),
    ),
)
