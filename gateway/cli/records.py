"""`chengxin records`: what sources (信源单位) send."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.common import State, fail, json_option, opened, pass_state, progress, read_text

INPUT = click.Path(path_type=Path, dir_okay=False)


@click.group(short_help="Import a source's records.")
def records() -> None:
    """Credit records."""


@records.command("import", short_help="Import a source's CSV file.")
@click.argument("file", type=INPUT)
@click.option("--mapping", type=INPUT, required=True, help="TOML that says what each column is.")
@click.option(
    "--lang", type=click.Choice(("en", "zh")), default="en", show_default=True, help="Language of the report."
)
@json_option
@pass_state
def import_(state: State, file: Path, mapping: Path, lang: str, as_json: bool) -> None:
    """Import a source's CSV file. A rerun changes nothing; what may not be stored is refused by line,
    field and rule, and the rest is stored: that is no failure, --json gives the counts to a script.

    \b
    chengxin records import loans.csv --mapping loans.toml
    """
    from gateway.records.ingest import ingest, require_source
    from gateway.records.mapping import parse_mapping
    from gateway.records.report import format_report_json, format_report_text
    from gateway.records.rows import examine
    from gateway.records.table import read_table

    read = parse_mapping(read_text(mapping))
    with file.open("rb") as counted:
        lines = sum(1 for _ in counted)
    with opened(state) as house, file.open(encoding="utf-8", newline="") as opened_file, progress() as bars:
        require_source(house, read.source)
        task = bars.add_task("importing", total=lines)
        examined = examine(read, house.policy, read_table(opened_file), house.clock())
        report = ingest(house, read.source, examined, lambda line: bars.update(task, completed=line))
    if as_json:
        click.echo(format_report_json(report, "zh" if lang == "zh" else "en").decode())
    else:
        click.echo(format_report_text(report, "zh" if lang == "zh" else "en"), nl=False)
    if lines and not report.rows and report.refused:
        fail("nothing could be read: the mapping and the header of the file do not fit; correct one of them")
