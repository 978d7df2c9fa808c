"""Settings: what is set is what is used, and what is wrong is named, by key and place, without its value."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.config import (
    Settings,
    SettingsError,
    format_config,
    format_setting,
    load_settings,
    settings_table,
)


@pytest.fixture(autouse=True)
def _nobody_elses_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("CHENGXIN_")]:
        monkeypatch.delenv(name)


def _refusal(home: Path) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(home)
    return str(caught.value).splitlines()


def _config(home: Path, text: str) -> Path:
    file = home / "config.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_defaults_stand_in_home(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    assert settings.passphrase_file == tmp_path / "passphrase"
    assert settings.custody_dir == tmp_path / "custody"
    assert settings.log_dir == tmp_path / "log"
    assert settings.checkpoint_copy == tmp_path / "outside" / "checkpoint"
    assert settings.database_file == tmp_path / "gateway.db"
    assert settings.public_url == "http://localhost:8460"
    assert settings.addresses == ("127.0.0.1", "::1")


def test_home_comes_from_the_option_then_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHENGXIN_HOME", str(tmp_path / "environment"))
    assert load_settings().home == tmp_path / "environment"
    assert load_settings(tmp_path / "option").home == tmp_path / "option"


def test_home_without_a_word_is_under_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_settings().home == tmp_path / ".chengxin"


def test_environment_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _config(tmp_path, 'port = 9001\nlog_level = "debug"\n')
    monkeypatch.setenv("CHENGXIN_PORT", "9002")
    settings = load_settings(tmp_path)
    assert (settings.port, settings.log_level) == (9002, "debug")
    assert settings.public_url == "http://localhost:9002"


def test_empty_variable_is_an_absent_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _config(tmp_path, "port = 9001\n")
    monkeypatch.setenv("CHENGXIN_PORT", "")
    assert load_settings(tmp_path).port == 9001


def test_file_that_the_environment_names_is_read_and_may_set_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = _config(tmp_path, format_config({"home": tmp_path / "state", "threads": 3}))
    monkeypatch.setenv("CHENGXIN_CONFIG", str(file))
    settings = load_settings()
    assert (settings.home, settings.threads) == (tmp_path / "state", 3)


def test_file_that_the_environment_names_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHENGXIN_CONFIG", str(tmp_path / "absent.toml"))
    assert _refusal(tmp_path) == [
        f"{tmp_path / 'absent.toml'}: the settings file cannot be read (No such file or directory)"
    ]


def test_home_in_the_file_that_home_led_to_is_refused(tmp_path: Path) -> None:
    file = _config(tmp_path, 'home = "/srv/elsewhere"\n')
    assert _refusal(tmp_path) == [
        f"home in {file}: this file was found through home, which cannot be set in it"
    ]


def test_misspelt_key_is_named_with_its_file_and_the_key_meant(tmp_path: Path) -> None:
    file = _config(tmp_path, "prot = 9001\n")
    assert _refusal(tmp_path) == [f"prot in {file}: no such setting; did you mean port?"]


def test_unknown_table_is_refused(tmp_path: Path) -> None:
    file = _config(tmp_path, "[server]\nport = 9001\n")
    assert _refusal(tmp_path) == [f"server in {file}: no such setting"]


def test_name_that_the_settings_library_would_take_for_its_own_is_refused(tmp_path: Path) -> None:
    file = _config(tmp_path, '_env_file = "other"\n')
    assert _refusal(tmp_path) == [f"_env_file in {file}: no such setting"]


def test_misspelt_variable_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHENGXIN_THREAD", "3")
    assert _refusal(tmp_path) == [
        "CHENGXIN_THREAD in the environment: no such setting; did you mean CHENGXIN_THREADS?"
    ]


def test_passphrase_in_the_environment_is_refused_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHENGXIN_PASSPHRASE", "correct horse battery staple")
    (line,) = _refusal(tmp_path)
    assert line.startswith("CHENGXIN_PASSPHRASE in the environment: no such setting")
    assert "horse" not in line


def test_every_wrong_key_gets_its_own_line_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = _config(tmp_path, 'threads = "many"\nbatch_limit = 257\n')
    monkeypatch.setenv("CHENGXIN_PORT", "http")
    no_number = "input should be a valid integer, unable to parse string as an integer"
    assert _refusal(tmp_path) == [
        f"CHENGXIN_PORT in the environment: {no_number}",
        f"threads in {file}: {no_number}",
        f"batch_limit in {file}: input should be less than or equal to 256",
    ]


def test_file_that_is_no_toml_is_named_with_the_line(tmp_path: Path) -> None:
    file = _config(tmp_path, "port = 9001\nport 9002\n")
    (line,) = _refusal(tmp_path)
    assert line.startswith(f"{file}: not a TOML file (")
    assert "line 2" in line


def test_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes('origin = "诚信"\n'.encode("gb18030"))
    (line,) = _refusal(tmp_path)
    assert line.startswith(f"{file}: not a TOML file (")


def test_password_in_the_database_url_is_refused_and_not_repeated(tmp_path: Path) -> None:
    file = _config(tmp_path, 'database_url = "postgresql://chengxin:hunter2@localhost/credit"\n')
    assert _refusal(tmp_path) == [
        f"database_url in {file}: has a password in it, and secrets never stand in settings"
    ]


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///:memory:", "sqlite:///state.db", "sqlite:////srv/a.db?mode=memory", "/srv/a.db"],
)
def test_database_that_would_not_outlive_or_not_be_found_is_refused(tmp_path: Path, url: str) -> None:
    _config(tmp_path, format_config({"database_url": url}))
    (line,) = _refusal(tmp_path)
    assert "the absolute path of a file" in line


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"log_dir": "."}, "passphrase_file"),
        ({"custody_dir": "log/custody"}, "custody_dir"),
        ({"checkpoint_copy": "log/checkpoint"}, "checkpoint_copy"),
        ({"custody_dir": "outside/../log"}, "custody_dir"),
    ],
)
def test_nothing_private_lies_in_the_published_log(
    tmp_path: Path, values: dict[str, str], named: str
) -> None:
    _config(tmp_path, format_config(values))
    assert _refusal(tmp_path) == [
        f"settings: log_dir is published and {named} lies inside it: move one of them"
    ]


def test_symlink_does_not_carry_the_keys_into_the_published_log(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "custody").symlink_to(tmp_path / "log")
    assert _refusal(tmp_path) == [
        "settings: log_dir is published and custody_dir lies inside it: move one of them"
    ]


def test_outside_checkpoint_beside_the_database_is_refused(tmp_path: Path) -> None:
    _config(tmp_path, 'checkpoint_copy = "checkpoint"\n')
    assert _refusal(tmp_path) == [
        "settings: checkpoint_copy lies beside the database: both would be restored together"
    ]


def test_passphrase_among_the_keys_it_opens_is_refused(tmp_path: Path) -> None:
    _config(tmp_path, 'passphrase_file = "custody/passphrase"\n')
    assert _refusal(tmp_path) == [
        "settings: passphrase_file lies inside custody_dir: whoever copies one would have both"
    ]


def test_one_port_cannot_serve_twice(tmp_path: Path) -> None:
    _config(tmp_path, "metrics_port = 8460\n")
    assert _refusal(tmp_path) == ["settings: port and metrics_port should differ"]


def test_several_workers_need_a_database_that_several_processes_write_to(tmp_path: Path) -> None:
    _config(tmp_path, "workers = 2\n")
    assert _refusal(tmp_path) == [
        "settings: workers above 1 need PostgreSQL in database_url: SQLite has one writer"
    ]
    _config(tmp_path, 'workers = 64\ndatabase_url = "postgresql+psycopg://gateway@localhost/gateway"\n')
    assert load_settings(tmp_path).workers == 64


@pytest.mark.parametrize(
    "url",
    [
        "https://credit.example.cn",
        "https://credit.example.cn:8443",
        "http://localhost:8460",
        "http://[::1]:1",
    ],
)
def test_public_url_of_scheme_host_and_port_is_taken_as_it_is(tmp_path: Path, url: str) -> None:
    _config(tmp_path, format_config({"public_url": url}))
    assert load_settings(tmp_path).public_url == url


@pytest.mark.parametrize(
    "url",
    [
        "credit.example.cn",
        "http://credit.example.cn",
        "https://credit.example.cn/",
        "https://credit.example.cn/v1",
        "https://Credit.example.cn",
        "https://credit.example.cn:443",
        "https://user@credit.example.cn",
        "https://credit.example.cn:",
        "https://credit.example.cn?x",
        "ftp://credit.example.cn",
        "https://",
        "https://credit.example.cn:port",
        "https://[::1",
    ],
)
def test_public_url_that_no_signed_target_uri_could_begin_with_is_refused(tmp_path: Path, url: str) -> None:
    file = _config(tmp_path, format_config({"public_url": url}))
    (line,) = _refusal(tmp_path)
    assert line.startswith(f"public_url in {file}: ")


@pytest.mark.parametrize("origin", ["credit.example.cn/log0", "localhost/log0", "a", "x/2026/b_1"])
def test_origin_without_a_scheme_is_taken(tmp_path: Path, origin: str) -> None:
    _config(tmp_path, format_config({"origin": origin}))
    assert load_settings(tmp_path).origin == origin


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "https://credit.example.cn",
        "credit example",
        "a+b",
        "/log0",
        "log0/",
        "a//b",
        "a/../b",
        "诚信",
        "a\n",
    ],
)
def test_origin_that_no_signed_note_could_carry_is_refused(tmp_path: Path, origin: str) -> None:
    _config(tmp_path, format_config({"origin": origin}))
    (line,) = _refusal(tmp_path)
    assert "a name without a scheme" in line


def test_hosts_are_listed_with_commas_and_localhost_is_both_loopbacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHENGXIN_HOST", "10.0.0.5, localhost,::1")
    assert load_settings(tmp_path).addresses == ("10.0.0.5", "127.0.0.1", "::1")


@pytest.mark.parametrize(
    ("said", "meant"),
    [("none", ()), ("10.0.0.1", ("10.0.0.1",)), ("10.0.0.1, 2001:DB8::0:1", ("10.0.0.1", "2001:db8::1"))],
)
def test_trusted_proxies_are_addresses_in_one_spelling_or_none(
    tmp_path: Path, said: str, meant: tuple[str, ...]
) -> None:
    _config(tmp_path, format_config({"trusted_proxies": said}))
    settings = load_settings(tmp_path)
    assert settings.trusted_proxies == meant
    _config(tmp_path, format_config({"trusted_proxies": settings.trusted_proxies}))
    assert load_settings(tmp_path).trusted_proxies == meant


@pytest.mark.parametrize("named", ["proxy.example.cn", "10.0.0.0/8", "10.0.0.1,", "none,10.0.0.1"])
def test_trusted_proxy_that_is_no_address_is_refused(tmp_path: Path, named: str) -> None:
    _config(tmp_path, format_config({"trusted_proxies": named}))
    (line,) = _refusal(tmp_path)
    assert "IP addresses" in line


@pytest.mark.parametrize("host", ["credit.example.cn", "[::1]", "127.0.0.1:80", "127.0.0.1,", ","])
def test_host_that_is_no_address_is_refused(tmp_path: Path, host: str) -> None:
    _config(tmp_path, format_config({"host": host}))
    (line,) = _refusal(tmp_path)
    assert "localhost or IP addresses" in line


def test_settings_cannot_be_changed_once_read(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    with pytest.raises(ValidationError):
        settings.port = 1  # type: ignore[misc]  # the point of the test


def test_table_has_every_setting_with_its_variable_default_and_description(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CHENGXIN_PORT", "1")  # what is set here and now is no default
    rows = settings_table()
    assert [row.name for row in rows] == ["", *Settings.model_fields]
    assert all(row.env == f"CHENGXIN_{row.name or 'config'}".upper() for row in rows)
    assert all(row.default and row.description.endswith(".") for row in rows)
    defaults = {row.name: row.default for row in rows}
    assert defaults["port"] == "8460"
    assert defaults["database_url"] == "sqlite:///<home>/gateway.db"
    assert defaults["checkpoint_copy"] == "<home>/outside/checkpoint"


def test_no_setting_holds_a_secret() -> None:
    assert not [
        name
        for name in Settings.model_fields
        if any(word in name for word in ("passphrase", "password", "secret", "token", "private"))
        and not name.endswith("_file")
        and name not in ("pkcs11_token", "webhook_private_addresses")  # a label; who may be reached
    ]


@pytest.mark.parametrize("missing", ["pkcs11_module", "pkcs11_token"])
def test_a_custody_in_an_hsm_names_its_module_and_token(tmp_path: Path, missing: str) -> None:
    told = {"custody": "pkcs11", "pkcs11_module": "lib/hsm.so", "pkcs11_token": "gateway"}
    _config(tmp_path, "".join(f'{name} = "{value}"\n' for name, value in told.items()))
    assert load_settings(tmp_path).pkcs11_module == tmp_path / "lib" / "hsm.so"
    _config(tmp_path, "".join(f'{name} = "{value}"\n' for name, value in (told | {missing: "none"}).items()))
    with pytest.raises(SettingsError, match="pkcs11_module and pkcs11_token"):
        load_settings(tmp_path)


def test_table_defaults_are_the_defaults_in_force(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    for row in settings_table():
        if row.name and row.name != "home":
            shown = row.default.replace("<home>", str(tmp_path))
            assert format_setting(getattr(settings, row.name)) == shown, row.name


def test_config_text_refuses_a_key_that_is_no_setting() -> None:
    with pytest.raises(KeyError):
        format_config({"prot": 1})


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(-(2**63), 2**63 - 1))
def test_config_text_says_exactly_what_was_put_in(text: str, number: int) -> None:
    written = format_config(
        {"origin": text, "passphrase_file": text, "port": number, "host": ("localhost", "::1")}
    )
    assert tomllib.loads(written) == {
        "origin": text,
        "passphrase_file": text,
        "port": number,
        "host": "localhost,::1",
    }
