"""Rules of records: who may bring them in, and correct them.

Invariant: every record came from a registered source (信源单位) in good standing, in its own name.
"""

from __future__ import annotations

from typing import TypeAlias

from ledger.bodies import RecordCorrected, RecordIngested
from ledger.entries import Leaf
from ledger.verify.rules import Rule
from ledger.verify.state import World

Sourced: TypeAlias = RecordIngested | RecordCorrected
"""Bodies that name the source whose word they are."""


def _source_known(_: Leaf, body: Sourced, world: World) -> str | None:
    return None if body.source in world.institutions else "the source was never registered"


def _source_role(_: Leaf, body: Sourced, world: World) -> str | None:
    return (
        None
        if "source" in world.institutions[body.source].roles
        else "the institution is no source of records"
    )


def _source_standing(leaf: Leaf, body: Sourced, world: World) -> str | None:
    return (
        None if world.institutions[body.source].stands(leaf.at) else "the source was suspended at that time"
    )


def _source_acts(leaf: Leaf, body: Sourced, _: World) -> str | None:
    if leaf.by is None or leaf.by.institution == body.source:
        return None
    return "the records came from another institution than their source"


SOURCE_KNOWN = Rule("source-known", _source_known)
SOURCE_ROLE = Rule("source-role", _source_role)
SOURCE_STANDING = Rule("source-standing", _source_standing)
SOURCE_ACTS = Rule("source-acts", _source_acts)
