"""What the main story and the evidence check at their end: an export, and what an insider made of a copy.

Invariant: everything here works on an export or on copies. The export is made by the command that a
stranger would use, and is verified in a process that has neither the gateway nor its database.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gateway.client.keyfile import read_jwk, read_public_key
from gateway.demo.acts import PURPOSE
from gateway.demo.copies import Target
from gateway.demo.database import Kept
from gateway.demo.failure import DemoFailed
from gateway.demo.home import Shelf
from gateway.demo.parties import BANK, REGISTRAR
from gateway.demo.server_process import command, run
from gateway.demo.stage import Life, Stage, shown
from gateway.institutions.register import listed
from keys.notes import format_vkey
from ledger.verify.auditor import Trust

NOW: Final = "now.db"
_ATTACKED: Final = "loan"


def export(stage: Stage, directory: Path) -> None:
    """`chengxin ledger export`, beside the running server."""
    run(command(stage.home, "ledger", "export", "--to", str(directory)))


def verified(words: list[str]) -> Mapping[str, Any]:
    """What the verifier says of an export, as JSON. Raises DemoFailed unless all of it is sound."""
    found: dict[str, Any] = json.loads(run([sys.executable, *words, "--json"]))
    if not found.get("ok"):
        raise DemoFailed("the exported ledger does not verify")
    return found


def verify_words(stage: Stage, directory: Path, shelf: Shelf) -> list[str]:
    """The verifier's command without the interpreter: everything pinned, paths as typed here.

    The checkpoint that the bank kept is pinned too, when there is one on the shelf.
    """
    files = stage.cast.files
    return [
        "-m",
        "ledger.verify",
        shown(directory),
        "--vkey",
        format_vkey(stage.pins.vkey),
        "--registrar",
        f"{REGISTRAR.uscc}={shown(files.registrar_public)}",
        "--regulator-key",
        shown(files.regulator),
        *(("--kept", shown(shelf.kept)) if shelf.kept.exists() else ()),
    ]


def show_words(stage: Stage, life: Life) -> list[str]:
    """`chengxin ledger show` on an export: its queries, with the details that the regulator opens."""
    regulator = shown(stage.cast.files.regulator)
    return ["ledger", "show", shown(life.shelf.export), "--type", "query", "--regulator-key", regulator]


def target(stage: Stage, life: Life, now: Kept) -> Target:
    """What the insider goes after: the state as it is `now`, and this one consent in it."""
    files = stage.cast.files
    pinned = {REGISTRAR.uscc: (read_public_key(files.registrar_public),)}
    operator = next(
        row["operator"] for row in listed(stage.house, "operator") if row["institution"] == BANK.uscc
    )
    return Target(
        home=stage.home.path,
        trust=Trust(stage.pins.vkey, pinned, read_jwk(files.regulator)),
        pins=stage.pins,
        operator=stage.cast.operator,
        by={"institution": BANK.uscc, "operator": operator},
        purpose=PURPOSE,
        category=_ATTACKED,
        withdrawn=life.consent,
        answered_at=life.answered_at,
        withdrawn_at=life.withdrawn_at,
        live=life.live_consent,
        now=now,
        before_withdrawal=life.before_withdrawal,
    )
