"""Senders: who carries a notice to its citizen. One interface, one sender a channel, chosen by the settings.

Invariant: what a sender says of a message is a code, never an address or a text, so that it may stand in
logs. An address stands in the message that is handed over and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from gateway.notices.contacts import EMAIL, SMS
from gateway.notices.templates import Text

if TYPE_CHECKING:
    from gateway.settings import Settings

TIMEOUT_S: Final = 15.0


@dataclass(frozen=True, slots=True)
class Message:
    """One notice to be sent. `id` (32 hex digits) is the same however often it is tried; `at` in ms."""

    id: str
    to: str = field(repr=False)
    text: Text
    at: int


@dataclass(frozen=True, slots=True)
class Sent:
    """The message was taken over by who delivers it."""


@dataclass(frozen=True, slots=True)
class Later:
    """It was not, and may be if tried again: `why` is a code."""

    why: str


@dataclass(frozen=True, slots=True)
class Never:
    """It was refused for good: `why` is a code."""

    why: str


Outcome: TypeAlias = Sent | Later | Never


class Sender(Protocol):
    """Carries messages of one channel. A failure is an outcome; what it raises is a fault of ours."""

    def send(self, message: Message) -> Outcome:
        """Hand one message over, within `TIMEOUT_S` for each step of it."""
        ...


def channels_on(settings: Settings) -> frozenset[str]:
    """The channels on which anything is sent."""
    on = ((EMAIL, settings.notice_email), (SMS, settings.notice_sms))
    return frozenset(channel for channel, how in on if how != "none")


def senders_of(settings: Settings) -> dict[str, Sender]:
    """A sender for each channel that is on. Raises NotReady for a secret's file that cannot be used."""
    from gateway.notices.sms import HttpSms
    from gateway.notices.smtp import Smtp

    made: dict[str, Sender] = {}
    if settings.notice_email == "smtp":
        made[EMAIL] = Smtp.of(settings)
    if settings.notice_sms == "http":
        made[SMS] = HttpSms.of(settings)
    return made
