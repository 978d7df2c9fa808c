"""A town that was built by commands alone: what a newcomer types, against a server that really runs.

Nothing here calls a room of the gateway to change it; the server is the worker's own, behind another front.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import structlog
from click.testing import CliRunner, Result
from werkzeug.serving import WSGIRequestHandler, make_server

from gateway.cli import main
from gateway.config import Settings, load_settings
from gateway.demo.people import Born, Person, synthetic_people, synthetic_uscc
from gateway.server import Worker
from keys.custody.file import create_file_custody
from keys.custody.sealed_file import LEAST
from tests import databases
from tests.gateway.remembered import remembering, routes_remembered
from tests.loggers import as_found
from tests.ports import free_port

ORIGIN = "credit.example.cn/log0"
REGULATOR, REGISTRAR, BANK, SOURCE, OTHER_BANK = (synthetic_uscc(serial) for serial in range(5))
PEOPLE = synthetic_people(11, [Born(30, date(2026, 1, 1))] * 4)

MAPPING = f"""
type = "chengxin/mapping/v1"
source = "{SOURCE}"
reference = ["contract"]
[person]
citizen_number = "id"
name = "name"
[dates]
occurred_on = "happened"
notified_on = "told"
[columns.history]
kind = "repayment"
field = "repayment.history"
read = "table"
values = {{ late = "delay_in_the_past", fine = "paid_till_now" }}
adverse = ["late"]
[columns.years]
kind = "residence"
field = "residence.since_years"
read = "integer"
[columns.faith]
kind = "religion"
"""


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  the name is the base's
        """Say nothing."""


@dataclass(frozen=True)
class Shell:
    """Runs `chengxin --home HOME ...` in this process, as a script would: there is no terminal."""

    place: Path
    home: Path

    def run(self, *arguments: object, stdin: str | bytes | None = None) -> Result:
        return CliRunner().invoke(main, ["--home", str(self.home), *map(str, arguments)], input=stdin)

    def ok(self, *arguments: object, stdin: str | bytes | None = None) -> str:
        """Standard output of a command that must succeed."""
        result = self.run(*arguments, stdin=stdin)
        assert result.exit_code == 0, result.output
        return result.stdout

    def json(self, *arguments: object) -> Any:
        return json.loads(self.ok(*arguments, "--json"))

    def fails(self, *arguments: object, status: int = 1, stdin: str | bytes | None = None) -> str:
        """The one line, and the last, of a command that must fail."""
        result = self.run(*arguments, stdin=stdin)
        assert result.exit_code == status, result.output
        assert isinstance(result.exception, SystemExit), result.exception
        said = [line for line in result.stderr.splitlines() if line.startswith("chengxin")]
        assert len(said) == 1, result.stderr
        assert result.stderr.endswith(f"{said[0]}\n")
        return said[0]

    def file(self, name: str) -> Path:
        return self.place / name

    def person(self, person: Person) -> Path:
        """The file that holds a person's number and name."""
        path = self.file(f"person-{PEOPLE.index(person)}.txt")
        path.write_text(f"{person.citizen_number}\n{person.name}\n", encoding="utf-8")
        return path


def _log_errors(_settings: Settings) -> None:
    """What `gateway.logs.configure` does at level error, but nothing stays cached after the test."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


@contextmanager
def shell_in(place: Path) -> Iterator[Shell]:
    """A shell with an empty home, a clean environment, and an installation that is made and opened fast."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("CHENGXIN_")}
    with (
        as_found(),
        patch.dict(os.environ, kept, clear=True),
        patch("gateway.custody.create_file_custody", partial(create_file_custody, cost=LEAST)),
        patch("gateway.provision.migrate", databases.migrated_once),
        remembering(),
        patch("gateway.logs.configure", _log_errors),
        patch("gateway.server.configure", _log_errors),
    ):
        yield Shell(place, place / "home")


@contextmanager
def serving(shell: Shell) -> Iterator[None]:
    """The server of this home, on the port that its settings name."""
    settings = load_settings(shell.home)
    with routes_remembered():
        worker = Worker(settings)
    server = make_server("127.0.0.1", settings.port, worker.app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
    worker.start()
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        worker.stop()


def init(shell: Shell) -> str:
    """`chengxin init`, as a demo on loopback."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    return shell.ok("init", "--demo", "--origin", ORIGIN, "--port", port, "--public-url", url)


def settle(shell: Shell) -> None:
    """Regulator, registrar with two officers, banks, source, operators: keys first, then registration."""
    shell.ok("regulator", "keygen", "--out", shell.file("regulator.jwk"))
    for name in ("registrar", "officer-a", "officer-b"):
        shell.ok("registrar", "keygen", "--out", shell.file(f"{name}.jwk"))
    for name in ("operator", "other-operator"):
        shell.ok("operator", "keygen", "--out", shell.file(f"{name}.jwk"))
    brought = {"regulator": shell.file("regulator.jwk.pub"), "registrar": shell.file("registrar.jwk.pub")}
    for uscc, name, sector in (
        (REGULATOR, "Regulator", "regulator"),
        (REGISTRAR, "Registrar", "registrar"),
        (BANK, "示范银行", "finance"),
        (OTHER_BANK, "Other Bank", "finance"),
        (SOURCE, "Source", "source"),
    ):
        key = ("--public", brought[sector]) if sector in brought else ()
        shell.ok("institution", "add", uscc, "--name", name, "--sector", sector, *key)
    for officer in ("officer-a", "officer-b"):
        certify_officer(shell, officer)
    for institution, name in ((BANK, "operator"), (OTHER_BANK, "other-operator")):
        key_file = shell.file(f"{name}.jwk.pub")
        shell.ok("operator", "add", "--institution", institution, "--public", key_file, "--role", "query")


def certify_officer(shell: Shell, officer: str) -> None:
    """The registrar certifies the key in `officer`.jwk.pub."""
    shell.ok("registrar", "officer", officer, "--registrar", REGISTRAR,
             "--key", shell.file("registrar.jwk"), "--public", shell.file(f"{officer}.jwk.pub"),
             "--out", shell.file(f"{officer}.cert"))  # fmt: skip


def draft(shell: Shell, person: Person, name: str, *, out: str) -> None:
    """The first officer drafts and signs a certificate of the key in `name`.jwk.pub."""
    shell.ok("registrar", "certify", "--registrar-key", shell.file("registrar.jwk.pub"),
             "--key", shell.file("officer-a.jwk"), "--officer", shell.file("officer-a.cert"),
             "--with", "officer-b", "--gateway", ORIGIN, "--citizen-key", shell.file(f"{name}.jwk.pub"),
             "--person", shell.person(person), "--out", shell.file(out))  # fmt: skip


def second(
    shell: Shell, draft_file: str, person: Person, out: str, officer: str = "officer-b"
) -> list[object]:
    """The arguments with which a second officer signs a draft."""
    return ["registrar", "certify", shell.file(draft_file),
            "--registrar-key", shell.file("registrar.jwk.pub"),
            "--key", shell.file(f"{officer}.jwk"), "--officer", shell.file(f"{officer}.cert"),
            "--person", shell.person(person), "--out", shell.file(out)]  # fmt: skip


def enrol(shell: Shell, person: Person, name: str, *, alg: str = "Ed25519") -> None:
    """A citizen makes a key, two officers certify it, the citizen enrols it."""
    shell.ok("citizen", "keygen", "--alg", alg, "--out", shell.file(f"{name}.jwk"))
    draft(shell, person, name, out=f"{name}.draft")
    shell.ok(*second(shell, f"{name}.draft", person, f"{name}.certificate"))
    shell.ok("citizen", "enrol", "--key", shell.file(f"{name}.jwk"), "--certificate",
             shell.file(f"{name}.certificate"), "--person", shell.person(person))  # fmt: skip


def import_records(shell: Shell) -> Any:
    """A source's file: a religion that nobody may store, and an adverse record nobody was told of."""
    first, other, *_ = PEOPLE
    rows = [
        "id,name,contract,happened,told,history,years,faith",
        f"{first.citizen_number},{first.name},A-1,2025-03-01,2025-03-10,late,4,none",
        f"{other.citizen_number},{other.name},A-2,2025-03-01,,late,7,none",
    ]
    shell.file("records.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    shell.file("mapping.toml").write_text(MAPPING, encoding="utf-8")
    return shell.json("records", "import", shell.file("records.csv"), "--mapping", shell.file("mapping.toml"))


def ask(shell: Shell, person: Person, out: str, *more: object, key: str = "operator") -> Any:
    """The bank asks for a consent; the request file is `out`."""
    return shell.json("consent", "request", "--key", shell.file(f"{key}.jwk"),
                      "--person", shell.person(person), "--purpose", "01",
                      "--category", "repayment", "--category", "employment",
                      "--out", shell.file(out), *more)  # fmt: skip


def consented(shell: Shell, person: Person, name: str, tag: str, *more: object) -> str:
    """A fresh consent of an enrolled citizen, granted; its id. The signed consent is `tag`.consent."""
    asked = ask(shell, person, f"{tag}.request", *more)
    shell.ok("consent", "sign", shell.file(f"{tag}.request"), "--key", shell.file(f"{name}.jwk"),
             "--out", shell.file(f"{tag}.consent"), "--send")  # fmt: skip
    consent: str = asked["consent_id"]
    return consent


def query(shell: Shell, consent: str, *more: object, category: str = "repayment") -> list[object]:
    """The arguments of the bank's query."""
    return ["query", "--key", shell.file("operator.jwk"), "--consent-id", consent, "--purpose", "01",
            "--category", category, *more]  # fmt: skip
