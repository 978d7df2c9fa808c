"""One PKCS#11 token, one session a process: keys that are made inside and never leave.

Invariant: every key made here is sensitive and was never extractable. A wrong PIN is tried once, never again,
and the last try that a token allows is left to a person.

PKCS#11 logs a process in, not a session. So custodies of one process that name the same token share its
session, one thread at a time (`module`), and the last to close it logs out. A session ends with the process
that opened it: in the child of a fork it answers CustodyLocked, and the child opens its own.

Sources: PKCS#11 3.0; RFC 8032, its curve named by PrintableString("edwards25519").
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from keys.custody.module import alone, python_pkcs11, reason, start, stop
from keys.errors import CustodyError, CustodyLocked, DecryptionFailed, UnknownKeyName

if TYPE_CHECKING:
    from pkcs11._pkcs11 import lib
    from pkcs11.types import Session

PUBLIC_BYTES: Final = 32
_KEY_BITS: Final = 256
_EDWARDS25519: Final = b"\x13\x0cedwards25519"  # DER of the PrintableString
_OCTET_STRING: Final = b"\x04\x20"  # DER of an OCTET STRING of 32 bytes
_USER_PIN_FINAL_TRY: Final = 0x00020000  # CKF_ of CK_TOKEN_INFO
_USER_PIN_LOCKED: Final = 0x00040000
_LOCKED: Final = "the PIN of token {} is locked: have the HSM's security officer set a new one"
_GONE: Final = ("DeviceError", "DeviceRemoved", "SessionClosed", "SessionHandleInvalid", "UserNotLoggedIn")
_NO_KEY: Final = ("KeyHandleInvalid", "ObjectHandleInvalid")

_SESSIONS: Final[dict[tuple[Path, str], TokenSession]] = {}
os.register_at_fork(after_in_child=_SESSIONS.clear)


def open_token(module: Path, label: str, pin: str) -> TokenSession:
    """The session of this process on the token of that label; each call wants one `close`.

    Raises CustodyLocked for a PIN that does not open it (or must not be tried), CustodyError for a module or
    token that is not there.
    """
    with alone():
        shared = _SESSIONS.get((module, label))
        if shared is not None:
            shared.join(pin)
            return shared
        library = start(module)
        try:
            session = _log_in(library, label, pin)
        except BaseException:
            stop(module, library)
            raise
        made = _SESSIONS[module, label] = TokenSession(library, session, (module, label), pin)
        return made


def _log_in(library: lib, label: str, pin: str) -> Session:
    api = python_pkcs11()
    try:
        token = library.get_token(token_label=label)
        refuse_risky_try(int(token.flags), label)
        session: Session = token.open(rw=True, user_pin=pin)
    except api.NoSuchToken as error:
        raise CustodyError(f"no token is labelled {label}: pkcs11_token takes the HSM's own label") from error
    except api.MultipleTokensReturned as error:
        raise CustodyError(f"several tokens are labelled {label}: give yours another label") from error
    except api.PinLocked as error:
        raise CustodyLocked(_LOCKED.format(label)) from error
    except (api.PinIncorrect, api.PinLenRange, api.PinInvalid) as error:
        raise CustodyLocked(
            f"the PIN does not open token {label}; it was tried once: correct its file before the next try, "
            "a token locks after a few"
        ) from error
    except api.PKCS11Error as error:
        raise CustodyError(f"token {label} does not open: {reason(error)}") from error
    return session


def refuse_risky_try(flags: int, label: str) -> None:
    """Raise CustodyLocked where the PIN is locked, or one more wrong PIN would lock it.

    `flags` are CK_TOKEN_INFO's. A supervisor that restarts the gateway never uses up the last try.
    """
    if flags & _USER_PIN_LOCKED:
        raise CustodyLocked(_LOCKED.format(label))
    if flags & _USER_PIN_FINAL_TRY:
        raise CustodyLocked(
            f"one more wrong PIN would lock token {label}: log in once by hand, with the HSM's own tool, "
            "and correct the file"
        )


class TokenSession:
    """A session that is logged in. Keys are named by their CKA_ID, which is unique to one key (or pair).

    After `close`, and in the child of a fork, every method raises CustodyLocked. A key that is not there is
    UnknownKeyName; a token that is gone, or refuses, is CustodyError.
    """

    def __init__(self, library: lib, session: Session, place: tuple[Path, str], pin: str) -> None:
        self._api = python_pkcs11()
        self._library = library
        self._session: Session | None = session
        self._place = place
        self._process = os.getpid()
        self._users = 1
        self._salt = os.urandom(16)
        self._pin = self._digest(pin)
        self._found: dict[tuple[bytes, Any], Any] = {}
        self._secret = self._api.ObjectClass.SECRET_KEY

    def join(self, pin: str) -> None:
        """One more custody uses this session. Raises CustodyLocked for another PIN, asking no token."""
        if not hmac.compare_digest(self._pin, self._digest(pin)):
            raise CustodyLocked(f"the PIN is not the one that opened token {self._place[1]} in this process")
        self._users += 1

    def require_ours(self) -> None:
        """Raise CustodyLocked in the child of a fork: a session belongs to the process that opened it."""
        if self._process != os.getpid():
            raise CustodyLocked("the custody was opened before a fork: open it again in this process")

    def close(self) -> None:
        """One custody less; the last one logs out. Not to be called twice."""
        with alone():
            if self._process != os.getpid() or self._session is None:
                return
            self._users -= 1
            if self._users:
                return
            session, self._session = self._session, None
            self._found.clear()
            del _SESSIONS[self._place]
            with suppress(self._api.PKCS11Error):  # of a token that is gone; the module is finalised anyway
                session.close()
            stop(self._place[0], self._library)

    def generate_root(self, ident: bytes, label: str) -> None:
        """An AES-256 key that encrypts and decrypts."""
        flag = self._api.MechanismFlag
        self._generate_secret(self._api.KeyType.AES, ident, label, flag.ENCRYPT | flag.DECRYPT)

    def generate_mac(self, ident: bytes, label: str) -> None:
        """A generic secret of 32 bytes that signs with HMAC-SHA-256."""
        self._generate_secret(self._api.KeyType.GENERIC_SECRET, ident, label, self._api.MechanismFlag.SIGN)

    def generate_ed25519(self, ident: bytes, label: str) -> None:
        """An Ed25519 pair."""
        api, attribute = self._api, self._api.Attribute
        with self._asking() as session:
            curve = session.create_domain_parameters(
                api.KeyType.EC_EDWARDS, {attribute.EC_PARAMS: _EDWARDS25519}, local=True
            )
            curve.generate_keypair(
                id=ident,
                label=label,
                store=True,
                capabilities=api.MechanismFlag.SIGN | api.MechanismFlag.VERIFY,
                mechanism=api.Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
                private_template=self._kept_inside(),
            )
        self._require_kept(ident, api.ObjectClass.PRIVATE_KEY)

    def encrypt(self, ident: bytes, plaintext: bytes, aad: bytes, nonce: bytes) -> bytes:
        """AES-256-GCM, ciphertext and tag (16)."""
        gcm = self._gcm(aad, nonce)
        sealed: bytes = self._use(ident, self._secret, lambda key: key.encrypt(plaintext, **gcm))
        return sealed

    def decrypt(self, ident: bytes, ciphertext: bytes, aad: bytes, nonce: bytes) -> bytes:
        """What `encrypt` was given. Raises DecryptionFailed; modules differ in the word they have for it."""
        gcm = self._gcm(aad, nonce)

        def opened(key: Any) -> Any:
            try:
                return key.decrypt(ciphertext, **gcm)
            except self._api.PKCS11Error as error:
                if reason(error) in _GONE + _NO_KEY:
                    raise
                raise DecryptionFailed("the token does not open it") from error

        plaintext: bytes = self._use(ident, self._secret, opened)
        return plaintext

    def mac(self, ident: bytes, message: bytes) -> bytes:
        """HMAC-SHA-256, 32 bytes."""
        how = self._api.Mechanism.SHA256_HMAC
        made: bytes = self._use(ident, self._secret, lambda key: key.sign(message, mechanism=how))
        return made

    def sign(self, ident: bytes, message: bytes) -> bytes:
        """Ed25519 signature, 64 bytes."""
        private, how = self._api.ObjectClass.PRIVATE_KEY, self._api.Mechanism.EDDSA
        made: bytes = self._use(ident, private, lambda key: key.sign(message, mechanism=how))
        return made

    def public(self, ident: bytes) -> bytes:
        """The raw public key, 32 bytes; PKCS#11 gives it in an OCTET STRING."""
        public, point = self._api.ObjectClass.PUBLIC_KEY, self._api.Attribute.EC_POINT
        found: bytes = self._use(ident, public, lambda key: key[point])
        raw = found.removeprefix(_OCTET_STRING) if len(found) > PUBLIC_BYTES else found
        if len(raw) != PUBLIC_BYTES:
            raise CustodyError("the token gives no Ed25519 public key")
        return raw

    def destroy(self, ident: bytes) -> None:
        """Remove every object of that id; none is fine."""
        with self._asking() as session:
            for found in list(session.get_objects({self._api.Attribute.ID: ident})):
                found.destroy()
            for key in [key for key in self._found if key[0] == ident]:
                del self._found[key]

    def _generate_secret(self, kind: Any, ident: bytes, label: str, capabilities: Any) -> None:
        with self._asking() as session:
            session.generate_key(
                kind,
                _KEY_BITS,
                id=ident,
                label=label,
                store=True,
                capabilities=capabilities,
                template=self._kept_inside(),
            )
        self._require_kept(ident, self._secret)

    def _kept_inside(self) -> dict[Any, bool]:
        attribute = self._api.Attribute
        return {attribute.SENSITIVE: True, attribute.EXTRACTABLE: False, attribute.PRIVATE: True}

    def _require_kept(self, ident: bytes, klass: Any) -> None:
        """Destroy a new key that the token would give away after all, and raise CustodyError."""
        attribute = self._api.Attribute
        wanted = {attribute.SENSITIVE: True, attribute.EXTRACTABLE: False, attribute.NEVER_EXTRACTABLE: True}
        if not self._use(ident, klass, lambda key: all(key[name] is value for name, value in wanted.items())):
            self.destroy(ident)
            raise CustodyError("the token made a key that can be extracted: it will not do for a custody")

    def _gcm(self, aad: bytes, nonce: bytes) -> dict[str, Any]:
        return {
            "mechanism": self._api.Mechanism.AES_GCM,
            "mechanism_param": self._api.GCMParams(nonce, aad),
        }

    def _use(self, ident: bytes, klass: Any, act: Callable[[Any], Any]) -> Any:
        with self._asking() as session:
            key = self._found.get((ident, klass))
            if key is None:
                key = self._found[ident, klass] = self._find(session, ident, klass)
            return act(key)

    def _find(self, session: Session, ident: bytes, klass: Any) -> Any:
        attribute = self._api.Attribute
        found = list(session.get_objects({attribute.CLASS: klass, attribute.ID: ident}))
        if not found:
            raise UnknownKeyName("the token holds no such key")
        if len(found) > 1:
            raise CustodyError("the token holds two keys of one id: somebody else made one of them")
        return found[0]

    @contextmanager
    def _asking(self) -> Iterator[Session]:
        """The session, for this thread alone; what the module answers becomes an error of ours."""
        self.require_ours()
        with alone():
            if self._session is None:
                raise CustodyLocked("the custody is closed")
            try:
                yield self._session
            except self._api.PKCS11Error as error:
                raise _explained(error) from error

    def _digest(self, pin: str) -> bytes:
        return hashlib.blake2b(pin.encode(), key=self._salt).digest()


def _explained(error: Exception) -> CustodyError:
    name = reason(error)
    if name in _NO_KEY:
        return UnknownKeyName("the token holds that key no longer")
    if name in _GONE:
        return CustodyError(f"the token is gone ({name}): see to it, then restart the gateway")
    if name == "DeviceMemory":
        return CustodyError("the token is full: nothing was made")
    return CustodyError(f"the token refuses: {name}")
