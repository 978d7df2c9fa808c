"""Programs that are no Python packages: found, or the test is skipped saying which Debian package has them.

Where `CI` is set nothing is skipped: the build machine has them all (deploy/debian-packages.txt).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
_PLACES = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])


def tool(name: str, package: str) -> str:
    """The path of a program of the system."""
    found = shutil.which(name, path=_PLACES)
    if found is not None:
        return found
    why = f"no {name}: sudo apt-get install {package}"
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def ours(name: str) -> str:
    """The path of a program that the locked packages bring."""
    found = shutil.which(name, path=str(Path(sys.executable).parent))
    assert found is not None, f"{name} is not in this environment: make venv"
    return found


def run(
    *command: str | Path, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, its output kept; whether it succeeded is for the test to say."""
    return subprocess.run(
        [str(part) for part in command],
        check=False,
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
    )


def documents(path: Path) -> list[Any]:
    """The documents of a YAML file."""
    return list(yaml.safe_load_all(path.read_text("utf-8")))
