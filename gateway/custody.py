"""Which custody an installation has, from its settings: the one place that knows the providers.

Invariant: the passphrase or PIN is read from its file at the moment that it is used, and stands nowhere else.
"""

from __future__ import annotations

from gateway.settings import Settings
from keys.custody import Custody
from keys.custody.file import create_file_custody, open_file_custody, read_passphrase
from keys.custody.pkcs11 import (
    Pkcs11Custody,
    TokenAccess,
    create_pkcs11_custody,
    open_pkcs11_custody,
    read_pin,
)
from keys.signing import Random


def create_custody(settings: Settings, random: Random) -> Custody:
    """A new, empty custody in `custody_dir`. Raises CustodyError, KeyNameTaken where one stands."""
    if settings.custody == "pkcs11":
        return create_pkcs11_custody(settings.custody_dir, _access(settings), random)
    return create_file_custody(settings.custody_dir, read_passphrase(settings.passphrase_file), random)


def open_custody(settings: Settings, random: Random) -> Custody:
    """The custody of an installation, for this process. Raises CustodyLocked and other CustodyErrors."""
    if settings.custody == "pkcs11":
        return open_pkcs11_custody(settings.custody_dir, _access(settings), random)
    return open_file_custody(settings.custody_dir, read_passphrase(settings.passphrase_file), random)


def discard_custody(custody: Custody) -> None:
    """Destroy what an unfinished installation made outside `custody_dir`: its keys in a token."""
    if isinstance(custody, Pkcs11Custody):
        custody.discard()


def _access(settings: Settings) -> TokenAccess:
    if settings.pkcs11_module is None or settings.pkcs11_token is None:
        raise AssertionError("settings with custody pkcs11 name module and token")
    return TokenAccess(settings.pkcs11_module, settings.pkcs11_token, read_pin(settings.passphrase_file))
