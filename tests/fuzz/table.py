"""The table of every parser and formatter of the packages, and which are not in it and why."""

from __future__ import annotations

from tests.fuzz.pairs import Pair
from tests.fuzz.rows_consent import CONSENT
from tests.fuzz.rows_gateway import GATEWAY
from tests.fuzz.rows_keys import KEYS
from tests.fuzz.rows_ledger import LEDGER

TABLE: list[Pair] = [*KEYS, *CONSENT, *LEDGER, *GATEWAY]
BY_NAME: dict[str, Pair] = {pair.name: pair for pair in TABLE}

EXCEPTED = {
    "gateway.http.wire:parse_body": "`parse_json_strict` of the table, into a shape that has no formatter",
    "gateway.http.whole:parse_whole": "held to gunicorn's own parser: tests/gateway/http/test_whole.py",
    "keys.canonical:parse_stored": "reads only bytes whose MAC held: what `canonical` wrote, by this house",
    "gateway.consents.grant:parse_grant": "reads no text: two parsers of the table, over a body that is read",
    "gateway.config:format_setting": "one value for people and the environment; `format_config` writes files",
    "gateway.config:format_config": "read back by pydantic: tests/gateway/test_config.py holds both together",
    "gateway.records.report:format_report_json": "a report: nothing reads it back",
    "gateway.records.report:format_report_text": "a report for people",
}
"""Public `parse_*` and `format_*` that are not in the table, and why."""
