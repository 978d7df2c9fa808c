"""What coverage-guided fuzzing (atheris on libFuzzer) runs: parsers that read what strangers send, by kind.

Invariant: the oracle is that of the table (`pairs.accepts`), and for what is signed: whatever verifies says
what was signed, since nobody but the holder of the key could sign something else. The first byte of an input
chooses the parser within its target, so that one process serves several.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from consent.enrolment import ENROLMENT_TYP
from keys.canonical import sha256
from keys.errors import KeysError
from keys.jws import peek_kid, sign_jws, verify_jws
from keys.notes import make_vkey, open_note, peek_note, sign_note
from ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from ledger.errors import LedgerError
from tests.fuzz import values
from tests.fuzz.pairs import PLAIN, Pair, accepts, dumped, examples
from tests.fuzz.rows_consent import CONSENT
from tests.fuzz.rows_http import SIGNATURE
from tests.fuzz.rows_keys import KEYS
from tests.fuzz.rows_ledger import LEDGER

VECTOR_FILES = Path(__file__).parent.parent / "vectors"
VECTORS = (
    ("consents", "consent.document:parse_consent", "document"),
    ("consents", "verify_jws", "proof"),
    ("receipts", "verify_jws", "receipt"),
    ("proofs", "ledger.proof:parse_proof", "proof"),
    ("webauthn/generated", "consent.webauthn:parse_kept", "proof"),
)
"""File of conformance vectors, the parser that reads one of its members, the member."""
BY_NAME = {pair.name: pair for pair in (*KEYS, *CONSENT, *LEDGER, SIGNATURE)}
SEEDS = 6
"""Values of each parser that a corpus begins with."""
_ORIGIN = "credit.example.cn/log0"
_KEY, _PUBLIC = values.PRIVATE[0], values.PUBLIC[0]
_VKEY = make_vkey(_ORIGIN, _PUBLIC.point)
_TEXT = "a line\nanother\n"
_SIGNED = Checkpoint(_ORIGIN, 7, sha256(b"seven"))
_PAYLOAD = b"{}"


@dataclass(frozen=True)
class Target:
    """What to try on one input, and inputs to begin with."""

    name: str
    try_on: Callable[[bytes], object]
    seeds: Callable[[], Iterable[bytes]]


def _of_table(*names: str) -> tuple[Target, ...]:
    return tuple(map(_row, names))


def _row(name: str) -> Target:
    pair: Pair = BY_NAME[name]
    return Target(name, partial(accepts, pair), lambda: examples(pair.good, SEEDS))


def _note(data: bytes) -> None:
    try:
        peek_note(data)
        assert open_note(data, [_VKEY]).text == _TEXT
    except KeysError:
        return


def _checkpoint(data: bytes) -> None:
    try:
        assert open_checkpoint(data, _VKEY) == _SIGNED
    except LedgerError:
        return


def _jws(data: bytes) -> None:
    token = data.decode(*PLAIN)
    try:
        peek_kid(token)
        assert verify_jws(token, _PUBLIC, ENROLMENT_TYP) == _PAYLOAD
    except KeysError:
        return


def _open_note() -> Iterable[bytes]:
    return (sign_note(_TEXT, _ORIGIN, _KEY.sign, _PUBLIC.point),)


def _open_checkpoint() -> Iterable[bytes]:
    return (sign_checkpoint(_SIGNED, _KEY.sign, _PUBLIC.point),)


def _verify_jws() -> Iterable[bytes]:
    return (sign_jws(_PAYLOAD, _KEY, ENROLMENT_TYP).encode(),)


TARGETS: dict[str, tuple[Target, ...]] = {
    "document": _of_table(
        "consent.document:parse_consent",
        "consent.document:parse_template",
        "consent.document:parse_withdrawal",
        "consent.document:parse_decline",
        "consent.revocation:parse_revocation",
        "consent.revocation:parse_resumption",
        "consent.receipt:parse_receipt",
        "consent.counter:parse_signed_order",
    ),
    "certificate": _of_table(
        "consent.enrolment:parse_enrolment",
        "consent.enrolment:parse_certificate",
        "consent.wire:parse_struct",
        "consent.erased:parse_erasure_certificate",
        "keys.rotation:parse_rotation",
    ),
    "proof": _of_table(
        "ledger.proof:parse_proof",
        "consent.webauthn:parse_assertion",
        "consent.webauthn:parse_kept",
        "consent.proof:parse_proof",
    ),
    "note": (
        *_of_table("keys.notes:parse_vkey", "ledger.checkpoint:parse_checkpoint"),
        Target("open_note", _note, _open_note),
        Target("open_checkpoint", _checkpoint, _open_checkpoint),
    ),
    "tile": _of_table(
        "ledger.tiles:parse_tile",
        "ledger.tiles:parse_bundle",
        "ledger.tiles:parse_tile_path",
        "ledger.entries:parse_leaf",
    ),
    "signature": (
        *_of_table("gateway.http.profile:parse_signature", "keys.signing:parse_public_jwk"),
        Target("verify_jws", _jws, _verify_jws),
    ),
}
TARGETS["all"] = tuple(parser for parsers in TARGETS.values() for parser in parsers)


def run_one(name: str, data: bytes) -> None:
    """One input of a target, the way every harness runs it."""
    if data:
        parsers = TARGETS[name]
        parsers[data[0] % len(parsers)].try_on(data[1:])


def vectors(name: str) -> Iterator[tuple[int, bytes]]:
    """Cases of the conformance vectors, good and bad, with the place of the parser that reads them."""
    places = {parser.name: place for place, parser in enumerate(TARGETS[name])}
    for file, parser, member in VECTORS:
        if parser in places:
            cases = json.loads((VECTOR_FILES / f"{file}.json").read_text("utf-8"))["cases"]
            for said in (case[member] for case in cases if member in case):
                yield places[parser], said.encode() if isinstance(said, str) else dumped(said)


def write_corpus(name: str, folder: Path) -> int:
    """The inputs to begin with, a file each; how many there are."""
    inputs = [
        bytes([place]) + seed
        for place, parser in enumerate(TARGETS[name])
        for seed in dict.fromkeys(parser.seeds())
    ]
    inputs += [bytes([place]) + seed for place, seed in vectors(name)]
    for number, data in enumerate(inputs):
        (folder / f"{number:03}").write_bytes(data)
    return len(inputs)
