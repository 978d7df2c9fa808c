"""The auditor's own reader of a published policy bundle: what replay needs to know, no more.

Invariant: a bundle counts only if its bytes hash to the name that leaves carry, so what is read here is what
was in force. Members that replay does not need may be anything; those that it needs are strictly typed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from keys.canonical import parse_canonical, sha256_hex
from keys.errors import KeysError

MAX_BUNDLE = 4 << 20
"""Bytes of a policy file that are read at most."""


class Purpose(msgspec.Struct, frozen=True):
    """One purpose (查询用途): its limits in days and uses, what it may ask and what it cannot do without."""

    code: str
    checked: bool
    max_days: int
    max_uses: int
    max_retention_days: int
    permitted: frozenset[str]
    necessary: frozenset[str]
    answers: frozenset[str]


class _Category(msgspec.Struct, frozen=True):
    code: str
    checked: bool


class _Bundle(msgspec.Struct, frozen=True):
    type: str
    demo: bool
    purposes: tuple[Purpose, ...]
    categories: tuple[_Category, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """The purposes and categories that are on: checked ones, and in demonstration mode the unchecked too."""

    usable: Mapping[str, Purpose]
    categories: frozenset[str]


def read_policy(directory: Path, sha256: str) -> Policy | str:
    """The bundle `policy/<sha256>.json` of an export, or what is wrong with it, in words."""
    try:
        with (directory / "policy" / f"{sha256}.json").open("rb") as file:
            data = file.read(MAX_BUNDLE + 1)
    except FileNotFoundError:
        return "the policy in force is not published with the log"
    if len(data) > MAX_BUNDLE or sha256_hex(data) != sha256:
        return "the published policy file is not the policy that the leaves name"
    try:
        bundle = msgspec.convert(parse_canonical(data), _Bundle, strict=True)
    except (KeysError, msgspec.ValidationError):
        return "the published policy is no policy bundle"
    if bundle.type != "chengxin/policy/v1":
        return "the published policy is of an unknown type"
    return Policy(
        {purpose.code: purpose for purpose in bundle.purposes if purpose.checked or bundle.demo},
        frozenset(category.code for category in bundle.categories if category.checked or bundle.demo),
    )


NO_POLICY = Policy({}, frozenset())
"""Before the first leaf: nothing is on."""
