"""Erasing what is due in a process of its own, a line for each person: `python -m ... HOME`."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import structlog

from gateway.config import load_settings
from gateway.erasure.due import erase_due
from gateway.opening import open_house


def tell(done: int) -> None:
    """Say how far it is, and wait to be told to go on: so the parent knows where it ends."""
    sys.stdout.write(f"{done}\n")
    sys.stdout.flush()
    sys.stdin.readline()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    erase_due(open_house(load_settings(Path(sys.argv[1]))), tell)
    sys.stdout.write("ended\n")
