"""The package as it is built: what a stranger installs is whole, and what is locked is what is declared.

The other tests run the checkout. These build the wheel, unpack it elsewhere and run that, so that a data file
left out of the wheel is found here and not on a stranger's machine.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from consent.policy import default_policy, policy_hash

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("gateway", "ledger", "consent", "keys")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(to)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (built,) = to.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as an installer lays it: its files on the path, from a directory that is no checkout."""
    site = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def _run(installed: Path, *arguments: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(installed), "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-W", "error::ImportWarning", *arguments],
        cwd=installed.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _sources() -> Iterator[str]:
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(ROOT).as_posix()
    for path in (ROOT / "deploy" / "demo").rglob("*"):
        if path.is_file():
            yield f"gateway/demo/data/{path.relative_to(ROOT / 'deploy' / 'demo').as_posix()}"


def test_wheel_carries_every_file_of_the_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        carried = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert carried == set(_sources())


def test_wheel_is_typed_licensed_and_knows_its_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (points,) = (name for name in names if name.endswith(".dist-info/entry_points.txt"))
        assert "chengxin = gateway.cli:main" in archive.read(points).decode()
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)


@pytest.mark.parametrize("package", PACKAGES)
def test_installed_package_is_the_one_that_runs(installed: Path, package: str) -> None:
    where = _run(installed, "-c", f"import {package}; print({package}.__file__)").strip()
    assert Path(where) == installed / package / "__init__.py"


def test_installed_gateway_makes_its_database_without_a_checkout(installed: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    _run(installed, "-c", "import sys; from gateway.db import migrate; migrate(sys.argv[1])", url)
    assert (tmp_path / "gateway.db").stat().st_size > 0


def test_installed_gateway_finds_its_policy_bundle(installed: Path) -> None:
    code = "from consent.policy import *; print(policy_hash(default_policy(demo=False)))"
    assert _run(installed, "-c", code).strip() == policy_hash(default_policy(demo=False))


def test_installed_gateway_finds_its_notices_and_its_page(installed: Path) -> None:
    code = """
import sys
from importlib.resources import files
from consent.policy import default_policy
from gateway.consents.bodies import ConsentRequest
from gateway.consents.notice import render
from gateway.query.request import Person

for language in ("en", "zh-CN"):
    ask = ConsentRequest(
        request_id="00000000-0000-4000-8000-000000000000", person=Person("-"), purpose="02",
        categories=("loan",), answer="report", not_before="2026-01-01T00:00:00.000Z",
        not_after="2026-01-02T00:00:00.000Z", max_uses=1, retention_days=1, language=language,
    )
    sys.stdout.buffer.write(render(ask, default_policy(demo=True), "Bank", "91990000DEMA00003T").encode())
sys.stdout.buffer.write((files("gateway") / "http" / "index.html").read_bytes())
"""
    shown = _run(installed, "-c", code)
    assert "Consent to a query" in shown
    assert "授权书" in shown
    assert "<title>诚信网关 Chengxin Gateway</title>" in shown


def test_installed_gateway_finds_its_demo_data_in_the_wheel(installed: Path) -> None:
    code = "from gateway.demo.data import demo_path; print(demo_path('german-credit.csv'))"
    where = Path(_run(installed, "-c", code).strip())
    assert where == installed / "gateway" / "demo" / "data" / "german-credit.csv"
    assert where.read_bytes() == (ROOT / "deploy" / "demo" / "german-credit.csv").read_bytes()


def test_installed_command_answers_to_its_name(installed: Path) -> None:
    assert "Usage: chengxin" in _run(
        installed, "-c", "import sys; sys.argv = ['chengxin', '--help']; from gateway.cli import main; main()"
    )


def test_installed_verifier_answers_without_the_gateway(installed: Path) -> None:
    code = (
        "import runpy, sys\n"
        "sys.argv = ['ledger.verify', '--help']\n"
        "try: runpy.run_module('ledger.verify', run_name='__main__')\n"
        "except SystemExit as stop: assert not stop.code\n"
        "assert not {'gateway', 'consent', 'sqlalchemy', 'flask'} & set(sys.modules)\n"
    )
    assert "--vkey" in _run(installed, "-c", code)


def _requirements() -> dict[str, str]:
    """Name -> its lines of requirements.lock, marker and hashes included."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=[a-z])", "\n" + re.sub(r"(?m)^\s*#.*\n", "", text))
    return {block.split("==")[0].strip(): block for block in blocks if block.strip()}


def test_lock_names_no_index_and_hashes_everything() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search(r"https?:|file:|index|--find-links|@ ", text)
    for name, block in _requirements().items():
        assert re.match(rf"{name}==\S+( ; [^\\]+)? \\\n", block), name
        assert "--hash=sha256:" in block, name


def test_lock_holds_what_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [name for group in project["optional-dependencies"].values() for name in group]
    declared = {re.split(r"[<>=\[]", name)[0] for name in [*project["dependencies"], *extras]}
    assert declared <= set(_requirements()), "run `make lock`"
    for issue_package in ("cryptography", "flask", "sqlalchemy", "pynacl", "structlog", "prometheus-client"):
        assert issue_package in declared
