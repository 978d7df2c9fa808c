"""Attack: read everything that the gateway leaves lying about, and find a person in it.

After a full run (`full_run`) every name, every number and every canary is looked for, in every spelling of
`haystack`, in the database file, its -wal and -shm, custody, the tiles, the checkpoint inside and outside,
the export with its sealed details, every other file under the home, every leaf, every log line, the metrics,
import reports, exceptions, and every HTTP response but a disclosed answer and a citizen's own report.

That the search can find is proved in the same pass: a control, in every spelling, was put into the same
database, a file, the log and a response, and is found in each of them.
"""

from __future__ import annotations

import base64
import random
import sqlite3
import string
from collections.abc import Iterator
from contextlib import closing

import pytest
import structlog

from tests.attacks.full_run import PEOPLE, Run, full_run
from tests.attacks.haystack import Hit, Searcher, spellings
from tests.gateway.world import World

CONTROLS = ("欧阳测试", "990999199912319998", "CONTROL0CANARY16")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    with full_run(tmp_path_factory.mktemp("leaks") / "home") as (run, world):
        _plant(run, world)
    return run


@pytest.fixture(scope="module")
def hits(run: Run) -> set[Hit]:
    return Searcher([*run.words, *CONTROLS]).search(run.left)


def _planted() -> Iterator[bytes]:
    """The control in every spelling, each among other bytes."""
    noise = random.Random(5)
    for word in CONTROLS:
        for spelled in spellings(word).values():
            yield noise.randbytes(noise.randrange(30)) + spelled + noise.randbytes(noise.randrange(30))


def _plant(run: Run, world: World) -> None:
    """Put the control where a leak would be."""
    planted = list(_planted())
    path = world.house.settings.database_file
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("CREATE TABLE control (data BLOB)")
        conn.executemany("INSERT INTO control VALUES (?)", [(data,) for data in planted])
    (world.house.settings.log_dir / "control").write_bytes(b"\n".join(planted))
    run.bodies += planted
    for word in CONTROLS:
        structlog.get_logger().error(word, number=word, exact=word.encode())


def test_no_name_number_or_value_is_found_anywhere(run: Run, hits: set[Hit]) -> None:
    found = sorted(hit for hit in hits if hit.word not in CONTROLS)
    assert found == []


def test_the_haystack_is_whole(run: Run) -> None:
    """Nothing is found either where nothing was looked at."""
    assert len(run.people) == PEOPLE
    assert len(set(run.words)) == len(run.words) > 3 * PEOPLE
    for end in ("gateway.db", "gateway.db-wal", "gateway.db-shm", "passphrase", "log/checkpoint"):
        assert run.left[f"running:{end}"], end
    names = " ".join(run.left)
    for part in ("outside/checkpoint", "custody/keys/epoch-1", "export/sealed/", "export/tile/entries/"):
        assert part in names, part
    answers = b"".join(run.withheld).decode()
    assert sum(canary in answers for canary in run.canaries) >= 4
    assert any(one.person.citizen_number in answers for one in run.people)
    for kind in ("query.disclosed", "query.undelivered", "consent.withdrawn", "consent.declined"):
        assert kind in run.left["leaves"].decode(), kind
    for said in ("evidence.broken", "request.failed", "query.undelivered", "RuntimeError"):
        assert said in run.left["log"].decode(), said
    problems = run.left["bodies"].decode(errors="replace")
    for name in (
        *("malformed-body", "unsupported-media-type", "not-found", "internal", "undelivered"),
        *("bad-signature", "replayed-nonce", "unknown-key", "no-consent", "person-mismatch", "withdrawn"),
        *("purpose-unknown", "category-not-consented", "bad-certificate", "evidence-broken"),
    ):
        assert f"urn:chengxin:problem:{name}" in problems, name
    for rule in ("bad-citizen-number", "bad-row", "missing-field", "duplicate-reference"):
        assert rule in run.left["said"].decode(), rule
    assert b"chengxin_decisions_total" in run.left["metrics"]


@pytest.mark.parametrize("word", CONTROLS)
def test_the_control_is_found_in_every_spelling_wherever_it_was_planted(
    run: Run, hits: set[Hit], word: str
) -> None:
    wanted = set(spellings(word))
    database = next(place for place in run.left if place.startswith("closed:") and place.endswith(".db"))
    places = (database, "closed:log/control", "running:log/control", "bodies")
    for place in places:
        assert {hit.spelling for hit in hits if hit.place == place and hit.word == word} == wanted, place
    in_wal = {hit.spelling for hit in hits if hit.place.endswith("-wal") and hit.word == word}
    assert in_wal == wanted
    in_log = {hit.spelling for hit in hits if hit.place == "log" and hit.word == word}
    assert in_log >= {"utf-8 raw"}
    assert in_log >= {"json raw"} or word.isascii()


def test_every_spelling_is_found_at_every_offset_of_its_neighbours() -> None:
    """base64 of a word depends on what stands before it; the search does not."""
    word = "欧阳测试"
    searcher = Searcher([word])
    for before in range(7):
        for after in range(4):
            text = string.ascii_letters[:before] + word + string.ascii_letters[:after]
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                assert searcher.search({"here": encode(text.encode())})
                assert searcher.search({"here": encode(text.encode("utf-16-le"))})
    assert not searcher.search({"here": base64.b64encode("欧阳测验".encode())})
