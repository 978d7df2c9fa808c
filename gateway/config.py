"""Where settings come from, first to last: `--home`, `CHENGXIN_*` in the environment, a TOML file, defaults.

Invariant: an unknown or unusable key, in the environment as in the file, is refused by name and place;
nothing is guessed and no value is repeated. `settings_table` is the one list of what may be set: README and
`chengxin config show` say the same.
"""

from __future__ import annotations

import difflib
import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource

from gateway.errors import GatewayError
from gateway.settings import DEFAULT_HOME, PREFIX, Settings

__all__ = [
    "SettingRow",
    "Settings",
    "SettingsError",
    "format_config",
    "format_setting",
    "load_settings",
    "settings_table",
]

CONFIG_VARIABLE: Final = "CHENGXIN_CONFIG"
CONFIG_NAME: Final = "config.toml"


class SettingsError(GatewayError):
    """Settings are unknown or unusable: a line for each, naming key and place, never a value."""


class SettingRow(NamedTuple):
    """One line of the settings table: key of the TOML file, variable, default, what it is for."""

    name: str
    env: str
    default: str
    description: str


class _Given(Settings):
    """`Settings` made of what they are given, and of nothing else."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def load_settings(home: Path | None = None) -> Settings:
    """The settings in force: `home` (the option --home), then the environment, the TOML file, the defaults.

    The file is the one `CHENGXIN_CONFIG` names, which must exist, or else `<home>/config.toml` where there is
    one. Raises `SettingsError` with one line for each thing that is wrong.
    """
    in_environ = {
        name.upper(): value for name, value in os.environ.items() if name.upper().startswith(PREFIX)
    }
    named = in_environ.get(CONFIG_VARIABLE)
    file = Path(named).expanduser() if named else _home(home, in_environ) / CONFIG_NAME
    in_file = _read_toml(file) if named or file.exists() else {}

    wrong = [*_unknown_variables(in_environ), *_unknown_keys(in_file, file)]
    if "home" in in_file and not named:
        wrong.append(f"home in {file}: this file was found through home, which cannot be set in it")
    try:
        known = {key: value for key, value in in_file.items() if key in Settings.model_fields}
        first = {} if home is None else {"home": home}
        chosen = _Given(**{**known, **(EnvSettingsSource(Settings)() if in_environ else {}), **first})
    except ValidationError as error:
        wrong.extend(_explain(error, in_environ, file))
    if wrong:
        raise SettingsError("\n".join(wrong))
    return chosen


def config_file(home: Path | None) -> Path:
    """The settings file that `load_settings` reads for this home, whether it is there or not."""
    named = os.environ.get(CONFIG_VARIABLE)
    return Path(named).expanduser() if named else _home(home, os.environ) / CONFIG_NAME


def settings_table() -> list[SettingRow]:
    """Every setting, in the order of `Settings`; paths in the defaults are shown from `<home>`."""
    defaults = _Given(home=Path("/<home>"))
    rows = [
        SettingRow("", CONFIG_VARIABLE, f"<home>/{CONFIG_NAME}", "The TOML file that holds the settings.")
    ]
    for name, field in Settings.model_fields.items():
        default = str(DEFAULT_HOME) if name == "home" else format_setting(getattr(defaults, name))
        row = SettingRow(
            name, PREFIX + name.upper(), default.replace("/<home>", "<home>"), field.description or ""
        )
        rows.append(row)
    return rows


def format_setting(value: object) -> str:
    """A value of `Settings` as it would be written in the environment."""
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def format_config(values: Mapping[str, str | int | Path | tuple[str, ...]]) -> str:
    """The TOML text of a `config.toml` that sets `values`. Raises `KeyError` for a key that is no setting."""
    return "".join(f"{_known(name)} = {_toml_value(value)}\n" for name, value in values.items())


def _known(name: str) -> str:
    if name not in Settings.model_fields:
        raise KeyError(name)
    return name


def _toml_value(value: str | int | Path | tuple[str, ...]) -> str:
    if isinstance(value, int):
        return str(value)
    quoted = json.dumps(format_setting(value), ensure_ascii=False)  # JSON's escapes are all TOML's too
    return quoted.replace("\x7f", "\\u007f")  # the one character that TOML wants escaped and JSON does not


def _home(home: Path | None, in_environ: Mapping[str, str]) -> Path:
    return (home or Path(in_environ.get(f"{PREFIX}HOME") or DEFAULT_HOME)).expanduser()


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{file}: the settings file cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:  # not UTF-8, not TOML, a long integer, deep nesting
        raise SettingsError(f"{file}: not a TOML file ({error})") from None


def _unknown_variables(in_environ: Mapping[str, str]) -> Iterator[str]:
    known = {CONFIG_VARIABLE, *(PREFIX + name.upper() for name in Settings.model_fields)}
    for name in sorted(set(in_environ) - known):
        yield f"{name} in the environment: no such setting{_meant(name, known)}"


def _unknown_keys(in_file: Mapping[str, Any], file: Path) -> Iterator[str]:
    known = set(Settings.model_fields)
    for name in in_file:
        if name not in known:
            yield f"{name} in {file}: no such setting{_meant(name, known)}"


def _explain(error: ValidationError, in_environ: Mapping[str, str], file: Path) -> Iterator[str]:
    """One line for each thing pydantic found, by key and place. The value is left out: it may be a secret."""
    for found in error.errors(include_url=False, include_input=False, include_context=False):
        key = str(found["loc"][0]) if found["loc"] else ""
        variable = PREFIX + key.upper()
        place = f"{variable} in the environment" if in_environ.get(variable) else f"{key} in {file}"
        match found["type"]:
            case "default_factory_not_called":
                continue  # follows from another error, which has its own line
            case _:
                message = found["msg"].removeprefix("Value error, ")
                yield f"{place}: {message[0].lower()}{message[1:]}" if key else f"settings: {message}"


def _meant(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f"; did you mean {close[0]}?" if close else ""
