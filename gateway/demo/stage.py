"""What every act of the story shares: the home, the running gateway, the people, and how it is told.

Invariant: an outcome that the story does not expect stops it at once, so that nothing is told that did not
happen.
"""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from gateway.client import BankClient, CitizenClient, Pins, Refused, Wallet
from gateway.config import Settings
from gateway.demo.database import Kept
from gateway.demo.failure import DemoFailed
from gateway.demo.home import Home, Shelf
from gateway.demo.narrator import Narrator
from gateway.demo.parties import COURT, PARTIES, Cast, Citizen, Name
from gateway.house import House
from gateway.http.problems import problem

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Life:
    """What one told consent leaves: consents by id, entries by index, perhaps an older database."""

    shelf: Shelf
    consent: str
    granted_at: int
    answered_at: int
    refused_at: int
    withdrawn_at: int
    live_consent: str
    before_withdrawal: Kept | None = None


@dataclass(slots=True)
class Stage:
    """The story's surroundings. `house` stands beside the running server, as a command's would.

    `citizens` are enrolled, `lives` were told; both grow as the story goes on.
    """

    tell: Narrator
    home: Home
    settings: Settings
    house: House
    cast: Cast
    pins: Pins
    wallet: Wallet
    citizens: list[Citizen] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)

    def bank(self) -> BankClient:
        """The bank's client."""
        return BankClient(self.settings.public_url, self.cast.operator, self.pins.vkey, self.pins.receipt_key)

    def citizen(self, who: Citizen) -> CitizenClient:
        """A citizen's client, with the key that only they hold."""
        return CitizenClient(self.settings.public_url, who.key, self.pins.vkey, self.pins.receipt_key)

    def name(self, party: Name) -> str:
        """An institution's name in the story's language."""
        return self.tell.pick(party.en, party.zh)

    def institution(self, uscc: str | None, registered: str | None) -> str:
        """An institution's name in the story's language; as it is registered, when the story has none."""
        known = next((party for party in (*PARTIES, COURT) if party.uscc == uscc), None)
        return registered or uscc or "" if known is None else self.name(known)

    def purpose(self, code: str) -> str:
        """A purpose's title in the story's language; a statute's own purpose is called as the statute is."""
        policy = self.house.policy
        of_statute = (statute for statute in policy.statutes if statute.purpose == code)
        found = policy.purpose(code) or next(of_statute, None)
        return code if found is None else self.tell.pick(found.en, found.zh)

    def statute(self, code: str) -> str:
        """A statute as it is cited."""
        found = self.house.policy.statute(code)
        return code if found is None else self.tell.pick(found.en, f"《{found.law}》{found.article}")

    def category(self, code: str) -> str:
        """A category's title in the story's language."""
        found = self.house.policy.category(code)
        return code if found is None else self.tell.pick(found.en, found.zh)

    def categories(self, codes: object) -> str:
        """The titles of several categories."""
        if not isinstance(codes, tuple | list):
            raise TypeError("categories are a list of codes")
        return self.tell.join([self.category(str(code)) for code in codes])

    def reason(self, refused: Refused) -> str:
        """Why something was refused, in the story's language."""
        return self.why(refused.problem.name)

    def why(self, name: str) -> str:
        """What a reason is called, in the story's language."""
        known = problem(name)
        return self.tell.pick(known.title_en, known.title_zh)


def accepted(outcome: T | Refused) -> T:
    """What came back, unless the gateway refused what the story needs."""
    if isinstance(outcome, Refused):
        raise DemoFailed(f"the gateway refused what it should accept ({outcome.problem.name})")
    return outcome


def refused(outcome: object, reason: str) -> tuple[Refused, int]:
    """A refusal for exactly this reason, and the index of its receipt."""
    if not isinstance(outcome, Refused) or outcome.receipt is None:
        raise DemoFailed(f"the gateway should have refused with a receipt ({reason}), and did not")
    if outcome.problem.name != reason:
        raise DemoFailed(f"the gateway refused, but for {outcome.problem.name} instead of {reason}")
    return outcome, outcome.receipt.index


def shown(path: Path) -> str:
    """A path as a person here would type it: relative to the working directory where it lies below it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def chengxin(home: Home, *words: str) -> str:
    """A `chengxin` command on this home as a line to copy."""
    script = Path(sys.executable).with_name("chengxin")
    start = (
        [shown(script)] if os.access(script, os.X_OK) else [shown(Path(sys.executable)), "-m", "gateway.cli"]
    )
    return shlex.join([*start, "--home", shown(home.path), *words])


def python(*words: str) -> str:
    """A command of this very interpreter as a line to copy."""
    return shlex.join([shown(Path(sys.executable)), *words])
