"""Named corruptions of erasures, of the cases that stop them, and of the copies of custody."""

from __future__ import annotations

from tests.ledger.verify.forge import Ref, Story
from tests.ledger.verify.spoilers import Corruption, actor, again, body, insert, person, remove
from tests.ledger.verify.story import BY_TELLER


def _another_salt(story: Story) -> None:
    details = story["case"].details
    assert details is not None
    details["salt"] = story.source.salt()


def _case_about_nobody(story: Story) -> None:
    """The scope is of the tag that the details name, but no leaf ever carried it."""
    from keys.canonical import sha256_hex, unb64u

    details = story["case"].details
    assert details is not None
    details["tag"] = story.source.salt()
    story["case"].body["scope"] = sha256_hex(unb64u(details["salt"]) + unb64u(details["tag"]))


ENDED = {"grant": Ref("erin-grant"), "by": "erasure"}

ERASURES = (
    Corruption(
        "read_after_erasure",
        "erased-silent",
        "read-on",
        insert("grant-ended", "read-on", "subject.read", {"what": "report"}, who="erin"),
    ),
    Corruption("rest_not_stated", "erased-restated", "erased-all", remove("restated-erased")),
    Corruption(
        "rest_stated_as_rotation",
        "erased-restated",
        "restated-erased",
        body("restated-erased", cause="rotation"),
    ),
    Corruption("one_too_many_stated", "restated-count", "restated-erased", body("restated-erased", count=3)),
    Corruption("one_too_few_stated", "restated-count", "restated-erased", body("restated-erased", count=1)),
    Corruption(
        "stated_for_no_erasure",
        "restated-cause",
        "again",
        again("restated-erased", "again", "restated-erased"),
    ),
    Corruption("erasure_twice", "erasure-once", "again", again("erased", "again", "restated-erased")),
    Corruption("more_erased_than_held", "erased-held", "erased", body("erased", count=4)),
    Corruption("records_outlive_the_link", "erased-whole", "erased-all", body("erased-all", count=1)),
    Corruption(
        "link_without_identity", "erased-whole", "erased-all", body("erased-all", classes=["current", "link"])
    ),
    Corruption(
        "identity_without_link", "erased-whole", "erased-all", body("erased-all", classes=["identity"])
    ),
    Corruption("erased_under_no_epoch", "erased-epoch", "erased", body("erased", epoch=2)),
    Corruption("erased_on_no_ground", "erased-ground", "erased", body("erased", authority="because")),
    Corruption("erased_by_a_teller", "actor-office", "erased", actor("erased", BY_TELLER)),
    Corruption(
        "ended_without_erasure",
        "withdrawn-erased",
        "early",
        insert("erin-grant", "early", "consent.withdrawn", ENDED, who="erin"),
    ),
    Corruption(
        "another_persons_consent_ended", "grant-subject", "grant-ended", person("grant-ended", "anna")
    ),
    Corruption("case_twice", "case-once", "again", again("case", "again", "case")),
    Corruption("case_closed_twice", "case-open", "again", again("case-closed", "again", "case-closed")),
    Corruption("case_closed_before_it_was_opened", "case-open", "case-closed", remove("case")),
    Corruption("copy_made_twice", "copy-once", "again", again("copy", "again", "copy")),
    Corruption("copy_destroyed_twice", "copy-kept", "again", again("copy-gone", "again", "copy-gone")),
    Corruption("copy_of_no_epoch", "copy-epochs", "copy", body("copy", epochs=[1, 2])),
    Corruption("copy_kept", "copies-attested", "epoch-1-gone", remove("copy-gone")),
)
"""What anybody sees."""

ERASURES_OPENED = (
    Corruption("erased_while_held", "case-holds", "erased", remove("case-closed")),
    Corruption("case_about_another", "case-scope", "case", _another_salt),
    Corruption("case_about_nobody", "case-scope", "case", _case_about_nobody),
)
"""What a regulator sees, who knows whom a case is about."""
