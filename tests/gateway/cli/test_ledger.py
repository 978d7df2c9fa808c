"""The log from the outside: checkpoints, proofs, exports that replay, and what `show` lets through."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keys.notes import parse_vkey
from ledger.checkpoint import open_checkpoint
from ledger.proof import parse_proof, verify_proof
from tests.gateway.cli.town import BANK, ORIGIN, PEOPLE, REGISTRAR, Shell, consented, query


@pytest.fixture(scope="module")
def exported(town: Shell) -> Path:
    """An export of a log in which something was answered and something refused."""
    consent = consented(town, PEOPLE[0], "citizen", "exported")
    town.ok(*query(town, consent))
    town.fails(*query(town, consent))
    directory = town.file("export")
    told = town.ok("ledger", "export", "--to", directory)
    assert f"python -m ledger.verify {directory} --vkey {ORIGIN}+" in told
    return directory


def regulator(town: Shell) -> tuple[object, ...]:
    return ("--regulator-key", town.file("regulator.jwk"))


def shown(town: Shell, directory: Path, *filters: object) -> list[dict[str, object]]:
    return [
        json.loads(line) for line in town.ok("ledger", "show", directory, *filters, "--json").splitlines()
    ]


def test_beside_a_server_a_checkpoint_covers_everything_committed(town: Shell) -> None:
    entry = town.ok("institution", "suspend", REGISTRAR, "--reason", "drill")
    index = int(entry.rpartition(" ")[2])
    found = town.json("ledger", "checkpoint")
    assert found["size"] > index
    opened = open_checkpoint(found["note"].encode(), parse_vkey(town.ok("ledger", "vkey").strip()))
    assert (opened.origin, opened.size, opened.root.hex()) == (ORIGIN, found["size"], found["root"])
    town.ok("institution", "reinstate", REGISTRAR, "--reason", "drill-over")


def test_a_proof_verifies_offline(town: Shell) -> None:
    proof = town.json("ledger", "proof", 0)
    vkey = parse_vkey(town.ok("ledger", "vkey").strip())
    checkpoint = verify_proof(parse_proof(proof["proof"].encode()), bytes.fromhex(proof["leaf"]), vkey)
    assert checkpoint.size == proof["size"]
    town.ok("ledger", "proof", 1, "--out", town.file("proof-1.txt"))
    assert parse_proof(town.file("proof-1.txt").read_bytes()).index == 1
    assert town.ok("ledger", "proof", 1).startswith("c2sp.org/tlog-proof@v1\nindex 1\n")
    assert "no leaf" in town.fails("ledger", "proof", 10**9)


def test_an_export_verifies_with_and_without_secrets(town: Shell, exported: Path) -> None:
    pin = ("--registrar", f"{REGISTRAR}={town.file('registrar.jwk.pub')}", "--kept", exported / "checkpoint")
    assert town.json("ledger", "verify", exported, *pin, *regulator(town))["not_checked"] == []
    assert "in order" in town.ok("ledger", "verify", exported)
    key = town.file("exposed-regulator.jwk")
    key.write_bytes(town.file("regulator.jwk").read_bytes())
    key.chmod(0o640)
    assert "chmod 600" in town.fails("ledger", "verify", exported, "--regulator-key", key)
    assert town.run("ledger", "verify", town.file("none"), "--vkey", "x").exit_code == 2


def test_an_altered_export_is_found_wrong(town: Shell, exported: Path) -> None:
    town.ok("ledger", "export", "--to", town.file("altered"))
    bundle = next((town.file("altered") / "tile" / "entries").rglob("*"))
    while bundle.is_dir():
        bundle = next(bundle.iterdir())
    bundle.write_bytes(bundle.read_bytes().replace(BANK.encode(), REGISTRAR.encode()))
    result = town.run("ledger", "verify", town.file("altered"))
    assert result.exit_code == 1
    assert result.stdout.startswith("WRONG: leaf ")
    assert "ledger verify" in town.fails("ledger", "show", town.file("altered"), "--type", "query")


def test_an_export_never_overwrites_and_can_leave_sealed_details_out(town: Shell, exported: Path) -> None:
    assert "not empty" in town.fails("ledger", "export", "--to", exported)
    done = town.json("ledger", "export", "--to", town.file("public"), "--no-sealed")
    assert done["sealed"] == 0
    assert not (town.file("public") / "sealed").exists()
    assert "in order" in town.ok("ledger", "verify", town.file("public"))
    looked = town.run("ledger", "show", town.file("public"), "--type", "query", *regulator(town))
    assert "sealed details are missing" in looked.stderr


def test_show_filters_by_type_party_and_time(town: Shell, exported: Path) -> None:
    everything = shown(town, exported)
    assert [leaf["index"] for leaf in everything] == list(range(len(everything)))
    queries = shown(town, exported, "--type", "query")
    assert {leaf["type"] for leaf in queries} == {"query.disclosed", "query.refused"}
    assert {leaf["type"] for leaf in shown(town, exported, "--type", "query.refused")} == {"query.refused"}
    by_bank = shown(town, exported, "--institution", BANK)
    assert {"institution.registered", "consent.granted", "query.disclosed"} <= {
        leaf["type"] for leaf in by_bank
    }
    assert "log.opened" not in {leaf["type"] for leaf in by_bank}
    operator = queries[0]["by"]["operator"]
    assert len(shown(town, exported, "--operator", operator, "--type", "query.disclosed")) == 1
    at = str(queries[0]["at"])
    before, after = shown(town, exported, "--until", at), shown(town, exported, "--since", at)
    assert len(before) + len(after) == len(everything)
    assert after[0]["index"] == queries[0]["index"] or after[0]["at"] == at
    nothing = town.run("ledger", "show", exported, "--until", "2020-01-01", "--json")
    assert (nothing.exit_code, nothing.stdout) == (0, "")


def test_only_the_regulators_key_opens_what_was_sealed(town: Shell, exported: Path) -> None:
    assert all("details" not in leaf for leaf in shown(town, exported))
    opened = shown(town, exported, "--type", "subject.enrolled", *regulator(town))
    assert opened[0]["details"]["certificate"]["document"]["registrar"] == REGISTRAR
    text = town.ok("ledger", "show", exported, "--type", "query.disclosed", *regulator(town))
    assert '"request_salt"' in text
    other = town.file("other-regulator.jwk")
    if not other.exists():
        town.ok("regulator", "keygen", "--out", other)
    result = town.run("ledger", "show", exported, "--type", "query", "--regulator-key", other)
    assert "not sealed to this regulator" in result.stderr
    assert "request_salt" not in result.stdout
    assert town.fails("ledger", "show", exported, "--regulator-key", town.file("operator.jwk"))


def test_show_reads_only_exports_under_a_key_that_fits(town: Shell, exported: Path) -> None:
    pinned = town.run("ledger", "show", exported, "--vkey", town.ok("ledger", "vkey").strip())
    assert (pinned.exit_code, pinned.stderr) == (0, "")
    assert "export itself names" in town.run("ledger", "show", exported).stderr
    assert "no directory" in town.fails("ledger", "show", town.file("nowhere"))
    assert town.fails("ledger", "show", exported, "--vkey", "not a key")


def test_a_log_put_back_is_not_served_again(town: Shell) -> None:
    import shutil

    home = town.file("put-back")
    shutil.copytree(town.home, home, ignore=shutil.ignore_patterns("publisher.lock"))
    town.json("ledger", "checkpoint")
    town.ok("institution", "suspend", REGISTRAR, "--reason", "drill")
    town.json("ledger", "checkpoint")
    shutil.copy(town.home / "outside" / "checkpoint", home / "outside" / "checkpoint")
    town.ok("institution", "reinstate", REGISTRAR, "--reason", "drill-over")
    restored = Shell(town.place, home)
    assert "older" in restored.fails("ledger", "checkpoint")
