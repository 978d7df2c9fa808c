"""Logs: one event a line, by structlog.

Invariant: events name nouns and codes; no value of a person ever reaches a call.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog

from gateway.config import Settings


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Write events of the configured level to `stream` (standard error), as JSON or for people."""
    out = sys.stderr if stream is None else stream
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=out.isatty())
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, settings.log_level.upper())),
        logger_factory=structlog.PrintLoggerFactory(out),
        cache_logger_on_first_use=True,
    )
