"""What every custody promises: one set of tests, each provider."""

from __future__ import annotations

import hmac
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from keys.custody import Custody, Kind
from keys.errors import (
    BadSignature,
    CustodyLocked,
    DecryptionFailed,
    KeyNameTaken,
    KeysError,
    Malformed,
    UnknownKeyName,
)
from keys.signing import ed25519_public_key
from tests.keys.conftest import KEYS, Provider

PLAIN = b"\x42" * 32


def test_a_reopened_custody_holds_the_same_keys(
    custody: Custody, directory: Path, provider: Provider
) -> None:
    again: Custody = provider.open(directory)
    assert again.names() == custody.names() == tuple(sorted(name for name, _ in KEYS))
    assert again.unwrap("epoch-1", custody.wrap("epoch-1", PLAIN, b"aad"), b"aad") == PLAIN
    for name in ("index-1", "rows-1"):
        assert again.mac(name, b"") == custody.mac(name, b"")
    assert again.public("receipt") == custody.public("receipt")
    assert again.sign("receipt", b"m") == custody.sign("receipt", b"m")


def test_a_signature_of_custody_verifies_elsewhere(custody: Custody) -> None:
    public = ed25519_public_key(custody.public("receipt"))
    public.verify(b"m", custody.sign("receipt", b"m"))
    with pytest.raises(BadSignature):
        public.verify(b"n", custody.sign("receipt", b"m"))


def test_wrapped_secrets_are_bound_to_name_and_aad(custody: Custody) -> None:
    blob = custody.wrap("epoch-1", PLAIN, b"aad")
    assert PLAIN not in blob
    assert len(blob) == 2 + 12 + 32 + 16
    for name, aad in (("epoch-1", b"aae"), ("epoch-1", b""), ("epoch-2", b"aad")):
        with pytest.raises(DecryptionFailed):
            custody.unwrap(name, blob, aad)
    for bit in range(len(blob) * 8):
        altered = (int.from_bytes(blob, "big") ^ (1 << bit)).to_bytes(len(blob), "big")
        with pytest.raises(KeysError):
            custody.unwrap("epoch-1", altered, b"aad")


@pytest.mark.parametrize(
    "blob", [b"", b"\x01\x01" + bytes(27), b"\x01\x02" + bytes(60), b"\x02\x01" + bytes(60)]
)
def test_what_is_no_wrapped_secret_is_malformed(custody: Custody, blob: bytes) -> None:
    with pytest.raises(Malformed):
        custody.unwrap("epoch-1", blob, b"")


def test_a_key_serves_its_kind_alone(custody: Custody) -> None:
    uses = {
        "aead": (
            lambda name: custody.wrap(name, b"", b""),
            lambda name: custody.unwrap(name, bytes(64), b""),
        ),
        "mac": (lambda name: custody.mac(name, b""),),
        "ed25519": (lambda name: custody.sign(name, b""), custody.public),
    }
    kinds = {"epoch-1": "aead", "index-1": "mac", "receipt": "ed25519"}
    for name, own in kinds.items():
        for kind, calls in uses.items():
            if kind != own:
                for call in calls:
                    with pytest.raises(UnknownKeyName):
                        call(name)


@pytest.mark.parametrize(
    "name", ["missing", "", "../root", "Epoch-1", "epoch-1/", "a" * 49, ".new-0", "1a", "é"]
)
def test_names_that_do_not_stand_are_unknown(custody: Custody, name: str) -> None:
    assert not custody.has(name)
    for call in (custody.public, custody.destroy, lambda name: custody.mac(name, b"")):
        with pytest.raises(UnknownKeyName):
            call(name)


@pytest.mark.parametrize(("name", "kind"), [("../x", "mac"), ("", "mac"), ("A", "mac"), ("a", "rsa")])
def test_names_and_kinds_outside_the_grammar_are_not_generated(
    custody: Custody, directory: Path, name: str, kind: Kind
) -> None:
    before = sorted(directory.rglob("*"))
    with pytest.raises(Malformed):
        custody.generate(name, kind)
    assert sorted(directory.rglob("*")) == before


def test_a_key_is_never_overwritten(custody: Custody, directory: Path) -> None:
    before = (directory / "keys" / "epoch-1").read_bytes()
    for kind in ("aead", "mac"):
        with pytest.raises(KeyNameTaken):
            custody.generate("epoch-1", kind)
    assert (directory / "keys" / "epoch-1").read_bytes() == before
    assert [path.name for path in (directory / "keys").glob(".*")] == []


def test_racing_generations_of_one_name_leave_one_key(
    custody: Custody, directory: Path, provider: Provider
) -> None:
    outcomes: list[str] = []

    def generate() -> None:
        try:
            provider.open(directory).generate("raced", "mac")
            outcomes.append("made")
        except KeyNameTaken:
            outcomes.append("taken")

    threads = [threading.Thread(target=generate) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made"] + ["taken"] * 7
    assert custody.mac("raced", b"m") == provider.open(directory).mac("raced", b"m")


def test_a_destroyed_key_is_gone_here_and_after_reopening(
    custody: Custody, directory: Path, provider: Provider
) -> None:
    blob = custody.wrap("epoch-1", PLAIN, b"")
    for name in ("epoch-1", "index-1", "receipt", "rows-1"):
        custody.destroy(name)
    for holder in (custody, provider.open(directory)):
        assert holder.names() == ("epoch-2", "index-2")
        for use in (
            lambda held: held.unwrap("epoch-1", blob, b""),
            lambda held: held.mac("index-1", b""),
            lambda held: held.mac("rows-1", b""),
            lambda held: held.sign("receipt", b""),
            lambda held: held.public("receipt"),
        ):
            with pytest.raises(UnknownKeyName):
                use(holder)


def test_a_destroyed_name_can_be_given_again_to_another_key(custody: Custody) -> None:
    for name in ("index-1", "rows-1"):
        before = custody.mac(name, b"m")
        custody.destroy(name)
        custody.generate(name, "mac")
        assert custody.mac(name, b"m") != before


def test_threads_share_a_custody(custody: Custody) -> None:
    """Each gets the answer to its own question, whatever the others ask at the same time."""
    messages = [bytes([number]) * 100 for number in range(8)]
    public = ed25519_public_key(custody.public("receipt"))
    expected = {message: custody.mac("index-1", message) for message in messages}
    assert len(set(expected.values())) == len(messages)

    def work(message: bytes) -> None:
        for _ in range(40):
            assert custody.mac("index-1", message) == expected[message]
            public.verify(message, custody.sign("receipt", message))
            assert custody.unwrap("epoch-1", custody.wrap("epoch-1", message, b""), b"") == message

    with ThreadPoolExecutor(len(messages)) as pool:
        for done in [pool.submit(work, message) for message in messages]:
            done.result()


def test_a_key_generated_by_another_process_is_found(
    custody: Custody, directory: Path, provider: Provider
) -> None:
    provider.open(directory).generate("epoch-3", "aead")
    assert custody.has("epoch-3")
    assert custody.unwrap("epoch-3", custody.wrap("epoch-3", PLAIN, b""), b"") == PLAIN


def test_a_key_destroyed_by_another_process_is_gone_once_forgotten(
    custody: Custody, directory: Path, provider: Provider
) -> None:
    blob = custody.wrap("epoch-1", PLAIN, b"")
    provider.open(directory).destroy("epoch-1")
    custody.forget("epoch-1")
    custody.forget("never-there")
    with pytest.raises(UnknownKeyName):
        custody.unwrap("epoch-1", blob, b"")


def test_a_closed_custody_does_nothing(custody: Custody) -> None:
    custody.mac("index-1", b"")
    custody.close()
    custody.close()
    for call in (
        custody.names,
        lambda: custody.has("epoch-1"),
        lambda: custody.generate("new", "mac"),
        lambda: custody.wrap("epoch-1", b"", b""),
        lambda: custody.unwrap("epoch-1", bytes(64), b""),
        lambda: custody.mac("index-1", b""),
        lambda: custody.sign("receipt", b""),
        lambda: custody.public("receipt"),
        lambda: custody.destroy("epoch-1"),
    ):
        with pytest.raises(CustodyLocked):
            call()


def test_the_mac_is_hmac_sha_256(tmp_path: Path, provider: Provider) -> None:
    custody = provider.create(tmp_path / "c", lambda count: b"\x0b" * count)
    custody.generate("rows-1", "mac")
    assert custody.mac("rows-1", b"Hi There") == hmac.digest(b"\x0b" * 32, b"Hi There", "sha256")
