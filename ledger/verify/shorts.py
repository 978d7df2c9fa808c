"""Common leaves in short, as a process that reads hands them to the one that replays: column by column.

Invariant: a leaf is put in short only where its pattern matches (`spellings`), and where it stands at its
index and names the leaf before it; every other stays as it is.

A leaf in short is a row: its form's number; numbers of its actor, its scope and its frame; `at`; the `LINK`s
of its person's chain before and after it; the person's tag; then what its lane (`taking`) takes.
"""

from __future__ import annotations

from binascii import hexlify, unhexlify
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import compress, repeat
from operator import eq
from typing import Any, Final, TypeAlias

from ledger.verify import spellings as sp
from ledger.verify.persons import LINK

Plain: TypeAlias = Sequence[Any]
"""A leaf in short, as above."""
Columns: TypeAlias = list[sp.Groups]
"""For each group of a pattern, what it is in some leaves."""
_END: Final = 20
"""Letters at the end of a leaf that tell types apart; where they do not, the pattern does not match."""
_DAY: Final = 10
"""Letters of a time that are its day."""


class Shorts:
    """Puts leaves in short, and lists what they share, to be judged once."""

    def __init__(
        self,
        actors: list[tuple[int, bytes | None]],
        scopes: list[tuple[Any, ...]],
        frames: list[tuple[bytes, bytes, bytes]],
    ) -> None:
        """The lists are added to: (form, actor), (form, what is asked), (policy, sealing key, day)."""
        self._frames = _Numbered(frames, ())
        self._forms: list[_Form] = []
        for form, (asked, said) in enumerate(_SHORT):
            keep = sp.FORMS[form].keep
            places = [keep.index(name) + 1 for name in asked]
            converts = [(keep.index(name) + 1, convert) for name, convert in said.items()]
            self._forms.append((_Numbered(actors, (form,)), _Numbered(scopes, (form,)), places, converts))

    def shorten(
        self,
        leaves: list[Any],
        known: dict[bytes, sp.Spelling],
        first: int,
        hashes: list[bytes],
        before: bytes,
    ) -> None:
        """Put what leaves say in the place of those that stand at their index, from `first` on, and name the
        leaf before. Of all of them the `hashes` are given, and the one `before` them, empty if not known.
        """
        indexes = [b"%d" % index for index in range(first, first + len(leaves))]
        names = [hexlify(before), *map(hexlify, hashes)]
        by_end = dict[bytes, list[int]]()
        for place, end in enumerate([leaf[-_END:] for leaf in leaves]):
            if end in by_end:
                by_end[end].append(place)
            else:
                by_end[end] = [place]
        for alike in by_end.values():
            how = known.get(sp.type_of(leaves[alike[0]]))
            if how is None:
                continue
            places, columns = _columns(leaves, alike, how)
            right = [(names[place], indexes[place]) for place in places]
            said = list(zip(columns[sp.PREV], columns[sp.INDEX], strict=True)) if places else []
            if said != right:
                which = list(map(eq, said, right))
                places = list(compress(places, which))
                columns = [tuple(compress(column, which)) for column in columns]
            if places:
                self._put(leaves, how.number, places, columns, hashes)

    def _put(
        self, leaves: list[Any], form: int, places: Sequence[int], columns: Columns, hashes: list[bytes]
    ) -> None:
        """Put leaves of one form in short: a column at a time."""
        actors, scopes, asked, said = self._forms[form]
        numbers = list(map(int, columns[sp.N]))
        rows = zip(
            repeat(form),
            map(actors.__getitem__, zip(columns[sp.BY])),
            map(
                scopes.__getitem__,
                zip(*[columns[place] for place in asked], strict=True) if asked else repeat(()),
            ),
            self._framed(columns),
            columns[sp.AT],
            map(LINK.pack, map((-1).__add__, numbers), map(unhexlify, columns[sp.SUBJECT_PREV])),
            map(LINK.pack, numbers, [hashes[place] for place in places]),
            columns[sp.TAG],
            *[convert(columns[place]) for place, convert in said],
        )
        for place, row in zip(places, rows, strict=False):
            leaves[place] = row

    def _framed(self, columns: Columns) -> Iterable[int]:
        """The numbers of their frames; as a rule it is one."""
        policies, keys, times = columns[sp.POLICY], columns[sp.SEALING], columns[sp.AT]
        day, many = times[0][:_DAY], len(times)
        if (
            policies.count(policies[0]) == keys.count(keys[0]) == many
            and max(times)[:_DAY] == min(times)[:_DAY]
        ):
            return repeat(self._frames[policies[0], keys[0], day])
        days = [time[:_DAY] for time in times]
        return map(self._frames.__getitem__, zip(policies, keys, days, strict=True))


def _columns(leaves: list[Any], places: list[int], how: sp.Spelling) -> tuple[list[int], Columns]:
    """The places of the leaves that are of a form, and its groups; skimmed at first, and if that will not do,
    one by one.
    """
    found = list(map(how.skim, [leaves[place] for place in places]))
    if None not in found:
        columns = list(zip(*[each.groups() for each in found if each], strict=True))
        listed = set(columns[how.listed]) if how.listed else ()
        if None not in map(sp.categories, listed) and sp.sound(columns, how):
            return places, columns
    held = [(place, groups) for place in places if (groups := sp.match(leaves[place], how.whole, how))]
    return [place for place, _ in held], list(zip(*[groups for _, groups in held], strict=True))


class _Numbered(dict[tuple[Any, ...], int]):
    """What many leaves share: each with its number in a list, and added to it when it is met first."""

    def __init__(self, listed: list[Any], head: tuple[Any, ...]) -> None:
        """In the list each stands behind `head`."""
        super().__init__()
        self._listed, self._head = listed, head

    def __missing__(self, value: tuple[Any, ...]) -> int:
        number = self[value] = len(self._listed)
        self._listed.append((*self._head, *value))
        return number


def _ints(column: sp.Groups) -> Iterator[int]:
    return map(int, column)


def _raw(column: sp.Groups) -> Iterator[bytes]:
    return map(unhexlify, column)


def _ids(column: sp.Groups) -> list[bytes]:
    raw = unhexlify(b"".join(column).replace(b"-", b""))
    return [raw[at : at + 16] for at in range(0, len(raw), 16)]


_Convert: TypeAlias = Callable[[sp.Groups], Iterable[Any]]
_Form: TypeAlias = tuple[_Numbered, _Numbered, list[int], list[tuple[int, _Convert]]]
"""Actors, scopes, groups of what is asked for, groups of what each says by itself."""

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
