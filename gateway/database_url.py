"""The two forms of a database URL that are accepted, and nothing else.

    sqlite:////srv/chengxin/gateway.db
    postgresql+psycopg://chengxin@db.example.cn:5432/chengxin?sslmode=verify-full&sslrootcert=/etc/ca.pem
    postgresql+psycopg://chengxin@/chengxin?host=/run/postgresql

Invariant: a URL that passes holds no secret, names its database and (on PostgreSQL) its user, and carries no
option but the few that say where the server is and how far its certificate is checked. A server on another
machine is never spoken to before somebody has said how (`sslmode`).
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlalchemy import URL

SQLITE: Final = "sqlite:///"
POSTGRESQL: Final = "postgresql+psycopg://"
_LIBPQ_KEYS: Final = frozenset({"host", "port", "sslmode", "sslrootcert"})
_SSL_MODES: Final = ("disable", "require", "verify-ca", "verify-full")  # allow and prefer promise nothing


def checked_database_url(url: str) -> str:
    """`url` if it has one of the two forms. Raises ValueError, which never repeats the URL."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError(_FORM) from None
    if parsed.password is not None:
        raise ValueError("has a password in it, and secrets never stand in settings")
    if url.startswith(SQLITE) and url.removeprefix(SQLITE).startswith("/") and "?" not in url:
        return url
    if url.startswith(POSTGRESQL):
        _check_postgresql(parsed)
        return url
    raise ValueError(_FORM)


_FORM: Final = (
    f"should be {SQLITE} and the absolute path of a file, e.g. {SQLITE}/srv/gateway.db, "
    f"or {POSTGRESQL}USER@HOST/DATABASE"
)


def _check_postgresql(url: URL) -> None:
    if not url.username or not url.database:
        raise ValueError("should name a user and a database: postgresql+psycopg://USER@HOST/DATABASE")
    unknown = sorted(set(url.query) - _LIBPQ_KEYS)
    if unknown or not all(isinstance(value, str) for value in url.query.values()):
        raise ValueError(f"takes {', '.join(sorted(_LIBPQ_KEYS))} after its question mark, once each")
    host = url.host or str(url.query.get("host", ""))
    if not host:
        raise ValueError("should name a host, or the directory of the server's socket: ?host=/run/postgresql")
    if url.host and "host" in url.query:
        raise ValueError("names a host twice")
    mode = url.query.get("sslmode")
    if mode is not None and mode not in _SSL_MODES:
        raise ValueError(f"should have one of these as its sslmode: {', '.join(_SSL_MODES)}")
    if mode is None and not _is_here(host):
        raise ValueError("names another machine: add ?sslmode=verify-full (and sslrootcert), or another mode")


def _is_here(host: str) -> bool:
    """Whether `host` is a socket's directory or this machine's loopback."""
    if host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_postgresql(url: str) -> bool:
    """Whether a checked URL names a PostgreSQL server."""
    return url.startswith(POSTGRESQL)


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite database, None on PostgreSQL."""
    return Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None
