"""Logs: one event a line, by structlog. Events name nouns and codes; no value of a person ever reaches a
call.
"""

from __future__ import annotations

import logging
import sys

import structlog

from gateway.config import Settings


def configure(settings: Settings) -> None:
    """Write events of the configured level to standard error, as JSON or for people."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, settings.log_level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
