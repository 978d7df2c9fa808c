"""The manifests: valid for Kubernetes, one replica, confined, without a secret in them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from gateway.config import load_settings
from gateway.http.routes.system import register
from tests.deploy.test_containers import check_settings
from tests.deploy.tools import DEPLOY, documents

KUBERNETES = DEPLOY / "kubernetes"
FILES = sorted(KUBERNETES.glob("*.yaml"))
ALL = [(path.name, one) for path in FILES for one in documents(path)]


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [one for _, one in ALL if one["kind"] == kind]


def pods() -> list[dict[str, Any]]:
    return [one["spec"]["template"]["spec"] for kind in ("Deployment", "Job") for one in of_kind(kind)]


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"]]


@pytest.mark.parametrize(
    ("name", "manifest"), ALL, ids=lambda part: part if isinstance(part, str) else part["kind"]
)
def test_kubernetes_takes_the_manifest(name: str, manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, "1.33", strict=True)


def test_the_check_finds_what_is_wrong() -> None:
    wrong = copy.deepcopy(of_kind("Deployment")[0])
    wrong["spec"]["replica"] = 2
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.33", strict=True)


def test_there_is_one_gateway_and_never_a_second_beside_it() -> None:
    """Its locks are files; ADR 12."""
    [deployment] = of_kind("Deployment")
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert all(one["spec"]["accessModes"] == ["ReadWriteOncePod"] for one in of_kind("PersistentVolumeClaim"))


@pytest.mark.parametrize("pod", pods(), ids=["gateway", "init"])
def test_a_pod_meets_the_restricted_standard(pod: dict[str, Any]) -> None:
    """Pod Security Standards, restricted: https://kubernetes.io/docs/concepts/security/pod-security-standards"""
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False, "CHENGXIN_PORT of the service would be taken for a setting"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
    for container in containers(pod):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"]["memory"]
        assert "env" not in container, "settings stand in the file, secrets in files"


def test_what_a_pod_mounts_it_has_and_what_it_has_is_mounted() -> None:
    claims = {one["metadata"]["name"] for one in of_kind("PersistentVolumeClaim")}
    secrets = {one["metadata"]["name"]: set(one["data"]) for one in of_kind("Secret")}
    for pod in pods():
        mounted = {mount["name"] for one in containers(pod) for mount in one["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
        for volume in pod["volumes"]:
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims
            if "secret" in volume:
                wanted = {item["key"] for item in volume["secret"].get("items", [])}
                assert wanted <= secrets[volume["secret"]["secretName"]]


def test_the_gateway_never_has_the_owners_password() -> None:
    [deployment] = of_kind("Deployment")
    assert "chengxin-owner" not in str(deployment)


def test_no_secret_has_a_value() -> None:
    for secret in of_kind("Secret"):
        assert "stringData" not in secret
        assert set(secret["data"].values()) == {""}


def test_probes_ask_routes_that_there_are() -> None:
    [deployment] = of_kind("Deployment")
    gateway, nginx = deployment["spec"]["template"]["spec"]["containers"]
    rules: list[str] = []

    class Recorded:
        house = None

        def route(self, rule: str, *_: object) -> Any:
            rules.append(rule)
            return lambda view: view

    register(Recorded())  # type: ignore[arg-type]
    probed = {
        name: gateway[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert probed == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    assert set(probed.values()) <= set(rules)
    ports = {port["name"]: port["containerPort"] for port in nginx["ports"]}
    assert ports == {"http": 80, "https": 443, "metrics": 9461}


def test_the_network_lets_in_https_and_prometheus_only() -> None:
    [policy] = of_kind("NetworkPolicy")
    everyone, monitoring = policy["spec"]["ingress"]
    assert "from" not in everyone
    assert {port["port"] for port in everyone["ports"]} == {80, 443}
    assert monitoring["from"]
    assert [port["port"] for port in monitoring["ports"]] == [9461]
    assert set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    apps = {
        one["spec"]["template"]["metadata"]["labels"]["app"]
        for k in ("Deployment", "Job")
        for one in of_kind(k)
    }
    assert set(policy["spec"]["podSelector"]["matchExpressions"][0]["values"]) == apps


def test_the_settings_are_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [config] = of_kind("ConfigMap")
    (tmp_path / "config.toml").write_text(config["data"]["config.toml"])
    monkeypatch.setenv("CHENGXIN_CONFIG", str(tmp_path / "config.toml"))
    check_settings(load_settings(Path("/srv/chengxin")), Path("/run/chengxin"))
