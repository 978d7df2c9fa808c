"""The asks of common leaves, counted in the windows that the rules of quotas count in.

Invariant: what is counted here is what `quotas.counted` names for the leaf, in the window of its time; where
a quota would be passed nothing is counted, and the rules look.
"""

from __future__ import annotations

from collections import Counter

from keys.instant import parse_instant
from ledger.bodies import ConsentAsked, QueryRedelivered
from ledger.entries import By
from ledger.verify import quotas
from ledger.verify.judged import Actor, bare_leaf
from ledger.verify.state import Window, World


class Tally:
    """Counts asks, leaf by leaf."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._minute = b""
        self._open: dict[str, Counter[str]] = {}

    def changed(self) -> None:
        """The rules took a leaf over, and may have begun a window."""
        self._minute = b""

    def ask(self, at: bytes, actor: Actor, purpose: str | None) -> bool:
        """Count an ask; False where a quota would be passed."""
        names = actor.names.get(purpose)
        if names is None:
            names = actor.names[purpose] = self._names(actor, purpose)
        if at[:16] != self._minute:
            self._turn(at)
        windows = self._open
        for per, name, limit in names:
            asks = windows[per]
            asks[name] = count = asks.get(name, 0) + 1
            if count > limit:
                self._less(names[: names.index((per, name, limit)) + 1])
                return False
        return True

    def take_back(self, actor: Actor, purpose: str | None) -> None:
        """Of the last ask that was counted: it is left to the rules."""
        self._less(actor.names[purpose])

    def _less(self, names: list[tuple[str, str, int]]) -> None:
        for per, name, _ in names:
            self._open[per][name] -= 1

    def _names(self, actor: Actor, purpose: str | None) -> list[tuple[str, str, int]]:
        """Each quota that an ask falls under: its window, the name of its count, its limit. What is asked for
        no purpose is an answer given again.
        """
        by = By(institution=actor.institution, operator=actor.operator) if actor.operator else None
        ask: ConsentAsked | QueryRedelivered = QueryRedelivered(of=0)
        if purpose is not None:
            ask = ConsentAsked(request="", recipient="", purpose=purpose, categories=())
        leaf = bare_leaf("consent.requested", ask, by=by)
        return [(quota.per, name, quota.limit) for quota, name in quotas.counted(leaf, ask, self._world)]

    def _turn(self, at: bytes) -> None:
        """Begin the windows of a minute that were not begun."""
        instant, windows = parse_instant(at.decode()), self._world.windows
        for per, length in quotas.WINDOWS.items():
            window = windows.get(per)
            if window is None or window.number != instant // length:
                window = windows[per] = Window(instant // length)
            self._open[per] = window.counts
        self._minute = at[:16]
