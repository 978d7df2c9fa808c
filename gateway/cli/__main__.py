"""`python -m gateway.cli`: the command, where no script of that name is installed."""

from __future__ import annotations

from gateway.cli import main

main(prog_name="chengxin")
