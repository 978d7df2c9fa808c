"""Parsers and formatters of `ledger`."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import strategies as st

from ledger import checkpoint, entries, tiles
from ledger import proof as ledger_proof
from ledger.errors import BrokenCheckpoint, MalformedLeaf, MalformedTile
from tests.fuzz import values as v
from tests.fuzz.pairs import NotEven, of_bytes, of_members, of_text
from tests.ledger import bodies

DRAFT = "values of a draft, whose absent members may be null; `parse_leaf` compares the bytes"
_blobs = st.binary(min_size=32, max_size=32)
_notes = st.binary(min_size=1, max_size=60)
_widths = st.integers(1, tiles.WIDTH)
_paths = st.lists(_blobs, max_size=4).map(tuple)
_drafts = bodies.ANY_TYPE.flatmap(
    lambda type_: bodies.BODIES[type_].map(lambda body: (type_, entries.parse_body(type_, body)))
)
_actors = st.builds(
    lambda i, o: entries.By(institution=i, operator=o), bodies.usccs, bodies.operators
) | st.builds(lambda registrar: entries.By(registrar=registrar), bodies.origins)


def _typed(members: dict[str, Any]) -> tuple[str, Any]:
    """A body with its type beside it."""
    if members.keys() != {"type", "body"} or not isinstance(members["type"], str):
        raise NotEven
    return members["type"], entries.parse_body(members["type"], members["body"])


LEDGER = [
    of_bytes(entries.parse_leaf, entries.format_leaf, MalformedLeaf, bodies.leaves()),
    of_members(
        entries.parse_body,
        msgspec.to_builtins,
        MalformedLeaf,
        _drafts,
        read=_typed,
        write=lambda drawn: {"type": drawn[0], "body": msgspec.to_builtins(drawn[1])},
        free=DRAFT,
    ),
    of_members(entries.parse_by, msgspec.to_builtins, MalformedLeaf, _actors, free=DRAFT),
    of_text(
        checkpoint.parse_checkpoint,
        checkpoint.format_checkpoint,
        BrokenCheckpoint,
        st.builds(checkpoint.Checkpoint, bodies.origins, v.counts, v.raw32),
    ),
    of_text(checkpoint.decode_hash, checkpoint.encode_hash, BrokenCheckpoint, v.raw32),
    of_bytes(
        ledger_proof.parse_proof,
        ledger_proof.format_proof,
        BrokenCheckpoint,
        st.builds(
            ledger_proof.Proof, v.counts, _paths, _notes, st.none() | st.binary(min_size=1, max_size=40)
        ),
    ),
    of_bytes(
        tiles.parse_tile,
        tiles.format_tile,
        MalformedTile,
        st.lists(_blobs, min_size=1, max_size=5).map(tuple),
    ),
    of_bytes(
        tiles.parse_bundle,
        tiles.format_bundle,
        MalformedTile,
        st.lists(st.binary(max_size=40), min_size=1, max_size=5).map(tuple),
    ),
    of_text(
        tiles.parse_tile_path,
        tiles.tile_path,
        MalformedTile,
        st.tuples(st.just("entries") | st.integers(0, tiles.MAX_LEVEL), v.counts, _widths),
        spread=True,
    ),
]
