"""Common leaves in short, as a process that reads hands them to the one that replays: column by column.

Invariant: a leaf is put in short only where its pattern matches (`spellings`), and where it stands at its
index and names the leaf before it; every other stays as it is.

A leaf in short is a row: its form's number; numbers of its actor, its scope and its frame; `at`; the number
and hash of its person's chain; the person's tag; then what its lane (`taking`) takes.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from ledger.verify import spellings as sp

Plain: TypeAlias = Sequence[Any]
"""A leaf in short, as above."""


class Shorts:
    """Puts leaves in short, and lists what they share, to be judged once."""

    def __init__(
        self,
        actors: list[tuple[int, bytes | None]],
        scopes: list[tuple[Any, ...]],
        frames: list[tuple[bytes, bytes, bytes]],
    ) -> None:
        """The lists are added to: (form, actor), (form, what is asked), (policy, sealing key, day)."""
        self._frames, self._actors, self._scopes = _Numbered(frames), _Numbered(actors), _Numbered(scopes)
        self._forms: list[tuple[list[int], list[tuple[int, _Convert]]]] = []
        for form, (asked, said) in zip(sp.FORMS, _SHORT, strict=True):
            places = [form.keep.index(name) + 1 for name in asked]
            converts = [(form.keep.index(name) + 1, convert) for name, convert in said.items()]
            self._forms.append((places, converts))

    def shorten(
        self, leaves: list[Any], how: sp.Spelling, places: list[int], first: int, before: list[bytes]
    ) -> None:
        """Put what leaves at these places say in the place of those that stand at their index and name the
        leaf before.
        """
        for pattern in (how.skim, how.whole):
            held = [
                (place, groups)
                for place in places
                if (groups := sp.match(leaves[place], pattern, how)) is not None
                and groups[sp.PREV] == before[place]
                and groups[sp.INDEX] == b"%d" % (first + place)
            ]
            columns = list(zip(*[groups for _, groups in held], strict=True))
            if not held or sp.sound(columns, how):
                break
        if held:
            for (place, _), plain in zip(held, self._plain(how.number, columns), strict=True):
                leaves[place] = plain

    def _plain(self, form: int, columns: list[sp.Groups]) -> Iterator[tuple[Any, ...]]:
        """Leaves of a common form, in short."""
        asked, said = self._forms[form]
        at = columns[sp.AT]
        number, days = [form] * len(at), [time[:10] for time in at]
        scopes = zip(number, *[columns[place] for place in asked], strict=True)
        return zip(
            number,
            map(self._actors.__getitem__, zip(number, columns[sp.BY], strict=True)),
            map(self._scopes.__getitem__, scopes),
            map(self._frames.__getitem__, zip(columns[sp.POLICY], columns[sp.SEALING], days, strict=True)),
            at,
            map(int, columns[sp.N]),
            map(unhexlify, columns[sp.SUBJECT_PREV]),
            columns[sp.TAG],
            *[convert(columns[place]) for place, convert in said],
            strict=True,
        )


class _Numbered(dict[tuple[Any, ...], int]):
    """What many leaves share: each with its number in a list, and added to it when it is met first."""

    def __init__(self, listed: list[Any]) -> None:
        super().__init__()
        self._listed = listed

    def __missing__(self, value: tuple[Any, ...]) -> int:
        number = self[value] = len(self._listed)
        self._listed.append(value)
        return number


def _ints(column: sp.Groups) -> Iterator[int]:
    return map(int, column)


def _raw(column: sp.Groups) -> Iterator[bytes]:
    return map(unhexlify, column)


def _ids(column: sp.Groups) -> list[bytes]:
    raw = unhexlify(b"".join(column).replace(b"-", b""))
    return [raw[at : at + 16] for at in range(0, len(raw), 16)]


_Convert: TypeAlias = Callable[[sp.Groups], Iterable[Any]]

_SHORT: Final[tuple[tuple[tuple[str, ...], dict[str, _Convert]], ...]] = (
    (("purpose", "categories"), {"grant": _ints, "use": _ints, "query": _ids}),
    (("purpose", "categories", "predicate"), {"grant": _ints, "use": _ints, "query": _ids}),
    (("purpose",), {}),
    (("purpose", "categories"), {"request": _ids, "recipient": iter}),
    (("purpose", "categories"), {"request": _ids, "recipient": iter}),
    (
        ("purpose", "categories", "answer", "max_uses", "retention_days"),
        {"commitment": _raw, "consent_hash": _raw, "max_uses": _ints, "not_before": iter, "not_after": iter,
         "recipient": iter},
    ),
    ((), {"grant": _ints}),
    (("registrar",), {"certificate_sha256": _raw, "commitment": _raw}),
    (("source",), {"count": _ints}),
    ((), {}),
    ((), {"of": _ints}),
    ((), {"of": _ints}),
)  # fmt: skip
"""Of each form: the members that say what is asked for, which many leaves share, to be judged once; and those
that each leaf says by itself, in their order, and how they are handed on.
"""
