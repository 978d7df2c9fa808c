"""What was found of consents that were queried before: the look-up, remembered until it is no longer so.

Invariant: only what an asker may be told is theirs is remembered for it, so that nothing about another's
consent, or about an absent one, is ever quicker. No key and no clear identifier is held. Nothing rests on
it: under the lock the stored rows must still be those that were verified, else the query is looked up again.
"""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from gateway.query.request import Found

REMEMBERED = 100_000


class Known:
    """Look-ups by asker and consent, least recently used out first."""

    def __init__(self, size: int = REMEMBERED) -> None:
        self._size = size
        self._lock = Lock()
        self._found: OrderedDict[tuple[str, str], Found] = OrderedDict()

    def get(self, institution: str, consent: str | None) -> Found | None:
        """What was found of a consent when this institution asked last."""
        name = (institution, consent or "")
        with self._lock:
            found = self._found.get(name)
            if found is not None:
                self._found.move_to_end(name)
            return found

    def put(self, institution: str, found: Found) -> None:
        """Remember a sound consent of the asker's own. Nothing else is."""
        if found.consent is None or found.person_matches is not None:
            return
        with self._lock:
            self._found[institution, found.consent_id] = found
            if len(self._found) > self._size:
                self._found.popitem(last=False)

    def forget(self, institution: str, found: Found) -> None:
        """It is no longer so."""
        with self._lock:
            self._found.pop((institution, found.consent_id), None)
