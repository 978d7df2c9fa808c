"""Notices by short message: a provider's HTTP interface, POST {"to", "text", "id"} with a bearer token.

Invariant: the `id` is the same whenever a message is tried, in the body and as Idempotency-Key, so that a
provider sends it once. Only a 2xx counts as taken over; no redirect is followed, and of the answer only the
status is read. A provider with another interface is met by a small relay that speaks this one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx

from gateway.notices.senders import TIMEOUT_S, Later, Message, Never, Outcome, Sent
from gateway.postgresql import read_password
from keys.canonical import canonical

if TYPE_CHECKING:
    from gateway.settings import Settings

TRY_AGAIN: Final = frozenset({401, 403, 404, 408, 425, 429})
"""Client errors that are the settings', or of the moment; every other 4xx is the message's own."""


@dataclass(frozen=True, slots=True)
class HttpSms:
    """A provider of short messages."""

    url: str
    token_file: Path | None = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> HttpSms:
        """As the settings say."""
        return cls(settings.sms_url or "", settings.sms_token_file)

    def send(self, message: Message) -> Outcome:
        """Post one message."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": message.id}
        if self.token_file is not None:
            headers["Authorization"] = f"Bearer {read_password(self.token_file)}"
        body = canonical({"to": message.to, "text": message.text.short, "id": message.id})
        try:
            with (
                httpx.Client(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False) as http,
                http.stream("POST", self.url, content=body, headers=headers) as response,
            ):
                status = response.status_code
        except httpx.HTTPError:
            return Later("unreachable")
        if 200 <= status < 300:
            return Sent()
        final = 400 <= status < 500 and status not in TRY_AGAIN
        return Never(f"status-{status}") if final else Later(f"status-{status}")
