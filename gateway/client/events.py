"""Events asked for: what the gateway would send to a webhook, a page at a time.

Invariant: a page is in order and without a gap after what was asked for; anything else raises.
"""

from __future__ import annotations

import msgspec

from gateway.client.errors import UnexpectedReply
from gateway.client.reply import Reply, json_object, read_as


class Told(msgspec.Struct, frozen=True):
    """One event of this institution: a consent's by `consent_id`, a correction's by its own `query_id`."""

    seq: int
    kind: str
    index: int
    at: str
    consent_id: str | None = None
    query_id: str | None = None


class _Page(msgspec.Struct, frozen=True, tag_field="type", tag="chengxin/events/v1"):
    events: tuple[Told, ...]
    next: int


def read_events(reply: Reply, after: int) -> tuple[Told, ...]:
    """The events of a reply to `GET /v1/events?after=`. Raises UnexpectedReply."""
    page = read_as(json_object(reply, 200), _Page)
    expected = range(after + 1, after + 1 + len(page.events))
    if [event.seq for event in page.events] != list(expected) or page.next != after + len(page.events):
        raise UnexpectedReply("the page of events has a gap, or is not the one that was asked for")
    return page.events
