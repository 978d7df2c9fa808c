"""Bodies of queries: answered, refused, waiting for approval, turned away.

Invariant: an answer stands under exactly one basis, a grant or a statute; what it said is in no leaf.
"""

from __future__ import annotations

from ledger.bodies.base import Body
from ledger.members import (
    Answer,
    Categories,
    Code,
    Count,
    Hex32,
    Instant,
    OperatorId,
    Positive,
    PredicateName,
    Purpose,
    Uuid,
    check_instants,
    check_sorted,
)


class NamedStatute(Body, frozen=True):
    """A statute (法定查询) and the document that orders the query: `document` = SHA-256(salt || number)."""

    code: Code
    document: Hex32


class ApprovedStatute(NamedStatute, frozen=True):
    """The same once approved: by which other operator, and the index of its `query.pending`."""

    approver: OperatorId
    pending: Count


class Answered(Body, frozen=True):
    """What every answer says: under a grant with its use number from 1, or under a statute; never both."""

    query: Uuid
    purpose: Purpose
    categories: Categories
    commitment: Hex32
    request: Hex32
    grant: Count | None = None
    use: Positive | None = None
    statute: ApprovedStatute | None = None

    def __post_init__(self) -> None:
        """Categories are a set; one basis."""
        check_sorted(self.categories)
        if (self.grant is None) != (self.use is None) or (self.grant is None) == (self.statute is None):
            raise ValueError("an answer stands under a grant, with its use, or under a statute")


class QueryDisclosed(Answered, frozen=True):
    """`query.disclosed`: a report, released for delivery."""


class QueryPredicate(Answered, frozen=True, kw_only=True):
    """`query.predicate`: a yes or no, released for delivery. Which of them it was never stands in a leaf."""

    predicate: PredicateName


class QueryPending(Body, frozen=True):
    """`query.pending`: a statutory query waits for its approver.

    `deferred_until`, exclusive: until then the leaf's tag is a one-time one; `query.unsealed` joins it to its
    person.
    """

    query: Uuid
    statute: NamedStatute
    purpose: Purpose
    categories: Categories
    answer: Answer
    request: Hex32
    deferred_until: Instant | None = None

    def __post_init__(self) -> None:
        """Categories are a set; the time exists."""
        check_sorted(self.categories)
        check_instants(self.deferred_until)


class QueryRefused(Body, frozen=True):
    """`query.refused`; of a consent request too, whose id then stands in `query`.

    `pending`: index of the `query.pending` that ends so.
    """

    query: Uuid
    reason: Code
    purpose: Purpose
    pending: Count | None = None


class QueryThrottled(Body, frozen=True):
    """`query.throttled`: how many asks of one operator were turned away in the minute that began at `minute`.

    Nobody's tag: the persons asked about were not looked up.
    """

    operator: OperatorId
    minute: Instant
    count: Positive

    def __post_init__(self) -> None:
        """The time exists and begins a minute."""
        check_instants(self.minute)
        if not self.minute.endswith(":00.000Z"):
            raise ValueError("not the beginning of a minute")


class QueryRedelivered(Body, frozen=True):
    """`query.redelivered`: the answer of leaf `of` left again, to the institution that had asked."""

    of: Count


class QueryUndelivered(Body, frozen=True):
    """`query.undelivered`: the answer of leaf `of` did not leave."""

    of: Count


class QueryUnsealed(Body, frozen=True):
    """`query.unsealed`: the deferred `query.pending` of leaf `of`, and all under its tag, was about this one.

    About somebody unknown, the tag is a one-time one again.
    """

    of: Count
