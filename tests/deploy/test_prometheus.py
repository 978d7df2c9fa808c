"""Scrape, alerts and dashboard name metrics that there are, and the alerts do what they say (promtool)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from gateway import metrics
from gateway.settings import Settings
from tests.deploy.tools import DEPLOY, documents, run, tool

PROMETHEUS = DEPLOY / "prometheus"
UNIT_TESTS = ("alerts_test.yml", "backup_test.yml")
BUILT_IN = {"up"}
MADE = [one for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)]


def exported() -> dict[str, set[str]]:
    """Every name under which a metric of the gateway is scraped -> the names of its labels."""
    names: dict[str, set[str]] = {}
    for metric in MADE:
        [family] = metric.describe()
        labels = set(metric._labelnames)
        match metric:
            case Counter():
                names[f"{family.name}_total"] = labels
            case Histogram():
                names[f"{family.name}_bucket"] = labels | {"le"}
                names |= {f"{family.name}_{end}": labels for end in ("sum", "count")}
            case Gauge():
                names[family.name] = labels
    return names


def expressions(value: Any) -> Iterator[str]:
    """Every `expr` in a document, however deep."""
    if isinstance(value, dict):
        for key, member in value.items():
            if key in ("expr", "query") and isinstance(member, str):
                yield member
            else:
                yield from expressions(member)
    elif isinstance(value, list):
        for member in value:
            yield from expressions(member)


def rules() -> list[dict[str, Any]]:
    [document] = documents(PROMETHEUS / "alerts.yml")
    return [rule for group in document["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    shown: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text("utf-8"))
    return shown


def used(text: str) -> set[str]:
    """The names of metrics in an expression or a series."""
    return set(re.findall(r"\b(?:chengxin_[a-z0-9_]+|up)\b(?!\s*[=!]~?\")", text))


@cache
def alert_tests() -> list[dict[str, Any]]:
    """Every test of the alerts, from the files that promtool is given."""
    return [test for name in UNIT_TESTS for test in documents(PROMETHEUS / name)[0]["tests"]]


NAMES = sorted(rule["alert"] for rule in rules())


def test_the_module_of_metrics_is_all_there_is() -> None:
    ours = {name for name in REGISTRY._names_to_collectors if name.startswith("chengxin_")}
    declared = {name for metric in MADE for name in REGISTRY._collector_to_names[metric]}
    assert ours == declared


@pytest.mark.parametrize(
    "command",
    [
        ("check", "config", "prometheus.yml"),
        ("check", "rules", "--lint=all", "--lint-fatal", "alerts.yml"),
        ("test", "rules", *UNIT_TESTS),
    ],
    ids=" ".join,
)
def test_promtool_accepts(command: tuple[str, ...]) -> None:
    done = run(tool("promtool", "prometheus"), *command, cwd=PROMETHEUS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_refuses_what_is_wrong(tmp_path: Path) -> None:
    """The check can fail: one of the same tests under an alert that fires later."""
    text = (PROMETHEUS / "alerts.yml").read_text("utf-8")
    (tmp_path / "alerts.yml").write_text(text.replace("for: 1m", "for: 40m"), "utf-8")
    [tested] = documents(PROMETHEUS / "alerts_test.yml")
    tested["tests"] = [test for test in tested["tests"] if test["name"] == "a gateway that is gone"]
    (tmp_path / "alerts_test.yml").write_text(yaml.safe_dump(tested, allow_unicode=True), "utf-8")
    done = run(tool("promtool", "prometheus"), "test", "rules", "alerts_test.yml", cwd=tmp_path)
    assert done.returncode != 0
    assert "GatewayDown" in done.stdout + done.stderr


def test_the_scrape_is_of_the_port_that_the_gateway_has() -> None:
    [config] = documents(PROMETHEUS / "prometheus.yml")
    [job] = config["scrape_configs"]
    assert job["job_name"] == "chengxin"
    assert job["static_configs"] == [
        {"targets": [f"localhost:{Settings.model_fields['metrics_port'].default}"]}
    ]


@pytest.mark.parametrize("name", NAMES)
def test_an_alert_is_tested_firing_and_quiet(name: str) -> None:
    cases = [case for test in alert_tests() for case in test["alert_rule_test"] if case["alertname"] == name]
    assert any(case.get("exp_alerts") for case in cases), "never seen firing"
    assert any(not case.get("exp_alerts") for case in cases), "never seen quiet"


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_what_it_is_about_and_links_to_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"]
    page, _, section = rule["annotations"]["runbook"].partition("#")
    assert section == rule["alert"].lower()
    guide = (DEPLOY.parent / page).read_text("utf-8")
    body = re.split(rf"^## {rule['alert']}$", guide, flags=re.MULTILINE)
    assert len(body) == 2, f"{page} has no section {rule['alert']}, or several"
    assert len(body[1].partition("\n## ")[0].split()) > 25, "it says too little"


def test_the_guide_has_no_section_for_an_alert_that_is_gone() -> None:
    guide = (DEPLOY / "docs" / "monitoring.md").read_text("utf-8")
    assert sorted(re.findall(r"^## ([A-Z][A-Za-z]+)$", guide, re.MULTILINE)) == NAMES


@pytest.mark.parametrize("place", ["alerts.yml", *UNIT_TESTS, "dashboard.json"])
def test_every_metric_that_is_named_is_exported(place: str) -> None:
    if place == "dashboard.json":
        text = list(expressions(dashboard()))
    elif place == "alerts.yml":
        text = [rule["expr"] for rule in rules()]
    else:
        [document] = documents(PROMETHEUS / place)
        text = [one["series"] for test in document["tests"] for one in test["input_series"]]
    named = set().union(*map(used, text))
    assert named, place
    assert named - BUILT_IN <= exported().keys()


def test_every_label_that_an_expression_selects_by_is_one_of_the_metrics() -> None:
    known = exported()
    for text in [*(rule["expr"] for rule in rules()), *expressions(dashboard())]:
        for name, inside in re.findall(r"\b(chengxin_[a-z0-9_]+)\{([^}]*)\}", text):
            labels = set(re.findall(r"([a-z_]+)\s*[=!]~?\"", inside))
            assert labels <= known[name] | {"job"}, text


def test_every_metric_is_on_the_dashboard() -> None:
    """A histogram is there when its buckets, sum or count are."""
    shown = set().union(*map(used, expressions(dashboard())))
    missing = [
        family.name
        for metric in MADE
        for family in metric.describe()
        if not any(name.removesuffix("_total").startswith(family.name) for name in shown)
    ]
    assert missing == []


def test_the_dashboard_names_no_data_source_of_ours_and_no_panel_twice() -> None:
    shown = dashboard()
    panels = shown["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    sources = {target["datasource"]["uid"] for panel in panels for target in panel["targets"]}
    assert sources == {"${source}"}
    assert [one["name"] for one in shown["templating"]["list"] if one["type"] == "datasource"] == ["source"]
    places = [tuple(panel["gridPos"][name] for name in "xywh") for panel in panels]
    for one, (x, y, w, h) in enumerate(places):
        assert x + w <= 24
        for a, b, c, d in places[one + 1 :]:
            assert x + w <= a or a + c <= x or y + h <= b or b + d <= y, "panels overlap"
