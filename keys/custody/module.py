"""PKCS#11 modules in this process: started once, stopped when unused, one thread inside at a time.

Invariant: nothing of a module crosses a fork. Its user starts it in the process that uses it, and a child
starts it anew (PKCS#11 3.0, 5.2: a child calls C_Initialize itself); while nobody uses a module it is
finalised, so that a parent which opens a custody, closes it and forks hands nothing on. A fork waits for the
thread that is inside: a module copied in the middle of a call hangs or dies in the child's first one.

python-pkcs11 starts a module without telling it of threads (C_Initialize of nothing), so two threads may not
be inside one at once, not even on two sessions: `alone` is one lock for the whole process.
"""

from __future__ import annotations

import logging  # noqa: F401  its hook is to be there before ours: see below
import os
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from keys.errors import CustodyError

if TYPE_CHECKING:
    from pkcs11._pkcs11 import lib


class _Process:
    """The modules that this process has started, and who uses them."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.users: Counter[Path] = Counter()
        self.inherited: set[Path] = set()

    def hold(self) -> None:
        """Before a fork: no thread is inside a module, or its locks and memory would be copied half-way."""
        self.lock.acquire()

    def release(self) -> None:
        """In the parent, after the fork."""
        self.lock.release()

    def forked(self) -> None:
        """In the child: what the parent started is not ours, nor is the lock that its thread held."""
        self.lock = threading.RLock()
        self.inherited |= self.users.keys()
        self.users.clear()


_PROCESS: Final = _Process()
# Hooks registered last run first: who waits for the module must not hold the lock of logging yet, which the
# thread inside may want.
os.register_at_fork(before=_PROCESS.hold, after_in_parent=_PROCESS.release, after_in_child=_PROCESS.forked)


def alone() -> threading.RLock:
    """The lock under which everything of every module is called."""
    return _PROCESS.lock


def python_pkcs11() -> Any:
    """The package `pkcs11`, which only this custody needs. Raises CustodyError."""
    try:
        import pkcs11
    except ImportError as error:
        raise CustodyError("custody pkcs11 needs a package: pip install 'chengxin-gateway[hsm]'") from error
    return pkcs11


def start(module: Path) -> lib:
    """The module, initialised in this process; each call wants one `stop`. Raises CustodyError."""
    api = python_pkcs11()
    if not module.is_file():
        raise CustodyError(f"{module}: no PKCS#11 module is there: pkcs11_module names the HSM's own library")
    with alone():
        try:
            library: lib = api.lib(str(module))
            if module in _PROCESS.inherited:
                with suppress(api.PKCS11Error):  # one that noticed the fork says that it was never started
                    library.finalize()
                library.initialize()
        except api.PKCS11Error as error:
            raise CustodyError(
                f"{module}: this PKCS#11 module does not start ({reason(error)}): see its own configuration "
                "(SoftHSM reads the file that SOFTHSM2_CONF names)"
            ) from error
        _PROCESS.inherited.discard(module)
        _PROCESS.users[module] += 1
        return library


def stop(module: Path, library: lib) -> None:
    """One user less; after the last the module is finalised, and with it every session it still has."""
    with alone():
        _PROCESS.users[module] -= 1
        if not _PROCESS.users[module]:
            del _PROCESS.users[module]
            library.finalize()


def reason(error: Exception) -> str:
    """PKCS#11's own name for what is wrong, or what the loader says."""
    name = type(error).__name__
    return str(error) if name == "PKCS11Error" else name
