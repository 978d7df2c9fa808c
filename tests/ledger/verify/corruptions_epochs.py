"""Named corruptions of keys that take turns: epochs, and versions of the blind index."""

from __future__ import annotations

from tests.ledger.verify.spoilers import Corruption, actor, again, body, both, insert, remove
from tests.ledger.verify.story import BY_TELLER

BOTH_GONE = both(remove("epoch-2-full"), remove("epoch-1-gone"))

EPOCHS = (
    Corruption("epoch_skipped", "epoch-next", "epoch", body("epoch", epoch=2)),
    Corruption("epoch_opened_twice", "epoch-next", "again", again("epoch-2", "again", "epoch-2")),
    Corruption("epoch_opened_before_the_last_was_full", "epoch-next", "epoch-3", BOTH_GONE),
    Corruption("old_epoch_full", "epoch-rewrapped", "epoch-2-full", body("epoch-2-full", epoch=1)),
    Corruption(
        "epoch_full_twice", "epoch-rewrapped", "again", again("epoch-2-full", "again", "epoch-2-full")
    ),
    Corruption("epoch_of_nobody_full", "epoch-rewrapped", "epoch-2-full", body("epoch-2-full", epoch=3)),
    Corruption("epoch_in_force_destroyed", "epoch-closed", "epoch-1-gone", body("epoch-1-gone", epoch=2)),
    Corruption(
        "epoch_destroyed_twice", "epoch-closed", "again", again("epoch-1-gone", "again", "epoch-1-gone")
    ),
    Corruption(
        "epoch_destroyed_too_early",
        "epoch-closed",
        "early",
        insert("epoch-2", "early", "key.epoch", {"epoch": 1, "event": "destroyed"}),
    ),
    Corruption("index_version_skipped", "index-next", "index-2", body("index-2", version=3)),
    Corruption("index_opened_twice", "index-next", "again", again("index-2", "again", "index-2")),
    Corruption(
        "index_complete_twice", "index-completed", "again", again("index-2-full", "again", "index-2-full")
    ),
    Corruption("old_index_complete", "index-completed", "index-2-full", body("index-2-full", version=1)),
    Corruption("index_in_force_destroyed", "index-closed", "index-1-gone", body("index-1-gone", version=2)),
    Corruption(
        "index_destroyed_twice", "index-closed", "again", again("index-1-gone", "again", "index-1-gone")
    ),
    Corruption("index_destroyed_too_early", "index-closed", "index-1-gone", remove("index-2-full")),
    Corruption("data_keys_replaced_by_a_teller", "actor-office", "data-keys", actor("data-keys", BY_TELLER)),
)
