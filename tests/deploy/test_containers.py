"""Image and compose file: what a linter and Compose itself say of them. No image is built here.

What can be run without Docker is: the settings load, and the database's script makes its logins.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gateway.config import Settings, load_settings
from tests import databases
from tests.deploy.tools import DEPLOY, documents, ours, run, tool

COMPOSE = DEPLOY / "compose"
PASSWORDS = {"owner-password": "o'w\\n \"er", "gateway-password": "0123456789abcdef"}


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    """The compose file as Compose understands it, optional services too."""
    command = (
        ours("docker-compose"),
        "--file",
        COMPOSE / "compose.yaml",
        "--profile",
        "*",
        "config",
        "--format",
        "json",
    )
    done = run(*command)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr.lower()
    understood: dict[str, Any] = json.loads(done.stdout)
    return understood


def test_the_dockerfile_pleases_its_linter() -> None:
    done = run(ours("hadolint"), "--failure-threshold", "style", COMPOSE / "Dockerfile")
    assert (done.returncode, done.stdout) == (0, ""), done.stdout


def test_the_linter_finds_what_is_wrong(tmp_path: Path) -> None:
    text = (COMPOSE / "Dockerfile").read_text("utf-8").replace("debian:12-slim", "debian:latest")
    (tmp_path / "Dockerfile").write_text(text)
    assert "DL3007" in run(ours("hadolint"), tmp_path / "Dockerfile").stdout


def test_the_image_is_of_locked_packages_and_runs_as_nobody_in_particular() -> None:
    text = (COMPOSE / "Dockerfile").read_text("utf-8")
    assert "--require-hashes" in text
    assert text.count("--no-index") == 2, "something is installed past the lock"
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
    assert "http://" not in text.replace("http://127.0.0.1:8460", "")
    assert "https://" not in text


def test_what_the_image_is_built_from_is_there() -> None:
    kept = (COMPOSE / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    for line in kept:
        if line.startswith("!"):
            assert (DEPLOY.parent / line[1:]).exists(), line


def test_no_service_has_rights_or_secrets_that_it_does_not_need(composed: dict[str, Any]) -> None:
    services = composed["services"]
    assert set(services) == {"database", "gateway", "nginx", "prometheus"}
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is True, name
        assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", service.get("user", "10001:10001")), name
        assert not any("password" in str(value).lower() for value in service.get("command") or ()), name
    held = {name: {one["source"] for one in service.get("secrets", [])} for name, service in services.items()}
    assert held == {
        "database": {"admin-password", "owner-password", "gateway-password"},
        "gateway": {"passphrase", "owner-password", "gateway-password"},
        "nginx": {"fullchain", "privkey"},
        "prometheus": set(),
    }
    environment = services["database"]["environment"]
    assert {name for name in environment if "PASSWORD" in name} == {"POSTGRES_PASSWORD_FILE"}


def test_nothing_but_nginx_is_reached_from_outside(composed: dict[str, Any]) -> None:
    services = composed["services"]
    published = {name: {port["target"] for port in one.get("ports", [])} for name, one in services.items()}
    assert published == {"database": set(), "gateway": {80, 443}, "nginx": set(), "prometheus": set()}
    assert set(services["database"]["networks"]) == {"inside"}
    assert composed["networks"]["inside"]["internal"] is True
    assert services["nginx"]["network_mode"] == services["prometheus"]["network_mode"] == "service:gateway"


def test_the_image_is_of_this_release_wherever_it_is_named(composed: dict[str, Any]) -> None:
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text("utf-8"))["project"]
    release = ".".join(project["version"].split(".")[:2])
    assert composed["services"]["gateway"]["image"] == f"chengxin-gateway:{release}"
    named = {
        image
        for path in (DEPLOY / "kubernetes").glob("*.yaml")
        for image in re.findall(r"image: (chengxin-gateway:\S+)", path.read_text("utf-8"))
    }
    assert named == {f"chengxin-gateway:{release}"}
    for page in (DEPLOY / "docs" / "install.md", DEPLOY.parent / "README.md", DEPLOY.parent / "README.zh.md"):
        assert set(re.findall(r"/opt/chengxin-([0-9.]*[0-9])", page.read_text("utf-8"))) == {release}, page


def test_every_file_that_is_mounted_is_there(composed: dict[str, Any]) -> None:
    for service in composed["services"].values():
        for mount in service.get("volumes", []):
            if mount["type"] == "bind":
                assert Path(mount["source"]).is_file(), mount


def check_settings(settings: Settings, secrets: Path) -> None:
    """What both kinds of containers need: loopback, nginx trusted, PostgreSQL, secrets where mounted."""
    assert settings.addresses == ("127.0.0.1",)
    assert settings.trusted_proxies == ("127.0.0.1",)
    assert settings.database_file is None
    assert settings.public_url == "https://credit.example.cn"
    for path in (
        settings.passphrase_file,
        settings.database_password_file,
        settings.database_owner_password_file,
    ):
        assert path is not None
        assert path.parent == secrets
    assert not settings.checkpoint_copy.is_relative_to(settings.home)


def test_the_settings_in_the_containers_are_settings(
    composed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHENGXIN_CONFIG", str(COMPOSE / "config.toml"))
    settings = load_settings(Path("/srv/chengxin"))
    check_settings(settings, Path("/run/secrets"))
    mounted = {f"/run/secrets/{one['source']}" for one in composed["services"]["gateway"]["secrets"]}
    assert {str(settings.passphrase_file), str(settings.database_password_file)} <= mounted


def test_the_databases_script_makes_an_owner_and_a_login_that_owns_nothing(tmp_path: Path) -> None:
    """On the PostgreSQL of the tests: passwords of any characters, none in a command line, none in clear."""
    psql, server = tool("psql", "postgresql-client"), databases.postgres()
    for name, password in PASSWORDS.items():
        (tmp_path / name).write_text(password)
    script = tmp_path / "database.sh"
    script.write_text((COMPOSE / "database.sh").read_text("utf-8").replace("/run/secrets", str(tmp_path)))
    path = f"{Path(psql).parent}:{os.environ['PATH']}"
    try:
        host = str(server.server.sockets)
        done = run("sh", script, POSTGRES_USER="postgres", PGHOST=host, PATH=path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        with server.connect() as conn:
            rows = conn.execute(
                "SELECT rolname, rolcreaterole, rolsuper, rolpassword FROM pg_authid "
                "WHERE rolname IN ('chengxin_gateway', 'chengxin_owner') ORDER BY rolname"
            ).fetchall()
            owner = conn.execute(
                "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'chengxin'"
            ).fetchone()
        assert [row[:3] for row in rows] == [
            ("chengxin_gateway", False, False),
            ("chengxin_owner", True, False),
        ]
        assert all(row[3].startswith("SCRAM-SHA-256$") for row in rows)
        assert owner == ("chengxin_owner",)
    finally:
        server.admin(
            "DROP DATABASE IF EXISTS chengxin",
            "DROP ROLE IF EXISTS chengxin_gateway",
            "DROP ROLE IF EXISTS chengxin_owner",
        )


def test_secrets_are_never_committed() -> None:
    [document] = documents(COMPOSE / "compose.yaml")
    assert all(one["file"].startswith("secrets/") for one in document["secrets"].values())
    assert "secrets/" in (COMPOSE / ".gitignore").read_text("utf-8").splitlines()
