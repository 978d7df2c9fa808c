"""`chengxin database`: its schema, and on PostgreSQL who may do what in it.

Invariant: these are the only commands that log in as the owner of the tables (`database_owner_url`); the
gateway itself never does. Each may be run again at any time and then changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from gateway.cli.common import State, fail, json_option, pass_state, show_json, show_pairs

if TYPE_CHECKING:
    from gateway.config import Settings


@click.group(short_help="Schema and rights of the database.")
def database() -> None:
    """The database: its schema and, on PostgreSQL, the rights of owner, gateway and auditors."""


@database.command(short_help="Bring the schema to this release's.")
@pass_state
def migrate(state: State) -> None:
    """Bring the schema to this release's, and the rights with it. Stop the server first, and back up.

    \b
    chengxin database migrate
    """
    from gateway import db, provision

    settings = state.settings()
    if settings.database_file is not None and not settings.database_file.exists():
        fail(f"{settings.database_file} is not there: run `chengxin init` first")
    before = provision.schema_of(settings)
    provision.migrate(settings)
    after = db.newest_revision()
    click.echo(f"{before or 'no schema'} -> {after}" if before != after else f"{after}, nothing to do")


@database.command(short_help="Give each role its rights, and no more (PostgreSQL).")
@pass_state
def grant(state: State) -> None:
    """Give the gateway's login and the auditors their rights, and take all others away (PostgreSQL).

    \b
    chengxin database grant
    """
    from gateway import provision

    provision.grant(_on_postgresql(state))
    click.echo("chengxin_runtime and chengxin_auditor have what they need, and no more")


@database.command(short_help="Print the SQL of the rights, for an administrator (PostgreSQL).")
@pass_state
def sql(state: State) -> None:
    """Print what `grant` would run, for an administrator to read and run. Nothing is connected to.

    \b
    chengxin database sql | psql --dbname=chengxin
    """
    from sqlalchemy import make_url

    from gateway import grants

    settings = _on_postgresql(state)
    owner, runtime = make_url(settings.database_owner_url), make_url(settings.database_url)
    click.echo(grants.script(owner.username or "", runtime.username or "", owner.database or ""), nl=False)


@database.command(short_help="Let a login audit this log (PostgreSQL).")
@click.argument("login")
@click.option("--remove", is_flag=True, help="Take it back.")
@pass_state
def auditor(state: State, login: str, remove: bool) -> None:
    """Let LOGIN, which an administrator has made, read this log up to its published checkpoint (PostgreSQL).

    \b
    chengxin database auditor inspector_wang
    """
    from gateway import grants, provision
    from gateway.house import SHARD

    settings = _on_postgresql(state)
    engine = provision.owner_engine(settings)
    try:
        grants.assign_auditor(engine, login, SHARD, remove=remove)
    finally:
        engine.dispose()
    click.echo(f"{login} may read log {SHARD}" + (" no longer" if remove else ""))


@database.command(short_help="Show engine, schema and what the gateway's login may do.")
@json_option
@pass_state
def status(state: State, as_json: bool) -> None:
    """Show engine, schema and what the gateway's login may do beyond its work.

    \b
    chengxin database status
    """
    from gateway import db, provision

    settings = state.settings()
    if settings.database_file is not None and not settings.database_file.exists():
        fail(f"{settings.database_file} is not there: run `chengxin init` first")
    shown = provision.status(settings) | {"needs": db.newest_revision()}
    if as_json:
        show_json(shown)
    else:
        show_pairs(shown)


def _on_postgresql(state: State) -> Settings:
    settings = state.settings()
    if settings.database_file is not None:
        fail("this installation is on SQLite, which has no roles: its file's owner and mode protect it")
    return settings
