"""One target under atheris, in a process of its own: `tests.fuzz.harness TARGET CORPUS [OPTION ...]`.

The options are libFuzzer's; it ends with a failure and the input that made it, or after its runs. `--plant`
puts a fault into one parser first, so that a test can see that it is found.
"""

from __future__ import annotations

import sys
from dataclasses import replace

import atheris

INSTRUMENTED = ["keys", "consent", "ledger", "gateway.http.profile"]


def _plant() -> None:
    """`parse_checkpoint` of somebody who lets extension lines stand, as other logs have them."""
    from ledger.checkpoint import Checkpoint, parse_checkpoint
    from tests.fuzz import targets
    from tests.fuzz.pairs import PLAIN, accepts

    def lax(data: bytes) -> Checkpoint:
        lines = data.decode(*PLAIN).split("\n")
        return parse_checkpoint("\n".join([*lines[:3], ""]))

    pair = replace(targets.BY_NAME["ledger.checkpoint:parse_checkpoint"], read=lax)
    planted = replace(targets.TARGETS["note"][1], try_on=lambda data: accepts(pair, data))
    targets.TARGETS["note"] = (planted,)


def main() -> None:
    """Fuzz one target until its runs are over."""
    name, options = sys.argv[1], [option for option in sys.argv[2:] if option != "--plant"]
    with atheris.instrument_imports(include=INSTRUMENTED, enable_loader_override=False):
        from tests.fuzz import targets
    if "--plant" in sys.argv:
        _plant()
    atheris.Setup([sys.argv[0], *options], lambda data: targets.run_one(name, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
