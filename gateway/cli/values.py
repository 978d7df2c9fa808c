"""Values on a command line, checked before anything is done: a wrong one is a usage error, exit status 2.

Invariant: what comes out is in the one form that the rest of the gateway uses: milliseconds since the
Unix epoch, canonical identifiers. No personal data is ever such a value: it is read from a file or asked.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar

import click

from gateway.cli.common import fail, read_text

F = TypeVar("F", bound=Callable[..., Any])

CHINA = timezone(timedelta(hours=8))
MS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000}
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

_DURATION = re.compile(r"([1-9][0-9]{0,5})([dhm])")
_REASON = re.compile(r"[a-z][a-z0-9-]{0,47}")
_URL = re.compile(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?")


def now() -> int:
    """The system clock, in milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000


class When(click.ParamType[int]):
    """A time: `2026-12-31` (midnight in China), `2026-12-31T08:00:00Z`, or `30d`, `12h`, `15m` from now.

    With `direction` -1 the last three mean ago.
    """

    name = "time"

    def __init__(self, direction: int = 1) -> None:
        self._direction = direction

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        duration = _DURATION.fullmatch(value)
        if duration is not None:
            return now() + self._direction * int(duration[1]) * MS[duration[2]]
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
        if moment is not None and len(value) == len("2026-12-31"):
            moment = moment.replace(tzinfo=CHINA)
        if moment is None or moment.tzinfo is None or moment.astimezone(UTC).year < 1970:
            self.fail("a time is written 2026-12-31, 2026-12-31T08:00:00Z, or as 30d, 12h, 15m", param, ctx)
        return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


class Matching(click.ParamType[str]):
    """Text of a fixed form."""

    def __init__(self, name: str, form: re.Pattern[str], explained: str) -> None:
        self.name = name
        self._form = form
        self._explained = explained

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not isinstance(value, str) or self._form.fullmatch(value) is None:
            self.fail(self._explained, param, ctx)
        return value


class Uscc(click.ParamType[str]):
    """A unified social credit code (统一社会信用代码), its check character included."""

    name = "uscc"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from keys.blind import canonical_uscc
        from keys.errors import BadIdentifier

        try:
            return canonical_uscc(value)
        except BadIdentifier as error:
            self.fail(str(error), param, ctx)


WHEN = When()
PAST = When(-1)
USCC = Uscc()
UUID_TEXT = Matching("uuid", UUID, "a UUID in small letters is meant, such as consent request prints")
REASON = Matching(
    "code", _REASON, "a reason is a code of small letters, digits and hyphens, e.g. misuse-found"
)
URL = Matching("url", _URL, "an address is scheme, host and port, e.g. https://credit.example.cn")
PURPOSE = Matching("code", re.compile(r"[0-9]{2}"), "a purpose code is two digits, e.g. 02")
ANSWER = Matching(
    "form",
    re.compile(r"report|predicate:[a-z][a-z0-9-]{0,47}"),
    "an answer is report or predicate:NAME, e.g. predicate:no-adverse-record-3y",
)
LOG_NAME = Matching(
    "log",
    re.compile(r"(?!.*://)[^\s+]+"),
    "the log's name is meant and no address, e.g. credit.example.cn/log0",
)
OPERATOR_ID = Matching(
    "operator", re.compile(r"op-[0-9a-f]{16}"), "an operator id looks like op-0123456789abcdef"
)
THUMBPRINT = Matching(
    "thumbprint",
    re.compile(r"[A-Za-z0-9_-]{43}"),
    "a key's thumbprint is 43 letters, digits, - and _, as `citizen keys` prints it",
)
OFFICER_ID = Matching(
    "officer",
    re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"),
    "an officer's id is letters, digits, dots, hyphens",
)


def person_option(*, required: bool = True) -> Callable[[F], F]:
    """`--person FILE`: a citizen number never stands on a command line, which other accounts can read."""
    asked = " Without it you are asked." if required else ""
    return click.option(
        "--person",
        "person_file",
        type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
        help="File with the citizen number on its first line and, if wanted, the name on its second; "
        f"- reads standard input.{asked}",
    )


def read_person(path: Path | None) -> tuple[str, str | None]:
    """The canonical citizen number and the name, if any. Raises keys.errors.BadIdentifier."""
    from keys.blind import canonical_citizen_number

    if path is None:
        if not sys.stdin.isatty():
            raise click.UsageError("name the file that holds the citizen number with --person")
        return canonical_citizen_number(click.prompt("Citizen number", hide_input=True, err=True)), None
    lines = [line.strip() for line in read_text(path).removeprefix("\ufeff").splitlines() if line.strip()]
    if not 1 <= len(lines) <= 2:
        fail(f"{path} should hold the citizen number and, if wanted, the name on a second line: correct it")
    return canonical_citizen_number(lines[0]), lines[1] if len(lines) == 2 else None
