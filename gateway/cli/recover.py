"""`chengxin ledger recover` and `reopen`: two ways back for a database that was put back behind its log."""

from __future__ import annotations

from dataclasses import asdict

import click

from gateway.cli.common import State, json_option, pass_state, progress, show_json


@click.command(short_help="Bring back what a restored database lacks, from the tiles.")
@json_option
@pass_state
def recover(state: State, as_json: bool) -> None:
    """Bring back, from the log's own tiles, the entries that came after a restored backup.

    What those entries ended stays ended. What they began (consents, records, enrolments) has to be sent
    again: it is listed. Stop the server first.

    \b
    chengxin ledger recover
    """
    from gateway.locks import sole_publisher
    from gateway.logs import configure
    from gateway.opening import open_house
    from gateway.publishing import publish
    from gateway.recovery.replay import recover as replay
    from gateway.recovery.standing import standing_of

    settings = state.settings()
    configure(settings)
    with sole_publisher(settings.home), progress() as bars:
        found = standing_of(settings)
        house = open_house(settings, behind=True)
        try:
            task = bars.add_task("entries", total=max(found.tiles - found.database, 0))
            done = replay(house, lambda some: bars.update(task, advance=some))
            publish(house)
        finally:
            house.engine.dispose()
            house.custody.close()
    if as_json:
        show_json({"since": done.since, "size": done.size, "index": done.index, "void": dict(done.void)})
        return
    click.echo(f"{done.size - done.since} entries are back; entry {done.index} says so")
    for what, count in sorted(done.void.items()):
        click.echo(f"  to be sent again: {count} {what}")


@click.command(short_help="Open a new log where the old one's entries are lost.")
@click.argument("origin")
@click.option("--yes", is_flag=True, help="Do not ask again.")
@json_option
@pass_state
def reopen(state: State, origin: str, yes: bool, as_json: bool) -> None:
    """Open the log ORIGIN in the place of one whose newest entries are lost, tiles and all.

    It names the old log's last checkpoint. Every consent is carried over suspended, until its citizen
    confirms it. Afterwards set `origin` to ORIGIN in the settings. Stop the server first.

    \b
    chengxin ledger reopen credit.example.cn/log1
    """
    from gateway.locks import sole_publisher
    from gateway.logs import configure
    from gateway.opening import open_house
    from gateway.recovery.reopen import reopen as open_next

    settings = state.settings()
    configure(settings)
    if not yes:
        click.confirm(f"Give up {settings.origin} and go on as {origin}?", abort=True)
    with sole_publisher(settings.home):
        house = open_house(settings, behind=True)
        try:
            done = open_next(house, origin)
        finally:
            house.engine.dispose()
            house.custody.close()
    carried = asdict(done.carried)
    if as_json:
        show_json({"origin": done.origin, "previous": done.previous.size, "size": done.size, **carried})
        return
    click.echo(f"{done.origin} continues {done.previous.origin} after {done.previous.size} entries")
    for what, count in carried.items():
        click.echo(f"  {count} {what}")
    click.echo(f"now set origin = {done.origin!r} in the settings, and give everybody the new verifier key")
