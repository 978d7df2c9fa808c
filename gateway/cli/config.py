"""`chengxin config`: the settings in force, and what may be set."""

from __future__ import annotations

import click

from gateway.cli.common import State, json_option, pass_state, show_json, show_table


@click.group(short_help="Show the settings.")
def config() -> None:
    """The settings."""


@config.command(short_help="Show every setting.")
@json_option
@pass_state
def show(state: State, as_json: bool) -> None:
    """Show every setting: its value, its variable, what it is for. No secret is a setting.

    \b
    chengxin --home /srv/chengxin config show
    """
    from gateway.config import CONFIG_NAME, CONFIG_VARIABLE, format_setting, settings_table

    settings = state.settings()
    rows = [row for row in settings_table() if row.name]
    values = {row.name: format_setting(getattr(settings, row.name)) for row in rows}
    if as_json:
        show_json(values)
        return
    show_table(
        ("setting", "value", "variable", "what it is"),
        [(r.name, values[r.name], r.env, r.description) for r in rows],
    )
    click.echo(
        f"\nSet them in {settings.home / CONFIG_NAME}, in the environment, "
        f"or in the file that {CONFIG_VARIABLE} names."
    )
