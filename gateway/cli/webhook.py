"""`chengxin webhook`: where institutions have their events sent."""

from __future__ import annotations

import click

from gateway.cli.common import State, fail, json_option, opened, pass_state, show_json, show_table
from gateway.cli.values import USCC


@click.group(short_help="Where institutions have events sent.")
def webhook() -> None:
    """Webhooks: events are sent in the order of the ledger, each until it is acknowledged."""


@webhook.command("set", short_help="Send an institution's events there.")
@click.argument("uscc", type=USCC)
@click.option("--url", required=True, help="https address of the receiver, with a path.")
@pass_state
def set_(state: State, uscc: str, url: str) -> None:
    """Send an institution's events to an address from now on, or go on there with those not acknowledged yet.

    \b
    chengxin webhook set 91990000DEMA00003T --url https://events.bank.example.cn/chengxin
    """
    from gateway.events.webhooks import set_webhook

    with opened(state) as house:
        after = set_webhook(house, uscc, url)
    click.echo(f"events of {uscc} after number {after} go to {url}")


@webhook.command(short_help="Send nothing there any more.")
@click.argument("uscc", type=USCC)
@pass_state
def remove(state: State, uscc: str) -> None:
    """Send an institution nothing any more; it can still ask (GET /v1/events).

    \b
    chengxin webhook remove 91990000DEMA00003T
    """
    from gateway.events.webhooks import remove_webhook

    with opened(state) as house:
        remove_webhook(house, uscc)
    click.echo(f"removed the webhook of {uscc}")


@webhook.command(short_help="Try again what failed.")
@click.argument("uscc", type=USCC)
@pass_state
def resume(state: State, uscc: str) -> None:
    """Try again now: a webhook that failed for days is paused, and one that fails waits.

    \b
    chengxin webhook resume 91990000DEMA00003T
    """
    from gateway.events.webhooks import resume_webhook

    with opened(state) as house:
        after = resume_webhook(house, uscc)
    click.echo(f"the webhook of {uscc} goes on after number {after}")


@webhook.command("list", short_help="List webhooks and their state.")
@json_option
@pass_state
def list_(state: State, as_json: bool) -> None:
    """List webhooks: state, how many events wait, and why the last try failed.

    \b
    chengxin webhook list
    """
    from gateway.events.webhooks import listed
    from keys.instant import format_instant

    with opened(state) as house:
        found = listed(house)
    for row in found:
        for name in ("next_at", "failing_since"):
            row[name] = format_instant(row[name]) if row[name] else None
    if as_json:
        show_json(found)
        return
    show_table(
        ("institution", "state", "delivered", "waiting", "why", "next try", "address"),
        [
            (r["institution"], r["state"], r["delivered"], r["waiting"], r["why"], r["next_at"], r["url"])
            for r in found
        ],
    )


@webhook.command(short_help="Send a test event.")
@click.argument("uscc", type=USCC)
@pass_state
def test(state: State, uscc: str) -> None:
    """Send one event of kind `test`, signed like the others; it has number 0 and tells nothing.

    \b
    chengxin webhook test 91990000DEMA00003T
    """
    from gateway.events.sending import probe_body, send
    from gateway.events.webhooks import webhook_of
    from keys.instant import format_instant

    with opened(state) as house:
        row = webhook_of(house, uscc)
        why = send(house, row["url"], probe_body(house, uscc, format_instant(house.clock())))
    if why is not None:
        fail(f"the receiver did not acknowledge the test ({why}): check that it answers 2xx at {row['url']}")
    click.echo(f"{row['url']} acknowledged the test")
