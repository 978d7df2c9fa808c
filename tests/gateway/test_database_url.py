"""Which databases the settings may name: no secret in a URL, nothing unmeant, no server by guess."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import SettingsError, format_config, load_settings
from gateway.database_url import checked_database_url, is_postgresql, sqlite_file

GOOD = [
    "sqlite:////srv/chengxin/gateway.db",
    "postgresql+psycopg://chengxin@localhost/credit",
    "postgresql+psycopg://chengxin@127.0.0.1:5433/credit",
    "postgresql+psycopg://chengxin@[::1]/credit",
    "postgresql+psycopg://chengxin@/credit?host=/run/postgresql",
    "postgresql+psycopg://chengxin@/credit?host=/run/postgresql&port=5433",
    "postgresql+psycopg://chengxin@db.example.cn/credit?sslmode=verify-full&sslrootcert=/etc/ca.pem",
    "postgresql+psycopg://chengxin@10.0.0.5/credit?sslmode=disable",
]
BAD = {
    "another-driver": ("postgresql+psycopg2://chengxin@localhost/credit", "should be sqlite"),
    "no-driver": ("postgresql://chengxin@localhost/credit", "should be sqlite"),
    "another-engine": ("mysql://chengxin@localhost/credit", "should be sqlite"),
    "no-url": ("/srv/gateway.db", "should be sqlite"),
    "a-broken-url": ("postgresql+psycopg://[", "name a user and a database"),
    "a-port-that-is-none": ("postgresql+psycopg://chengxin@localhost:x/credit", "should be sqlite"),
    "no-user": ("postgresql+psycopg://localhost/credit", "name a user"),
    "no-database": ("postgresql+psycopg://chengxin@localhost", "name a user and a database"),
    "no-host": ("postgresql+psycopg://chengxin@/credit", "name a host"),
    "two-hosts": ("postgresql+psycopg://chengxin@localhost/credit?host=/run", "twice"),
    "a-list-of-hosts": ("postgresql+psycopg://chengxin@/credit?host=/a&host=/b", "once each"),
    "a-password": ("postgresql+psycopg://chengxin:hunter2@localhost/credit", "password in it"),
    "an-empty-password": ("postgresql+psycopg://chengxin:@localhost/credit", "password in it"),
    "a-password-among-the-options": (
        "postgresql+psycopg://c@localhost/credit?password=hunter2",
        "takes host",
    ),
    "a-password-file-of-libpq": ("postgresql+psycopg://c@localhost/credit?passfile=/x", "takes host"),
    "options": ("postgresql+psycopg://c@localhost/credit?options=-csynchronous_commit%3Doff", "takes host"),
    "a-service": ("postgresql+psycopg://c@localhost/credit?service=x", "takes host"),
    "a-mode-that-promises-nothing": ("postgresql+psycopg://c@localhost/credit?sslmode=prefer", "sslmode"),
    "another-machine-in-clear": ("postgresql+psycopg://c@db.example.cn/credit", "another machine"),
    "another-machine-by-option": ("postgresql+psycopg://c@/credit?host=10.0.0.5", "another machine"),
}


@pytest.mark.parametrize("url", GOOD)
def test_a_url_of_the_two_forms_is_taken_as_it_is(url: str) -> None:
    assert checked_database_url(url) == url
    assert is_postgresql(url) == (sqlite_file(url) is None)


@pytest.mark.parametrize(("url", "says"), BAD.values(), ids=BAD.keys())
def test_any_other_is_refused_and_not_repeated(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as refused:
        checked_database_url(url)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


def settings(home: Path, **values: str) -> str:
    """What is wrong with these settings, or nothing."""
    (home / "config.toml").write_text(format_config(values))
    try:
        load_settings(home)
    except SettingsError as error:
        return str(error)
    return ""


HERE, OWNER = GOOD[4], GOOD[4].replace("//chengxin@", "//owner@")


def test_owner_and_passwords_default_to_nothing_more(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(format_config({"database_url": HERE}))
    chosen = load_settings(tmp_path)
    assert chosen.database_owner_url == chosen.database_url == HERE
    assert chosen.database_file is chosen.database_password_file is None
    (tmp_path / "config.toml").write_text(format_config({"database_password_file": "secret"}))
    assert load_settings(tmp_path).database_password_file == tmp_path / "secret"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"database_url": HERE, "database_owner_url": OWNER}, ""),
        ({"database_url": HERE, "database_password_file": "none"}, ""),
        ({"database_url": HERE, "database_owner_url": "sqlite:////srv/a.db"}, "the same database"),
        ({"database_owner_url": HERE}, "the same database"),
        ({"database_owner_url": "sqlite:////srv/a.db"}, "no other owner"),
        ({"database_url": HERE, "database_password_file": "log/secret"}, "log_dir is published"),
        ({"database_url": HERE, "database_owner_password_file": "log/x"}, "log_dir is published"),
    ],
)
def test_settings_of_the_database_fit_each_other(tmp_path: Path, values: dict[str, str], says: str) -> None:
    found = settings(tmp_path, **values)
    assert says in found
    assert bool(found) == bool(says)
