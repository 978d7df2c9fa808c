"""The receiver's side of a webhook: whose an event is, whether it is whole, and whether it was seen before.

Invariant: an event is returned only if one signature by a pinned receipt key covers this method, this
address, this body, at about this time, for this use; anything else raises. Events come in the order of the
ledger, each again and again until it was acknowledged: `Inbox` tells the first time from the others.

    inbox = Inbox(after=last_seq_that_was_stored)
    event = verify_webhook("POST", public_url_of_this_receiver, request.headers, request.body, keys, now_ms)
    if inbox.is_new(event):
        store(event, inbox.after)       # both at once, or a crash in between loses one or doubles it
    return 204                          # whether new or not: it was received
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import msgspec

from gateway.client.errors import EvidenceFailed
from gateway.http.signature import TAG_WEBHOOK, Headers, SignatureRefused, parse_signature, verify_request
from keys.canonical import parse_canonical
from keys.errors import KeysError
from keys.signing import PublicKey

MAX_BODY = 65_536


class Event(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="chengxin/event/v1"
):
    """One event. `id` is log, institution and `seq`: the same whenever it is sent.

    `index` is the leaf that it tells of (for `expired` the grant's), absent from a test, whose `seq` is 0.
    """

    id: str
    log: str
    institution: str
    seq: int
    kind: str
    at: str
    index: int | None = None
    consent_id: str | None = None
    query_id: str | None = None


def verify_webhook(
    method: str, url: str, headers: Headers, body: bytes, keys: Collection[PublicKey], now_ms: int
) -> Event:
    """The event of a delivery to `url`, the address that was registered. Raises EvidenceFailed.

    `keys` are the gateway's receipt keys, pinned; while the gateway rotates, the old and the new one.
    `headers` are looked up without regard to case, or have lower-case names.
    """
    try:
        parsed = parse_signature(method, headers)
    except SignatureRefused as error:
        raise EvidenceFailed(f"the delivery is not signed as a webhook is: {error.why.value}") from error
    key = next((one for one in keys if one.kid == parsed.keyid), None)
    if key is None:
        raise EvidenceFailed("the delivery is signed by none of the pinned receipt keys")
    media, digest = headers.get("content-type"), headers.get("content-digest")
    try:
        verify_request(parsed, method, url, body, media, digest, key, TAG_WEBHOOK, now_ms)
    except SignatureRefused as error:
        raise EvidenceFailed(f"the delivery's signature does not verify: {error.why.value}") from error
    return _event(body)


def _event(body: bytes) -> Event:
    if len(body) > MAX_BODY:
        raise EvidenceFailed("a signed delivery is larger than any event")
    try:
        event = msgspec.convert(parse_canonical(body), Event)
    except (KeysError, msgspec.ValidationError) as error:
        raise EvidenceFailed("a signed delivery is no event of this release") from error
    if event.id != f"{event.log}/{event.institution}/{event.seq}":
        raise EvidenceFailed("an event's id is not of its own members")
    return event


@dataclass(slots=True)
class Inbox:
    """What one receiver has had of one institution's events: everything up to number `after`.

    None takes the first event that comes as the beginning.
    """

    after: int | None = None

    def is_new(self, event: Event) -> bool:
        """Whether the event comes for the first time; then it counts as had. A test never does.

        Raises EvidenceFailed when one in between is missing: the gateway sends each until it is acknowledged.
        """
        if event.seq < 1 or (self.after is not None and event.seq <= self.after):
            return False
        if self.after is not None and event.seq != self.after + 1:
            raise EvidenceFailed("an event is missing: ask for those in between with `GET /v1/events`")
        self.after = event.seq
        return True
