"""Attack: read everything that the gateway leaves lying about, and find a person in it.

After a full run (`full_run`), on SQLite and on PostgreSQL, every name, number, canary, mobile number and
e-mail address is looked for, in every spelling of `haystack`: in a dump of every table and in the files that
hold them (on SQLite with -wal and -shm), custody, the tiles, the checkpoint inside and outside, the export
with its sealed details, every other file under the home, every leaf, every log line, the metrics, what a
collector of traces is sent, the URLs that banks and citizens ask for, the settings and the environment as
they can be printed, import reports, exceptions, and every HTTP response but those that exist to hold what is
looked for.

That the search can find is proved in the same pass: a control, in every spelling, was put into the same
database, a file, the log, a response, a trace, a URL and the environment, and is found in each of them.
"""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Iterator

import pytest
import structlog

from gateway.tables import metadata
from tests import databases
from tests.attacks.full_run import PEOPLE, Run, full_run
from tests.attacks.haystack import Hit, Searcher, spellings
from tests.gateway.kit import insider
from tests.gateway.world import World

CONTROLS = ("欧阳测试", "990999199912319998", "CONTROL0CANARY16")


@pytest.fixture(scope="module", params=databases.ENGINES)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    home = tmp_path_factory.mktemp("leaks") / "home"
    with databases.using(request.param), pytest.MonkeyPatch.context() as patch:
        with full_run(home) as (run, world):
            _plant(run, world, patch)
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


def _plant(run: Run, world: World, patch: pytest.MonkeyPatch) -> None:
    """Put the control where a leak would be."""
    planted = list(_planted())
    insider(world.house, f"CREATE TABLE control (data {'BLOB' if _on_sqlite(world) else 'BYTEA'})")
    _into_control(world, planted)
    (world.house.settings.log_dir / "control").write_bytes(b"\n".join(planted))
    for place in (run.bodies, run.urls, run.traces):
        place.extend(planted)
    patch.setenv("CONTROL_OF_LEAKS", " ".join(CONTROLS))
    for word in CONTROLS:
        structlog.get_logger().error(word, number=word, exact=word.encode())


def _on_sqlite(world: World) -> bool:
    return world.house.settings.database_file is not None


def _into_control(world: World, planted: list[bytes]) -> None:
    """All of it in one transaction: on SQLite it stands in the -wal until a checkpoint."""
    rows = ", ".join(f"(x'{data.hex()}')" for data in planted)
    insider(world.house, f"INSERT INTO control VALUES {rows}")


def test_no_name_number_or_value_is_found_anywhere(run: Run, hits: set[Hit]) -> None:
    found = sorted(hit for hit in hits if hit.word not in CONTROLS)
    assert found == []


def test_the_haystack_is_whole(run: Run) -> None:
    """Nothing is found either where nothing was looked at."""
    assert len(run.people) == PEOPLE
    assert len(set(run.words)) == len(run.words) > 3 * PEOPLE
    on_sqlite = "running:gateway.db" in run.left
    files = ("gateway.db", "gateway.db-wal", "gateway.db-shm") if on_sqlite else ()
    for end in (*files, "passphrase", "log/checkpoint"):
        assert run.left[f"running:{end}"], end
    for table in metadata.tables:
        assert table.encode() in run.left["dump:text"], table
    assert {name for name in run.left if name.startswith("dump:")} >= (
        {"dump:text"} if on_sqlite else {"dump:text", "dump:binary", "dump:files"}
    )
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
    for span in (b"POST /v1/queries", b"query.deliver", b"ledger.commit"):
        assert span in run.left["traces"], span
    for asked in (b"POST /v1/queries", b"GET /v1/me/report", b"PUT /v1/me/contact", b"POST /v1/withdrawals"):
        assert asked in run.left["urls"], asked
    for setting in (b"public_url", b"database_url", b"smtp_from", b"PATH="):
        assert setting in run.left["settings"], setting
    assert len(run.contacts) == 8
    assert all(address in answers for address in run.contacts)


@pytest.mark.parametrize("word", CONTROLS)
def test_the_control_is_found_in_every_spelling_wherever_it_was_planted(
    run: Run, hits: set[Hit], word: str
) -> None:
    wanted = set(spellings(word))
    if "dump:files" in run.left:
        in_database = ["dump:binary", "dump:files"]
    else:
        in_database = ["closed:gateway.db", "running:gateway.db-wal"]
    for place in (*in_database, "closed:log/control", "running:log/control", "bodies", "urls", "traces"):
        assert {hit.spelling for hit in hits if hit.place == place and hit.word == word} == wanted, place
    in_text = {hit.spelling.lower() for hit in hits if hit.place == "dump:text" and hit.word == word}
    assert "utf-8 hex" in in_text
    assert Hit("settings", word, "utf-8 raw") in hits
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
