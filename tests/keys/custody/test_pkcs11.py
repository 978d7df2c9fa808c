"""What only the `pkcs11` custody has: a token that keeps the keys, its PIN, its sessions and forks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keys.canonical import b64u, canonical, parse_canonical
from keys.custody import Custody, storage
from keys.custody.module import alone
from keys.custody.pkcs11 import (
    Pkcs11Custody,
    TokenAccess,
    create_pkcs11_custody,
    open_pkcs11_custody,
    read_pin,
)
from keys.custody.token import refuse_risky_try
from keys.errors import CustodyError, CustodyLocked, CustodyPermissions, KeyNameTaken, UnknownKeyName
from tests import softhsm
from tests.keys.conftest import KEYS, FileProvider, Pkcs11Provider, Provider

COUNT_LOW, FINAL_TRY, LOCKED = 0x10000, 0x20000, 0x40000


LOGS_INSIDE = """
from keys.custody.module import alone
import os, threading
inside, forking = threading.Event(), threading.Event()
os.register_at_fork(before=forking.set)
import logging
def call():
    with alone():
        inside.set()
        forking.wait()
        logging.getLogger("inside")
thread = threading.Thread(target=call)
thread.start()
inside.wait()
child = os.fork()
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
thread.join()
"""


@pytest.fixture(params=[Pkcs11Provider], ids=["pkcs11"])
def provider(request: pytest.FixtureRequest) -> Any:
    softhsm.token()
    made = request.param()
    yield made
    made.close()


def objects(custody: Custody) -> list[Any]:
    """All that the token shows of this custody, by the labels it gives."""
    assert isinstance(custody, Pkcs11Custody)
    session = custody._session._session
    assert session is not None
    mine = f"chengxin {custody._root[:4].hex()} "
    import pkcs11

    return [found for found in session.get_objects() if found[pkcs11.Attribute.LABEL].startswith(mine)]


def names(custody: Custody) -> list[str]:
    import pkcs11

    return sorted({found[pkcs11.Attribute.LABEL].split(" ")[2] for found in objects(custody)})


def with_access(**changed: object) -> TokenAccess:
    known = softhsm.token()
    fields: dict[str, Any] = {"module": known.module, "label": known.label, "pin": known.pin} | changed
    return TokenAccess(**fields)


def in_child(act: Callable[[], bytes]) -> bytes:
    """What `act` returns in a fork of this process."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 warns of threads: that is what is tried
        child = os.fork()
    if child == 0:
        try:
            os.write(writing, b"+" + act())
        except BaseException:  # noqa: BLE001  the parent tells it
            os.write(writing, b"-" + traceback.format_exc().encode()[-4_000:])
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    assert said[:1] == b"+", said[1:].decode()
    return said[1:]


def test_root_index_and_signing_keys_never_leave_the_token(custody: Custody) -> None:
    import pkcs11

    assert names(custody) == ["index-1", "index-2", "receipt", "root"]
    attribute = pkcs11.Attribute
    secrets = [found for found in objects(custody) if found.object_class != pkcs11.ObjectClass.PUBLIC_KEY]
    assert len(secrets) == 4
    for key in secrets:
        assert (key[attribute.SENSITIVE], key[attribute.EXTRACTABLE]) == (True, False)
        assert key[attribute.NEVER_EXTRACTABLE]
        with pytest.raises(pkcs11.AttributeSensitive):
            key[attribute.VALUE]


def test_epoch_and_row_keys_are_files_that_only_the_token_opens(tmp_path: Path, provider: Provider) -> None:
    drawn: list[bytes] = []

    def recording(count: int) -> bytes:
        drawn.append(os.urandom(count))
        return drawn[-1]

    custody = provider.create(tmp_path / "c", recording)
    for name, kind in (("epoch-1", "aead"), ("rows-1", "mac")):
        drawn.clear()
        custody.generate(name, kind)  # type: ignore[arg-type]
        (secret,) = (value for value in drawn if len(value) == 32)
        stored = b"".join(path.read_bytes() for path in (tmp_path / "c").rglob("*") if path.is_file())
        for spelling in (secret, secret.hex().encode(), b64u(secret).encode(), softhsm.PIN.encode()):
            assert spelling not in stored
    assert names(custody) == ["root"]


@pytest.mark.parametrize("pin", ["wrong-pin", softhsm.PIN + "\n", "x" * 255])
def test_a_wrong_pin_is_said_and_opens_nothing(tmp_path: Path, provider: Provider, pin: str) -> None:
    provider.create(tmp_path / "c").close()
    with pytest.raises(CustodyLocked, match="the PIN does not open token chengxin-tests; it was tried once"):
        open_pkcs11_custody(tmp_path / "c", with_access(pin=pin))
    assert pin not in repr(with_access(pin=pin))
    assert provider.open(tmp_path / "c").names() == ()


def test_a_wrong_pin_in_a_process_that_is_logged_in_opens_nothing(tmp_path: Path) -> None:
    """PKCS#11 logs in a process, so the module would not look at the second PIN."""
    access = with_access(label=softhsm.make_token("second", "the-right-one"), pin="the-right-one")
    custody = create_pkcs11_custody(tmp_path / "c", access)
    with pytest.raises(CustodyLocked):
        open_pkcs11_custody(tmp_path / "c", with_access(label="second", pin="wrong-pin"))
    session = custody._session._session
    assert session is not None
    assert not session.token.slot.get_token().flags & COUNT_LOW  # and the token was not asked
    custody.close()


@pytest.mark.parametrize(
    ("flags", "said"), [(FINAL_TRY, "one more wrong PIN"), (LOCKED, "locked"), (COUNT_LOW | LOCKED, "locked")]
)
def test_the_last_try_is_left_to_a_person(flags: int, said: str) -> None:
    with pytest.raises(CustodyLocked, match=said):
        refuse_risky_try(flags, "token")
    refuse_risky_try(COUNT_LOW, "token")


def test_a_module_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "libnone.so").write_bytes(b"no library")
    for module, said in (("missing.so", "no PKCS#11 module is there"), ("libnone.so", "does not start")):
        with pytest.raises(CustodyError, match=said):
            create_pkcs11_custody(tmp_path / "c", with_access(module=tmp_path / module))
    assert not (tmp_path / "c").exists()


def test_a_module_without_its_configuration_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    access = softhsm.token()
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "missing.conf"))
    with pytest.raises(CustodyError, match=r"does not start .*SOFTHSM2_CONF"):
        create_pkcs11_custody(tmp_path / "c", access)
    monkeypatch.undo()
    create_pkcs11_custody(tmp_path / "c", access).close()


def test_a_token_that_is_not_there_or_not_alone_is_said(tmp_path: Path) -> None:
    with pytest.raises(CustodyError, match="no token is labelled elsewhere"):
        create_pkcs11_custody(tmp_path / "c", with_access(label="elsewhere"))
    softhsm.make_token("twin", softhsm.PIN)
    softhsm.make_token("twin", softhsm.PIN)
    with pytest.raises(CustodyError, match="several tokens are labelled twin"):
        create_pkcs11_custody(tmp_path / "c", with_access(label="twin"))


def test_without_the_package_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    access = softhsm.token()
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with pytest.raises(CustodyError, match=r"pip install 'chengxin-gateway\[hsm\]'"):
        create_pkcs11_custody(tmp_path / "c", access)


def test_a_token_without_the_root_key_opens_nothing(directory: Path, provider: Provider) -> None:
    provider.close()  # SoftHSM looks for tokens as it starts
    other = with_access(label=softhsm.make_token("another", softhsm.PIN))
    with pytest.raises(CustodyLocked, match="holds no root key of this custody"):
        open_pkcs11_custody(directory, other)


def test_an_altered_root_opens_nothing(directory: Path, provider: Provider) -> None:
    path = directory / "root"
    content = parse_canonical(path.read_bytes())
    for members, wanted in (
        ({"wrapped": b64u(bytes(48))}, CustodyLocked),
        ({"nonce": b64u(bytes(12))}, CustodyLocked),
        ({"root": b64u(bytes(32))}, CustodyLocked),
        ({"root": "AA"}, CustodyError),
        ({"root": 1}, CustodyError),
        ({"custody": "file"}, CustodyError),
        ({"v": 2}, CustodyError),
        ({"more": 1}, CustodyError),
    ):
        path.write_bytes(canonical({**content, **members}))
        with pytest.raises(wanted):
            provider.open(directory)


def test_a_key_file_that_says_another_place_is_refused(directory: Path, provider: Provider) -> None:
    """Or the CKA_ID of the index key, which is no secret, would be taken for the key itself."""
    path = directory / "keys" / "index-1"
    path.write_bytes(canonical({**parse_canonical(path.read_bytes()), "kept": "file"}))
    with pytest.raises(CustodyError):
        provider.open(directory).mac("index-1", b"")


def test_a_custody_of_the_other_kind_is_refused(tmp_path: Path, provider: Provider) -> None:
    files = FileProvider()
    files.create(tmp_path / "file")
    provider.create(tmp_path / "pkcs11")
    with pytest.raises(CustodyError):
        provider.open(tmp_path / "file")
    with pytest.raises(CustodyError):
        files.open(tmp_path / "pkcs11")


def test_two_installations_share_a_token_and_nothing_else(tmp_path: Path, provider: Provider) -> None:
    one, other = provider.create(tmp_path / "one"), provider.create(tmp_path / "other")
    for custody in (one, other):
        custody.generate("index-1", "mac")
    assert one.mac("index-1", b"m") != other.mac("index-1", b"m")
    assert one.names() == other.names() == ("index-1",)
    one.destroy("index-1")
    assert names(one) == ["root"]
    assert names(other) == ["index-1", "root"]
    one.close()
    assert other.mac("index-1", b"m")  # whoever closes does not log the other out


def test_nothing_is_left_in_the_token_of_what_failed(
    custody: Custody, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: Provider
) -> None:
    assert isinstance(custody, Pkcs11Custody)
    session = custody._session._session
    assert session is not None
    before = len(list(session.get_objects()))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        for name, kind in (("index-3", "mac"), ("checkpoint", "ed25519")):
            with pytest.raises(CustodyError):
                custody.generate(name, kind)  # type: ignore[arg-type]
        with pytest.raises(CustodyError):
            provider.create(tmp_path / "second")
    monkeypatch.setattr("keys.custody.directory.KeyDirectory.has", lambda *_: False)  # the loser of a race
    with pytest.raises(KeyNameTaken):
        custody.generate("index-1", "mac")
    assert len(list(session.get_objects())) == before


def test_a_destruction_cut_short_can_be_finished(custody: Custody, monkeypatch: pytest.MonkeyPatch) -> None:
    custody.mac("index-1", b"")
    with monkeypatch.context() as patched:
        patched.setattr(storage, "remove_file", lambda _: (_ for _ in ()).throw(CustodyError("full")))
        with pytest.raises(CustodyError):
            custody.destroy("index-1")
    with pytest.raises(UnknownKeyName):
        custody.mac("index-1", b"")
    custody.destroy("index-1")
    assert not custody.has("index-1")


def test_a_discarded_custody_leaves_nothing(tmp_path: Path, provider: Provider) -> None:
    custody = provider.create(tmp_path / "c")
    for name, kind in KEYS:
        custody.generate(name, kind)
    assert isinstance(custody, Pkcs11Custody)
    custody.discard()
    assert objects(custody) == []
    assert [path for path in (tmp_path / "c").rglob("*") if path.is_file()] == []


def test_a_child_opens_its_own_session_and_both_work(
    custody: Custody, directory: Path, provider: Provider
) -> None:
    """Even when threads were inside the module as the process forked."""
    expected = custody.mac("index-1", b"m")
    done = threading.Event()

    def busy() -> None:
        while not done.is_set():
            custody.mac("index-1", b"m")

    threads = [threading.Thread(target=busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            assert in_child(lambda: Pkcs11Provider().open(directory).mac("index-1", b"m")) == expected
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert custody.mac("index-1", b"m") == expected


def test_a_fork_waits_for_the_thread_that_is_inside_a_module() -> None:
    """Else the child has the module as it was in the middle of a call, and hangs or dies in its own first."""
    inside, entered = threading.Event(), threading.Event()

    def call() -> None:
        with alone():
            inside.set()
            entered.set()
            sum(range(5_000_000))  # as long as a fork would take to come in between
            inside.clear()

    thread = threading.Thread(target=call)
    thread.start()
    assert entered.wait(30)
    try:
        assert in_child(lambda: b"in" if inside.is_set() else b"out") == b"out"
    finally:
        thread.join()


def test_a_fork_that_waits_holds_nothing_that_the_thread_inside_may_want() -> None:
    """Hooks run in the reverse order of their registration, and logging has one that takes its lock."""
    subprocess.run([sys.executable, "-c", LOGS_INSIDE], check=True, timeout=60)


def test_workers_open_after_the_fork_what_the_parent_had_closed(
    directory: Path, custody: Custody, provider: Provider
) -> None:
    """As gunicorn's do: the parent opens the house once, closes it and forks."""
    expected = custody.mac("index-1", b"m")
    provider.close()

    def worker() -> bytes:
        opened = Pkcs11Provider().open(directory)
        opened.generate(f"index-{os.getpid()}", "mac")
        found = opened.mac("index-1", b"m")
        opened.close()
        return found

    assert [in_child(worker) for _ in range(2)] == [expected] * 2
    assert len(provider.open(directory).names()) == len(KEYS) + 2


def test_what_was_opened_before_a_fork_is_locked_in_the_child(custody: Custody) -> None:
    custody.mac("rows-1", b"")  # kept in memory

    def child() -> bytes:
        for call in (
            custody.names,
            lambda: custody.mac("rows-1", b""),
            lambda: custody.mac("index-1", b""),
            lambda: custody.generate("index-9", "mac"),
        ):
            with pytest.raises(CustodyLocked, match="open it again"):
                call()
        custody.close()
        return b"locked"

    assert in_child(child) == b"locked"
    assert custody.mac("index-1", b"")


def test_a_key_that_another_process_destroyed_is_unknown(custody: Custody, directory: Path) -> None:
    custody.mac("index-1", b"")

    def child() -> bytes:
        Pkcs11Provider().open(directory).destroy("index-1")
        return b"done"

    in_child(child)
    assert not custody.has("index-1")
    with pytest.raises(UnknownKeyName):
        custody.mac("index-1", b"")


def written(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("content", [b"1234", b"1234\n", "口令一二三".encode(), b"x" * 255])
def test_a_pin_is_the_one_line_of_its_file(tmp_path: Path, content: bytes) -> None:
    assert read_pin(written(tmp_path / "pin", content)) == content.decode().rstrip("\n")


@pytest.mark.parametrize("content", [b"", b"123\n", b"1234\n\n", b"12\n34", b"x" * 256, b"\xff\xfe\xfd\xfc"])
def test_any_other_content_is_no_pin(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(CustodyError, match="PIN"):
        read_pin(written(tmp_path / "pin", content))


def test_a_pin_open_to_others_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CustodyPermissions):
        read_pin(written(tmp_path / "pin", b"1234\n", 0o640))
