"""What a request makes the gateway do, in order: every statement and every cryptographic primitive.

Invariant: only what runs in the thread of an HTTP request is recorded, so that neither the publisher in the
background nor the client in the test is in a trace. Statements are taken from SQLAlchemy's events on every
connection of the engine, with the number of parameters of each row that is bound; begins, commits and
savepoints are events of their own. Primitives are taken where the libraries are called: AES-GCM, HMAC,
SHA-256, constant-time comparison, Ed25519 and ECDSA, HPKE, the reading of canonical JSON. Each call is
recorded with the sizes of everything it is given and gives back, in bytes.
"""

from __future__ import annotations

import hashlib
import hmac
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import nacl.signing
import orjson
import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from nacl import bindings

import keys.sealing
from keys.custody.ready import MacKey, WrappingKey

Step: TypeAlias = tuple[str, tuple[int, ...]]
"""What was done, and the sizes of what it was done with."""

_OURS = ("keys", "ledger", "consent", "gateway")
_PRIMITIVES: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("sha256", hashlib.sha256),
    ("hmac", hmac.digest),
    ("hmac.new", hmac.new),
    ("compare", hmac.compare_digest),
    ("ed25519.sign", bindings.crypto_sign),
    ("ed25519.point", bindings.crypto_core_ed25519_is_valid_point),
    ("ecdsa.verify", utils.encode_dss_signature),  # called right before each verification
    ("hpke.seal", keys.sealing.hpke_seal),
    ("json.read", orjson.loads),
    ("json.write", orjson.dumps),
)
_METHODS: tuple[tuple[type, str, str], ...] = (
    (nacl.signing.VerifyKey, "verify", "ed25519.verify"),
    (MacKey, "mac", "hmac"),
    (WrappingKey, "wrap", "custody.wrap"),
    (WrappingKey, "unwrap", "custody.unwrap"),
)
"""What is called on keys that were made ready before the tracer came."""


def _serves() -> bool:
    """Whether this is a thread in which the test's server answers a request."""
    return "process_request" in threading.current_thread().name


class Tracer:
    """Records requests between `record` and its end; installed once for a module of tests."""

    def __init__(self, engine: sa.Engine, patch: pytest.MonkeyPatch) -> None:
        self._steps: list[Step] | None = None
        self._listen(engine)
        for name, primitive in _PRIMITIVES:
            self._replace(patch, primitive, self._counting(name, primitive))
        self._replace(patch, AESGCM, self._aes_gcm())
        for owner, method, name in _METHODS:
            patch.setattr(owner, method, self._counting(name, getattr(owner, method)))

    @contextmanager
    def record(self) -> Iterator[list[Step]]:
        """The steps of the requests that are answered meanwhile."""
        steps: list[Step] = []
        self._steps = steps
        try:
            yield steps
        finally:
            self._steps = None

    def _add(self, name: str, *values: object) -> None:
        steps = self._steps
        if steps is not None and _serves():
            steps.append((name, tuple(len(value) for value in values if isinstance(value, bytes | str))))

    def _listen(self, engine: sa.Engine) -> None:
        def statement(
            _conn: object, _cursor: object, text: str, bound: Any, _context: object, many: bool
        ) -> None:
            if self._steps is not None and _serves():
                rows = bound if many else [bound]
                self._steps.append((text, tuple(len(row) for row in rows)))

        sa.event.listen(engine, "before_cursor_execute", statement)
        for name in ("begin", "commit", "rollback", "savepoint", "release_savepoint", "rollback_savepoint"):
            sa.event.listen(engine, name, lambda *_, name=name: self._add(name))

    def _counting(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            self._add(name, *args, *kwargs.values(), result)
            return result

        return call

    def _aes_gcm(self) -> type:
        tracer = self

        class Counted:
            def __init__(self, key: bytes) -> None:
                self._inner = AESGCM(key)

            def encrypt(self, nonce: bytes, data: bytes, aad: bytes | None) -> bytes:
                tracer._add("aes-gcm.encrypt", nonce, data, aad)
                return self._inner.encrypt(nonce, data, aad)

            def decrypt(self, nonce: bytes, data: bytes, aad: bytes | None) -> bytes:
                tracer._add("aes-gcm.decrypt", nonce, data, aad)
                return self._inner.decrypt(nonce, data, aad)

        return Counted

    @staticmethod
    def _replace(patch: pytest.MonkeyPatch, primitive: Any, counted: Any) -> None:
        """Put `counted` in the place of a primitive in its own module and under every name we gave it."""
        for name, module in list(sys.modules.items()):
            if name.split(".")[0] in _OURS or module in (hashlib, hmac, bindings, orjson):
                for attribute, value in list(vars(module).items()):
                    if value is primitive:
                        patch.setattr(module, attribute, counted)
