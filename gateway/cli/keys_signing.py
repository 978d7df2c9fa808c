"""`chengxin keys rotate receipt|checkpoint` and `keys revoke`: the gateway's own signing keys.

Invariant: beside a running server these commands only append and ask; the server's workers follow the ledger.
Cut short, each is run again and goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click

from gateway.cli.common import State, json_option, note, opened, pass_state, progress, show_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.house import House
    from gateway.rotation.own import Replaced
    from gateway.signers import OwnUse

_STEPS = 3


@click.command(short_help="Replace the key that signs receipts.")
@json_option
@pass_state
def receipt(state: State, as_json: bool) -> None:
    """Sign receipts with a new key from now on. Older ones stay valid under the old key.

    The old private key is destroyed: by the running server a minute later, or at once where none runs.

    \b
    chengxin keys rotate receipt
    """
    from gateway.rotation.own import rotate_own

    _run(state, "receipt", as_json, lambda house: rotate_own(house, "receipt"))


@click.command(short_help="Replace the key that signs checkpoints.")
@json_option
@pass_state
def checkpoint(state: State, as_json: bool) -> None:
    """Sign checkpoints with a new key from now on, and publish the first. Clients and auditors follow.

    \b
    chengxin keys rotate checkpoint
    """
    from gateway.rotation.own import rotate_own

    _run(state, "checkpoint", as_json, lambda house: rotate_own(house, "checkpoint"))


@click.command(short_help="End a signing key that is lost or in wrong hands.")
@click.argument("use", type=click.Choice(("receipt", "checkpoint")))
@click.option(
    "--cause", type=click.Choice(("lost", "compromised")), required=True, help="What happened to it."
)
@json_option
@pass_state
def revoke(state: State, use: OwnUse, cause: Any, as_json: bool) -> None:
    """End a key of the gateway's own without its signature, and publish another in its place.

    Nobody who pinned the old key follows by themselves: hand the new one out as you did the first.

    \b
    chengxin keys revoke receipt --cause compromised
    """
    from gateway.rotation.own import replace_own

    _run(state, use, as_json, lambda house: replace_own(house, use, cause))
    note("hand the new key out: whoever pinned the old one needs another pin")


def _run(state: State, use: OwnUse, as_json: bool, replace: Callable[[House], Replaced]) -> None:
    """Replace, publish, destroy what is no longer needed, and say what stands."""
    from gateway.cli.publication import newest_checkpoint
    from gateway.rotation.own import retire_ended, unfinished

    with opened(state) as house, progress() as bars:
        bar = bars.add_task(f"{use} key", total=_STEPS)
        done = replace(house)
        bars.advance(bar)
        newest_checkpoint(house)
        bars.advance(bar)
        with _idle(house) as idle:
            retire_ended(house, idle=idle)
        bars.advance(bar)
        waits = unfinished(house, use)
    if as_json:
        members = {"use": use, "index": done.index, "kid": done.kid, "resumed": done.resumed}
        show_json(members | {"old_destroyed": not waits})
        return
    old = (
        "the running server destroys the old one within two minutes" if waits else "the old one is destroyed"
    )
    again = ", as an earlier run began" if done.resumed else ""
    click.echo(f"{use} key {done.kid} from index {done.index} on{again}; {old}")


@contextmanager
def _idle(house: House) -> Iterator[bool]:
    """Whether no server runs on this home, which none can begin to while this is held."""
    from contextlib import ExitStack

    from gateway.errors import NotReady
    from gateway.locks import sole_publisher

    with ExitStack() as lock:
        idle = False
        with suppress(NotReady):
            lock.enter_context(sole_publisher(house.settings.home))
            idle = True
        yield idle
