"""`records import`: a rerun changes nothing; refusals name line, field and rule, and no cell is repeated."""

from __future__ import annotations

import json

import pytest

from tests.gateway.cli.town import BANK, MAPPING, PEOPLE, SOURCE, Shell, import_records


@pytest.fixture
def source(installed: Shell) -> Shell:
    """An installation with a source and no server."""
    installed.ok("institution", "add", SOURCE, "--name", "Source", "--sector", "source")
    return installed


def test_a_rerun_changes_nothing(source: Shell) -> None:
    first = import_records(source)
    assert (first["accepted"], first["unchanged"]) == (3, 0)
    size = source.json("ledger", "checkpoint")["size"]
    second = import_records(source)
    assert (second["accepted"], second["unchanged"]) == (0, 3)
    assert source.json("ledger", "checkpoint")["size"] == size


def test_the_report_names_line_field_and_rule_and_no_cell(source: Shell) -> None:
    import_records(source)
    files = (source.file("records.csv"), "--mapping", source.file("mapping.toml"))
    told = source.ok("records", "import", *files)
    assert "faith  forbidden" in told
    assert "line 3" in told
    assert "adverse-without-notice" in told
    assert "表头" in source.ok("records", "import", *files, "--lang", "zh")
    assert all(person.name not in told and person.citizen_number not in told for person in PEOPLE)


def test_what_stops_an_import_is_one_line(source: Shell) -> None:
    import_records(source)
    csv, mapping = source.file("records.csv"), source.file("mapping.toml")
    bad = source.file("bad.toml")
    bad.write_text("type = 1")
    assert "correct the mapping" in source.fails("records", "import", csv, "--mapping", bad)
    bad.write_text(MAPPING.replace(SOURCE, BANK), encoding="utf-8")
    assert "not registered" in source.fails("records", "import", csv, "--mapping", bad)
    empty = source.file("empty.csv")
    empty.write_text("")
    assert "first line" in source.fails("records", "import", empty, "--mapping", mapping)
    empty.write_bytes(b"\xff\xfe\x00")
    assert "UTF-8" in source.fails("records", "import", empty, "--mapping", mapping)
    assert "No such file" in source.fails("records", "import", source.file("none.csv"), "--mapping", mapping)


def test_a_file_that_does_not_fit_its_mapping_fails_after_its_report(source: Shell) -> None:
    import_records(source)
    other = source.file("other.csv")
    other.write_text("a,b\n1,2\n")
    result = source.run("records", "import", other, "--mapping", source.file("mapping.toml"), "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["by_rule"] == {"missing-field": 7}
    assert "do not fit" in result.stderr
