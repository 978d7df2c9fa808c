"""`chengxin notice`: notices to citizens, as the operator of the gateway sees them: never to whom."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli.common import FILE, State, fail, json_option, opened, pass_state, show_json, show_table


@click.group(short_help="Notices to citizens.")
def notice() -> None:
    """Notices say that there is news in one's credit account, and nothing of it."""


@notice.command(short_help="How many wait, were sent, were given up.")
@json_option
@pass_state
def status(state: State, as_json: bool) -> None:
    """Show which channels are on, and how many notices of each kind wait, were sent or were given up.

    \b
    chengxin notice status
    """
    from gateway.notices.outbox import counts
    from gateway.notices.senders import channels_on

    with opened(state) as house:
        on, found = sorted(channels_on(house.settings)), counts(house)
    if as_json:
        show_json({"channels": on, "notices": found})
        return
    click.echo(f"channels: {', '.join(on) or 'none is on (see notice_email and notice_sms)'}")
    show_table(
        ("channel", "notice", "state", "count"),
        [(row["channel"], row["template"], row["state"], row["count"]) for row in found],
    )


@notice.command(short_help="Send one test notice.")
@click.option("--channel", type=click.Choice(("email", "sms")), required=True, help="How it is sent.")
@click.option("--to", "to_file", type=FILE, required=True, help="File with the address, on one line.")
@click.option(
    "--lang", type=click.Choice(("en", "zh-CN")), default="en", show_default=True, help="Language of it."
)
@pass_state
def test(state: State, channel: str, to_file: Path, lang: str) -> None:
    """Send one test notice to an address of yours, past the outbox, and say what the sender said.

    \b
    chengxin notice test --channel email --to my-address.txt
    """
    from gateway.cli.contact import read_address
    from gateway.notices.senders import Message, Sent, senders_of
    from gateway.notices.templates import render

    address = read_address(to_file, channel)
    with opened(state) as house:
        sender = senders_of(house.settings).get(channel)
        if sender is None:
            fail(f"{channel} is not on: set notice_{channel} and what belongs to it")
        text = render("test", lang, house.settings.public_url)
        outcome = sender.send(Message(house.random(16).hex(), address, text, house.clock()))
    if not isinstance(outcome, Sent):
        fail(f"the test was not taken over ({outcome.why}): check the settings of {channel}")
    click.echo("the sender took the test over")
