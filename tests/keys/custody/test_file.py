from __future__ import annotations

import hmac
import json
import os
import stat
import threading
from pathlib import Path

import pytest

from keys.canonical import canonical, parse_canonical
from keys.custody import Custody, Kind
from keys.custody.file import FileCustody, create_file_custody, open_file_custody, read_passphrase
from keys.custody.sealed_file import LEAST, MOST, Cost
from keys.errors import (
    BadSignature,
    CustodyError,
    CustodyLocked,
    CustodyPermissions,
    DecryptionFailed,
    KeyNameTaken,
    KeysError,
    Malformed,
    UnknownKeyName,
)
from keys.signing import ed25519_public_key
from tests.keys.conftest import PASSPHRASE

PLAIN = b"\x42" * 32


@pytest.fixture
def directory(custody: FileCustody, tmp_path: Path) -> Path:
    return tmp_path / "custody"


def reopened(directory: Path) -> FileCustody:
    return open_file_custody(directory, PASSPHRASE)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_a_reopened_custody_holds_the_same_keys(custody: FileCustody, directory: Path) -> None:
    again: Custody = reopened(directory)
    assert again.names() == custody.names() == ("epoch-1", "epoch-2", "index-1", "index-2", "receipt")
    assert again.unwrap("epoch-1", custody.wrap("epoch-1", PLAIN, b"aad"), b"aad") == PLAIN
    assert again.mac("index-1", b"m") == custody.mac("index-1", b"m")
    assert again.public("receipt") == custody.public("receipt")
    assert again.sign("receipt", b"m") == custody.sign("receipt", b"m")


def test_a_signature_of_custody_verifies_elsewhere(custody: FileCustody) -> None:
    public = ed25519_public_key(custody.public("receipt"))
    public.verify(b"m", custody.sign("receipt", b"m"))
    with pytest.raises(BadSignature):
        public.verify(b"n", custody.sign("receipt", b"m"))


def test_wrapped_secrets_are_bound_to_name_and_aad(custody: FileCustody) -> None:
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
def test_what_is_no_wrapped_secret_is_malformed(custody: FileCustody, blob: bytes) -> None:
    with pytest.raises(Malformed):
        custody.unwrap("epoch-1", blob, b"")


def test_a_key_serves_its_kind_alone(custody: FileCustody) -> None:
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
def test_names_that_do_not_stand_are_unknown(custody: FileCustody, name: str) -> None:
    assert not custody.has(name)
    for call in (custody.public, custody.destroy, lambda name: custody.mac(name, b"")):
        with pytest.raises(UnknownKeyName):
            call(name)


@pytest.mark.parametrize(("name", "kind"), [("../x", "mac"), ("", "mac"), ("A", "mac"), ("a", "rsa")])
def test_names_and_kinds_outside_the_grammar_are_not_generated(
    custody: FileCustody, directory: Path, name: str, kind: Kind
) -> None:
    before = sorted(directory.rglob("*"))
    with pytest.raises(Malformed):
        custody.generate(name, kind)
    assert sorted(directory.rglob("*")) == before


def test_a_key_is_never_overwritten(custody: FileCustody, directory: Path) -> None:
    before = (directory / "keys" / "epoch-1").read_bytes()
    for kind in ("aead", "mac"):
        with pytest.raises(KeyNameTaken):
            custody.generate("epoch-1", kind)
    assert (directory / "keys" / "epoch-1").read_bytes() == before
    assert [path.name for path in (directory / "keys").glob(".*")] == []


def test_racing_generations_of_one_name_leave_one_key(custody: FileCustody, directory: Path) -> None:
    outcomes: list[str] = []

    def generate() -> None:
        try:
            reopened(directory).generate("raced", "mac")
            outcomes.append("made")
        except KeyNameTaken:
            outcomes.append("taken")

    threads = [threading.Thread(target=generate) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made"] + ["taken"] * 7
    assert custody.mac("raced", b"m") == reopened(directory).mac("raced", b"m")


def test_a_destroyed_key_is_gone_here_and_after_reopening(custody: FileCustody, directory: Path) -> None:
    blob = custody.wrap("epoch-1", PLAIN, b"")
    custody.destroy("epoch-1")
    for holder in (custody, reopened(directory)):
        assert not holder.has("epoch-1")
        assert "epoch-1" not in holder.names()
        with pytest.raises(UnknownKeyName):
            holder.unwrap("epoch-1", blob, b"")


def test_a_key_generated_by_another_process_is_found(custody: FileCustody, directory: Path) -> None:
    reopened(directory).generate("epoch-3", "aead")
    assert custody.has("epoch-3")
    assert custody.unwrap("epoch-3", custody.wrap("epoch-3", PLAIN, b""), b"") == PLAIN


def test_a_closed_custody_does_nothing(custody: FileCustody) -> None:
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


def test_a_wrong_passphrase_opens_nothing(directory: Path) -> None:
    for passphrase in (b"", b"wrong", PASSPHRASE + b"\n", PASSPHRASE.upper()):
        with pytest.raises(CustodyLocked):
            open_file_custody(directory, passphrase)


def test_no_key_stands_on_disk_in_clear(tmp_path: Path) -> None:
    drawn: list[bytes] = []

    def recording(count: int) -> bytes:
        drawn.append(os.urandom(count))
        return drawn[-1]

    custody = create_file_custody(tmp_path / "c", PASSPHRASE, recording, LEAST)
    custody.generate("epoch-1", "aead")
    secrets = [value for value in drawn if len(value) == 32]
    assert len(secrets) == 2
    stored = b"".join(path.read_bytes() for path in (tmp_path / "c").rglob("*") if path.is_file())
    for secret in [*secrets, PASSPHRASE]:
        for spelling in (secret, secret.hex().encode(), json.dumps(secret.hex()).encode()):
            assert spelling not in stored
    assert custody.mac  # the object itself shows nothing either
    assert all(secret.hex() not in repr(custody) for secret in secrets)


def test_modes_are_tight_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        create_file_custody(tmp_path / "c", PASSPHRASE, os.urandom, LEAST).generate("epoch-1", "aead")
    finally:
        os.umask(before)
    assert mode(tmp_path / "c") == mode(tmp_path / "c" / "keys") == 0o700
    assert mode(tmp_path / "c" / "root") == mode(tmp_path / "c" / "keys" / "epoch-1") == 0o600


@pytest.mark.parametrize("path", [".", "keys", "root"])
@pytest.mark.parametrize("extra", [0o040, 0o020, 0o010, 0o004, 0o002, 0o001, 0o4000])
def test_a_custody_open_to_others_is_refused(directory: Path, path: str, extra: int) -> None:
    target = directory / path
    target.chmod(mode(target) | extra)
    with pytest.raises(CustodyPermissions):
        reopened(directory)


def test_a_key_file_open_to_others_is_refused(directory: Path) -> None:
    (directory / "keys" / "index-1").chmod(0o640)
    with pytest.raises(CustodyPermissions):
        reopened(directory).mac("index-1", b"")


def test_links_are_refused(custody: FileCustody, directory: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(directory)
    with pytest.raises(CustodyPermissions):
        reopened(tmp_path / "link")
    (directory / "root").rename(tmp_path / "root")
    (directory / "root").symlink_to(tmp_path / "root")
    with pytest.raises(CustodyPermissions):
        reopened(directory)
    (directory / "keys" / "planted").symlink_to(directory / "keys" / "index-1")
    with pytest.raises(CustodyPermissions):
        custody.mac("planted", b"")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_of_another_user_are_refused(directory: Path) -> None:
    os.chown(directory / "root", 12345, -1)
    with pytest.raises(CustodyPermissions):
        reopened(directory)


def test_a_key_file_under_another_name_is_refused(custody: FileCustody, directory: Path) -> None:
    (directory / "keys" / "index-1").unlink()
    (directory / "keys" / "index-2").rename(directory / "keys" / "index-1")
    with pytest.raises(CustodyError):
        custody.mac("index-1", b"")


@pytest.mark.parametrize(("member", "value"), [("kind", "aead"), ("name", "index-2")])
def test_a_key_file_with_an_altered_header_is_refused(directory: Path, member: str, value: str) -> None:
    path = directory / "keys" / ("index-1" if member == "kind" else "index-2")
    target = directory / "keys" / ("index-1" if member == "kind" else "index-9")
    content = parse_canonical(path.read_bytes())
    content[member] = value if member == "kind" else "index-9"
    target.touch(0o600)
    target.write_bytes(canonical(content))
    with pytest.raises(CustodyError):
        reopened(directory).mac(target.name, b"")


def test_a_key_file_of_another_custody_is_refused(
    custody: FileCustody, directory: Path, tmp_path: Path
) -> None:
    other = create_file_custody(tmp_path / "other", PASSPHRASE, os.urandom, LEAST)
    other.generate("index-1", "mac")
    (directory / "keys" / "index-1").write_bytes((tmp_path / "other" / "keys" / "index-1").read_bytes())
    with pytest.raises(CustodyError):
        custody.mac("index-1", b"")


def with_root(directory: Path, **members: object) -> None:
    content = parse_canonical((directory / "root").read_bytes())
    (directory / "root").write_bytes(canonical({**content, **members}))


@pytest.mark.parametrize(
    "cost",
    [
        {"passes": LEAST.passes, "memory": MOST.memory + 1},
        {"passes": LEAST.passes, "memory": 2**50},
        {"passes": MOST.passes + 1, "memory": LEAST.memory},
        {"passes": 0, "memory": LEAST.memory},
        {"passes": 1, "memory": 8_192},
        {"passes": True, "memory": LEAST.memory},
        {"passes": "1", "memory": LEAST.memory},
        {"passes": 1},
        {"passes": 1, "memory": LEAST.memory, "lanes": 4},
        [1, LEAST.memory],
        7,
    ],
    ids=repr,
)
def test_a_planted_cost_out_of_bounds_is_refused_before_it_is_paid(directory: Path, cost: object) -> None:
    with_root(directory, cost=cost)
    with pytest.raises(CustodyError) as caught:
        reopened(directory)
    assert not isinstance(caught.value, CustodyLocked)


def test_a_planted_cost_within_bounds_opens_nothing(directory: Path) -> None:
    with_root(directory, cost={"passes": 2, "memory": LEAST.memory})
    with pytest.raises(CustodyLocked):
        reopened(directory)


@pytest.mark.parametrize(
    "members",
    [{"kdf": "scrypt"}, {"salt": "AA"}, {"salt": 1}, {"v": 2}, {"wrapped": "AA"}, {"more": 1}],
    ids=repr,
)
def test_a_root_of_another_form_is_refused(directory: Path, members: dict[str, object]) -> None:
    with_root(directory, **members)
    with pytest.raises(CustodyError):
        reopened(directory)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"{", b"x" * 5_000], ids=lambda content: repr(content[:4])
)
def test_a_damaged_root_is_refused(directory: Path, content: bytes) -> None:
    (directory / "root").write_bytes(content)
    with pytest.raises(CustodyError):
        reopened(directory)


@pytest.mark.parametrize("cost", [Cost(0, LEAST.memory), Cost(1, LEAST.memory - 1), Cost(17, LEAST.memory)])
def test_a_custody_is_not_created_at_a_cost_that_would_not_open(tmp_path: Path, cost: Cost) -> None:
    with pytest.raises(CustodyError):
        create_file_custody(tmp_path / "c", PASSPHRASE, os.urandom, cost)
    assert not (tmp_path / "c").exists()


def test_a_custody_is_not_created_over_another(directory: Path) -> None:
    before = (directory / "root").read_bytes()
    with pytest.raises(KeyNameTaken):
        create_file_custody(directory, PASSPHRASE, os.urandom, LEAST)
    assert (directory / "root").read_bytes() == before


def test_a_new_root_is_not_put_over_keys_it_cannot_open(directory: Path) -> None:
    (directory / "root").unlink()
    with pytest.raises(CustodyError):
        create_file_custody(directory, PASSPHRASE, os.urandom, LEAST)


def test_a_custody_is_created_in_an_empty_directory_of_ours_alone(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir(0o700)
    create_file_custody(tmp_path / "ours", PASSPHRASE, os.urandom, LEAST)
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    with pytest.raises(CustodyPermissions):
        create_file_custody(tmp_path / "open", PASSPHRASE, os.urandom, LEAST)


@pytest.mark.parametrize("passphrase", [b"", b"x" * 15, b"x" * 1_025])
def test_a_passphrase_too_short_or_long_is_refused(tmp_path: Path, passphrase: bytes) -> None:
    with pytest.raises(CustodyError):
        create_file_custody(tmp_path / "c", passphrase, os.urandom, LEAST)


def test_where_there_is_no_custody_none_is_opened(tmp_path: Path) -> None:
    with pytest.raises(CustodyError):
        open_file_custody(tmp_path / "missing", PASSPHRASE)


def test_the_mac_is_hmac_sha_256(tmp_path: Path) -> None:
    custody = create_file_custody(tmp_path / "c", PASSPHRASE, lambda count: b"\x0b" * count, LEAST)
    custody.generate("index-1", "mac")
    assert custody.mac("index-1", b"Hi There") == hmac.digest(b"\x0b" * 32, b"Hi There", "sha256")


def written(path: Path, content: bytes, file_mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(file_mode)
    return path


@pytest.mark.parametrize(
    "content", [PASSPHRASE, PASSPHRASE + b"\n", PASSPHRASE + b"\r\n", b"\xe8\xaf\x9a" * 8, b"x" * 1_024]
)
@pytest.mark.parametrize("file_mode", [0o600, 0o400])
def test_a_passphrase_is_the_one_line_of_its_file(tmp_path: Path, content: bytes, file_mode: int) -> None:
    assert read_passphrase(written(tmp_path / "p", content, file_mode)) == content.rstrip(b"\r\n")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"x" * 15 + b"\n",
        PASSPHRASE + b"\n\n",
        PASSPHRASE + b"\nsecond\n",
        b"x" * 1_025,
        b"x" * 20 + b"\0",
    ],
    ids=repr,
)
def test_any_other_content_is_no_passphrase(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(CustodyError):
        read_passphrase(written(tmp_path / "p", content))


@pytest.mark.parametrize("file_mode", [0o640, 0o660, 0o604, 0o644, 0o700, 0o601, 0o777, 0o4600])
def test_a_passphrase_open_to_others_is_refused(tmp_path: Path, file_mode: int) -> None:
    with pytest.raises(CustodyPermissions):
        read_passphrase(written(tmp_path / "p", PASSPHRASE, file_mode))


def test_a_passphrase_is_read_from_a_plain_file_alone(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(written(tmp_path / "p", PASSPHRASE))
    (tmp_path / "directory").mkdir(0o700)
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name in ("link", "directory", "pipe"):
        with pytest.raises(CustodyPermissions):
            read_passphrase(tmp_path / name)
    with pytest.raises(CustodyError):
        read_passphrase(tmp_path / "missing")
