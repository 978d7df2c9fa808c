"""A token for the tests: SoftHSM2, its state in a temporary directory of this pytest process.

SoftHSM is a shared library with a token of files, made for tests of PKCS#11. It reads its configuration from
the file that SOFTHSM2_CONF names, so that variable is set for this process and the ones it starts.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

from keys.custody.pkcs11 import TokenAccess

PIN: Final = "1357-the-tests"
LABEL: Final = "chengxin-tests"
WHY: Final = "no SoftHSM"
HOW_TO_ENABLE: Final = "make debian (it installs softhsm2), pip install 'chengxin-gateway[test]'"
_MODULES: Final = ("softhsm/libsofthsm2.so", "*/softhsm/libsofthsm2.so", "pkcs11/libsofthsm2.so")


class _Run:
    """What one pytest process has made."""

    def __init__(self) -> None:
        self.closing = ExitStack()
        self.access: TokenAccess | None = None
        self.configuration = ""


RUN = _Run()


def token() -> TokenAccess:
    """This run's token; skips the test where there is no SoftHSM, and fails it where `CI` is set."""
    if RUN.access is None:
        module, tool = _module(), shutil.which("softhsm2-util")
        if module is None or tool is None or find_spec("pkcs11") is None:
            if os.environ.get("CI"):
                pytest.fail(f"{WHY}: {HOW_TO_ENABLE}")
            pytest.skip(f"{WHY}: {HOW_TO_ENABLE}")
        place = Path(RUN.closing.enter_context(tempfile.TemporaryDirectory(prefix="chengxin-softhsm-")))
        (place / "tokens").mkdir()
        (place / "softhsm2.conf").write_text(
            f"directories.tokendir = {place / 'tokens'}\nobjectstore.backend = file\nlog.level = ERROR\n"
        )
        RUN.configuration = str(place / "softhsm2.conf")
        _name_configuration()
        RUN.access = TokenAccess(module, make_token(LABEL, PIN), PIN)
    _name_configuration()
    return RUN.access


def make_token(label: str, pin: str) -> str:
    """One more token in this run's SoftHSM, which sees it when it starts next."""
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "24680-so", "--pin", pin],
        check=True,
        capture_output=True,
        timeout=60,
    )
    return label


def settings(access: TokenAccess) -> dict[str, str]:
    """The settings of an installation on this token; its PIN goes into `passphrase_file`."""
    return {"custody": "pkcs11", "pkcs11_module": str(access.module), "pkcs11_token": access.label}


def _name_configuration() -> None:
    """Again for each test: one that ends puts the environment back."""
    os.environ["SOFTHSM2_CONF"] = RUN.configuration


def _module() -> Path | None:
    found = (path for pattern in _MODULES for path in sorted(Path("/usr/lib").glob(pattern)))
    return next(found, None)
