"""What the commands share: groups that load late, the one way to fail, files, and how things are shown.

Invariant: standard output carries what was asked for and nothing else, so that `--json` can be piped;
notes, progress and failures go to standard error. Every file written is new: nothing is overwritten.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

import click

from gateway.cli.failures import Failure, line_of

if TYPE_CHECKING:
    from rich.progress import Progress

    from gateway.config import Settings
    from gateway.house import House

F = TypeVar("F", bound=Callable[..., Any])

MAX_FILE = 1 << 20
WIDE = 240
"""Columns of a table that no terminal shows: a script sees whole identifiers."""


@dataclass(frozen=True, slots=True)
class State:
    """What the global options say."""

    home: Path | None

    def settings(self) -> Settings:
        """The settings in force. Raises SettingsError."""
        from gateway.config import load_settings

        return load_settings(self.home)


def pass_state(command: F) -> F:
    """Hand the global options to a command, as its first argument."""
    return cast(F, click.make_pass_decorator(State)(command))


class LazyGroup(click.Group):
    """A group whose commands are named by `module:attribute` and imported when they are wanted."""

    def __init__(self, *args: Any, lazy: Mapping[str, str] | None = None, **extra: Any) -> None:
        super().__init__(*args, **extra)
        self._lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*super().list_commands(ctx), *self._lazy]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        place = self._lazy.get(name)
        if place is None:
            return super().get_command(ctx, name)
        module, _, attribute = place.partition(":")
        found = getattr(import_module(module), attribute)
        if not isinstance(found, click.Command):
            raise TypeError(f"{place} is no command")
        return found


class Root(LazyGroup):
    """The whole command: whatever goes wrong below becomes one line and an exit status."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort, click.ClickException, BrokenPipeError):
            raise
        except Exception as error:
            line = line_of(error)
            if line is None:
                raise
            raise Failure(line) from error

    def main(self, *args: Any, **extra: Any) -> Any:
        run: Callable[..., Any] = super().main
        if not extra.pop("standalone_mode", True):
            return run(*args, standalone_mode=False, **extra)
        try:
            status = run(*args, standalone_mode=False, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(error.exit_code)
        except click.ClickException as error:
            click.echo(_line_of_click(error), err=True)
            sys.exit(error.exit_code)
        except click.Abort:
            click.echo("chengxin: stopped", err=True)
            sys.exit(1)
        sys.exit(status if isinstance(status, int) else 0)


def _line_of_click(error: click.ClickException) -> str:
    if not isinstance(error, click.UsageError):
        return f"chengxin: {error.format_message()}"
    path = error.ctx.command_path if error.ctx is not None else "chengxin"
    message = " ".join(error.format_message().split()).rstrip(".")
    return f"{path}: {message}. See `{path} --help`."


def fail(message: str) -> NoReturn:
    """Stop with one line that says what to do, exit status 1."""
    raise Failure(message)


@contextmanager
def opened(state: State) -> Iterator[House]:
    """The house of this home, closed again at the end. It may stand beside a running server."""
    from gateway.logs import configure
    from gateway.opening import open_house

    settings = state.settings()
    configure(settings)
    house = open_house(settings)
    try:
        yield house
    finally:
        house.engine.dispose()
        house.custody.close()


def note(message: str) -> None:
    """A remark for the person at the terminal, on standard error."""
    click.echo(message, err=True)


def show_json(value: object) -> None:
    """One JSON value on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def show_table(columns: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    """A table on standard output; without a terminal it is as wide as it needs to be."""
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table

    heads = [Column(name, overflow="fold") for name in columns]
    table = Table(*heads, box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for line in lines:
        table.add_row(*("" if cell is None else str(cell) for cell in line))
    width = None if sys.stdout.isatty() else WIDE
    Console(file=sys.stdout, width=width, markup=False, highlight=False).print(table)


def show_pairs(pairs: Mapping[str, object]) -> None:
    """Names and values, one a line, aligned."""
    width = max(map(len, pairs), default=0)
    for name, value in pairs.items():
        click.echo(f"{name:<{width}}  {value}")


def progress() -> Progress:
    """Progress bars on standard error, only where somebody can see them."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def json_option(command: F) -> F:
    """`--json`: for a script."""
    return click.option("--json", "as_json", is_flag=True, help="JSON instead of text, for a script.")(
        command
    )


def key_option(whose: str) -> Callable[[F], F]:
    """`--key FILE`: the private key that signs."""
    return click.option("--key", "key_file", type=FILE, required=True, help=f"Private key file of {whose}.")


def out_option(what: str, *, required: bool = True) -> Callable[[F], F]:
    """`--out FILE`: a new file; nothing is overwritten."""
    return click.option(
        "--out", type=FILE, required=required, help=f"{what} A new file: nothing is overwritten."
    )


FILE = click.Path(path_type=Path, dir_okay=False)


def read_file(path: Path, limit: int = MAX_FILE) -> bytes:
    """The bytes of a file of ours, or of standard input for `-`. Fails with one line."""
    if str(path) == "-":
        data = sys.stdin.buffer.read(limit + 1)
    else:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    if len(data) > limit:
        fail(f"{path} is too large to be what it should be: give another file")
    return data


def read_text(path: Path) -> str:
    """A UTF-8 text file. Fails with one line."""
    try:
        return read_file(path).decode("utf-8")
    except UnicodeDecodeError:
        fail(f"{path} is not UTF-8 text: save it as UTF-8")


def read_object(path: Path, what: str) -> dict[str, Any]:
    """A JSON object out of a file, read strictly. Fails with one line."""
    from keys.canonical import parse_json_strict
    from keys.errors import KeysError

    try:
        value = parse_json_strict(read_file(path))
    except KeysError:
        value = None
    if not isinstance(value, dict):
        fail(f"{path} is no {what}: give the file that holds one")
    return value


def write_new(path: Path, data: bytes) -> None:
    """Write a new file that only its owner reads, and have it on disk. Fails where one stands already."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        fail(f"{path} exists and nothing is overwritten: choose another name")
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def require_free(*paths: Path | None) -> None:
    """Say so before the work, not after it, when something stands where a file should be written."""
    for path in paths:
        if path is not None and path.exists():
            fail(f"{path} exists and nothing is overwritten: choose another name")
        if path is not None and not path.parent.is_dir():
            fail(f"{path.parent} is no directory: make it first")


def write_object(path: Path, members: Mapping[str, Any]) -> None:
    """A JSON object in its canonical bytes, and a newline, in a new file."""
    from keys.canonical import canonical

    write_new(path, canonical(dict(members)) + b"\n")


def confirm(question: str, *, yes: bool) -> None:
    """Ask the person at the terminal; a script, which has none, has said it by running the command."""
    if not yes and sys.stdin.isatty() and not click.confirm(question, err=True):
        raise click.Abort
