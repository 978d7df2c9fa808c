"""structlog as a test finds it and leaves it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog


@contextmanager
def as_found() -> Iterator[None]:
    """What the block configures, and what it has loggers keep for good as a server does, ends with it."""
    before = structlog.get_config() if structlog.is_configured() else None
    uncache_loggers()
    try:
        yield
    finally:
        structlog.reset_defaults() if before is None else structlog.configure(**before)
        uncache_loggers()


def uncache_loggers() -> None:
    """Have the loggers of our modules look at structlog's configuration again."""
    for name, module in sys.modules.copy().items():  # other threads import meanwhile
        if name.startswith(("gateway.", "ledger.")) and hasattr(module, "log"):
            vars(module.log).pop("bind", None)
