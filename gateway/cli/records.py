"""`chengxin records`: what sources (信源单位) send, and correct."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gateway.cli.common import State, fail, json_option, opened, pass_state, progress, read_text
from gateway.cli.values import REASON

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.house import House
    from gateway.records.columns import Refusal
    from gateway.records.report import ImportReport
    from gateway.records.rows import Record
    from gateway.records.rules import Language

F = TypeVar("F", bound=Callable[..., Any])
INPUT = click.Path(path_type=Path, dir_okay=False)


@click.group(short_help="Import and correct a source's records.")
def records() -> None:
    """Credit records."""


def _file_options(command: F) -> F:
    """A source's file, the mapping that says what its columns are, and the language of the report."""
    for option in (
        click.option(
            "--lang",
            type=click.Choice(("en", "zh")),
            default="en",
            show_default=True,
            help="Language of the report.",
        ),
        click.option("--mapping", type=INPUT, required=True, help="TOML that says what each column is."),
        click.argument("file", type=INPUT),
    ):
        command = option(command)
    return command


@records.command("import", short_help="Import a source's CSV file.")
@_file_options
@json_option
@pass_state
def import_(state: State, file: Path, mapping: Path, lang: str, as_json: bool) -> None:
    """Import a source's CSV file. A rerun changes nothing; what may not be stored is refused by line,
    field and rule, and the rest is stored: that is no failure, --json gives the counts to a script.

    \b
    chengxin records import loans.csv --mapping loans.toml
    """
    from gateway.records.ingest import ingest

    _run(state, file, mapping, lang, as_json, "importing", ingest)


@records.command(short_help="Correct records that are held.")
@_file_options
@click.option(
    "--authority",
    type=REASON,
    default="source-error",
    show_default=True,
    help="The ground, as a code: source-error, dispute-upheld, court-order.",
)
@json_option
@pass_state
def correct(state: State, file: Path, mapping: Path, lang: str, authority: str, as_json: bool) -> None:
    """Correct records (更正) that are held, by a file of the same form: a row replaces what was said under
    its reference. Institutions that were answered from it are told (`corrected`), the person is notified.

    \b
    chengxin records correct corrected.csv --mapping loans.toml --authority dispute-upheld
    """
    from gateway.records.correct import correct as act

    def run(
        house: House, source: str, examined: Iterator[Record | Refusal], tell: Callable[[int], None]
    ) -> ImportReport:
        return act(house, source, examined, authority, tell)

    _run(state, file, mapping, lang, as_json, "correcting", run)


def _run(
    state: State,
    file: Path,
    mapping: Path,
    lang: str,
    as_json: bool,
    doing: str,
    act: Callable[..., ImportReport],
) -> None:
    """Read and examine a source's file, have it acted upon, and report."""
    from gateway.records.ingest import require_source
    from gateway.records.mapping import parse_mapping
    from gateway.records.report import format_report_json, format_report_text
    from gateway.records.rows import examine
    from gateway.records.table import read_table

    read = parse_mapping(read_text(mapping))
    with file.open("rb") as counted:
        lines = sum(1 for _ in counted)
    with opened(state) as house, file.open(encoding="utf-8", newline="") as opened_file, progress() as bars:
        require_source(house, read.source)
        task = bars.add_task(doing, total=lines)
        examined = examine(read, house.policy, read_table(opened_file), house.clock())
        report = act(house, read.source, examined, lambda line: bars.update(task, completed=line))
    language: Language = "zh" if lang == "zh" else "en"
    if as_json:
        click.echo(format_report_json(report, language).decode())
    else:
        click.echo(format_report_text(report, language), nl=False)
    if lines and not report.rows and report.refused:
        fail("nothing could be read: the mapping and the header of the file do not fit; correct one of them")
