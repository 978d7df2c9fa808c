"""Keys held in memory: what they make is what the formats say, whoever uses them at once."""

from __future__ import annotations

import hmac
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys.custody.ready import MacKey, WrappingKey
from keys.errors import DecryptionFailed, Malformed

KEY = bytes(range(32))


@given(st.binary(min_size=32, max_size=32), st.lists(st.binary(max_size=300), max_size=3))
def test_each_mac_is_of_its_own_message_alone(key: bytes, messages: list[bytes]) -> None:
    ready = MacKey(key)
    assert [ready.mac(one) for one in messages] == [hmac.digest(key, one, "sha256") for one in messages]


def test_threads_that_share_a_key_do_not_disturb_each_other() -> None:
    ready, messages = MacKey(KEY), [bytes([number]) * 5_000 for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(ready.mac, messages))
    assert made == [hmac.digest(KEY, one, "sha256") for one in messages]


def test_a_secret_opens_with_its_own_key_and_aad_alone() -> None:
    blob = WrappingKey(KEY).wrap(b"secret", b"place", os.urandom)
    assert WrappingKey(KEY).unwrap(blob, b"place") == b"secret"
    for key, aad in ((bytes(32), b"place"), (KEY, b"another")):
        with pytest.raises(DecryptionFailed):
            WrappingKey(key).unwrap(blob, aad)


@pytest.mark.parametrize("blob", [b"", b"\x01\x01", b"\x01\x01" + bytes(27), b"\x01\x02" + bytes(28)])
def test_what_is_no_wrapped_secret_is_refused(blob: bytes) -> None:
    with pytest.raises(Malformed):
        WrappingKey(KEY).unwrap(blob, b"")


def test_a_wrapped_secret_cut_short_does_not_open() -> None:
    blob = WrappingKey(KEY).wrap(b"secret", b"", os.urandom)
    for length in range(len(blob)):
        with pytest.raises(Malformed if length < 30 else DecryptionFailed):
            WrappingKey(KEY).unwrap(blob[:length], b"")
