"""Each person's own chain among the leaves: the head from which their next leaf follows.

Invariant: what is no head is never taken for one. A leaf about that person cannot be appended then.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec
from sqlalchemy import bindparam, select

from ledger.exchange import Reading
from ledger.fixed import Call
from ledger.members import END_OF_COUNT
from ledger.merkle import HASH_SIZE
from ledger.rows import NO_HASH
from ledger.sets import both
from ledger.tables import ledger_subjects

_TAGS_PER_READ: Final = 10_000  # well under SQLite's 32,766 bound values
END_OF_LOG: Final = END_OF_COUNT - 1_000_000
"""No log and no person's chain that ends below grows beyond what a leaf can say in one transaction."""

_PEOPLE: Final = both(
    lambda among: select(ledger_subjects.c.tag, ledger_subjects.c.n, ledger_subjects.c.leaf_hash).where(
        ledger_subjects.c.shard == bindparam("of_shard"), among(ledger_subjects.c.tag, "tags")
    )
)


class PersonHead(msgspec.Struct, frozen=True):
    """The last leaf of a person's chain: its number among theirs, and its hash (32 bytes)."""

    n: int
    leaf_hash: bytes


NOBODY_YET: Final = PersonHead(0, NO_HASH)
BROKEN: Final = PersonHead(-1, NO_HASH)
"""Of a row that is no head: SQLite keeps whatever an intruder leaves in a column."""


def reading_chains(shard: int, tags: Iterable[bytes]) -> Reading[dict[bytes, PersonHead]]:
    """The heads of these persons' chains; a tag without a row is a new person's."""
    wanted = sorted(set(tags))
    chains = dict.fromkeys(wanted, NOBODY_YET)
    for first in range(0, len(wanted), _TAGS_PER_READ):
        found = yield Call(_PEOPLE, {"of_shard": shard, "tags": wanted[first : first + _TAGS_PER_READ]})
        for tag, n, last in found:
            sound = type(n) is int and 0 < n < END_OF_LOG and type(last) is bytes and len(last) == HASH_SIZE
            chains[tag] = PersonHead(n, last) if sound else BROKEN
    return chains
