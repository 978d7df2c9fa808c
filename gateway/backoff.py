"""How long to wait before something is tried again: twice as long each time, with jitter, up to a limit.

Invariant: pure. Whoever waits together does not come back together, because each wait is drawn between half
of its length and all of it.
"""

from __future__ import annotations

from typing import Final

from keys.signing import Random

_DOUBLINGS: Final = 32


def wait_ms(attempts: int, first_ms: int, most_ms: int, random: Random) -> int:
    """Milliseconds to wait after so many attempts that failed, the first being 1."""
    full = min(most_ms, first_ms << min(max(attempts, 1) - 1, _DOUBLINGS))
    return full // 2 + full * random(1)[0] // 510
