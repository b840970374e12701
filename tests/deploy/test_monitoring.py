"""The dashboard and the alerts ask for metrics that there are, and each alert is explained, fires and clears."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from server.metrics.declare import Gauge, count, counter, gauge, histogram
from server.metrics.table import METRICS

ROOT = Path(__file__).parents[2]
DASHBOARD = ROOT / "deploy" / "grafana" / "penstock.json"
PROMETHEUS = ROOT / "deploy" / "prometheus"
RUNBOOKS = (ROOT / "docs" / "RUNBOOKS.md").read_text()


def rules() -> list[dict[str, str]]:
    (group,) = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    found: list[dict[str, str]] = group["rules"]
    return found


def expressions() -> list[str]:
    """Of the dashboard."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is missing (Debian: prometheus)")
    return subprocess.run([program, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, timeout=300)


def test_the_dashboard_is_that_of_its_description() -> None:
    made = runpy.run_path(str(ROOT / "deploy" / "grafana" / "dashboard.py"))["dashboard"]()

    wanted = "run: python -m deploy.grafana.dashboard > deploy/grafana/penstock.json"
    assert json.loads(DASHBOARD.read_text()) == made, wanted


def test_a_metric_that_no_panel_was_written_for_has_a_plain_one() -> None:
    made = runpy.run_path(str(ROOT / "deploy" / "grafana" / "dashboard.py"))["dashboard"]
    new = (
        counter("trial_bytes", "A trial.", count(lambda _: 0), "stream"),
        gauge("trial_age_seconds", "A trial.", Gauge(lambda _: 0)),
        histogram("trial_seconds", "A trial.", (0.1,), lambda worker: worker.counts.hasty),
    )
    panels = made(METRICS | {metric.name: metric for metric in new})["panels"]
    *_, of_counter, of_gauge, of_histogram = panels

    assert [panel["title"] for panel in panels if panel["type"] == "row"][-1] == "Other metrics"
    expressions = [[target["expr"] for target in panel["targets"]] for panel in (of_counter, of_gauge, of_histogram)]
    assert expressions[0] == [
        'sum by (stream) (rate(penstock_trial_bytes_total{instance=~"$instance"}[$__rate_interval]))'
    ]
    assert expressions[1] == ['sum (penstock_trial_age_seconds{instance=~"$instance"})']
    assert len(expressions[2]) == 2
    assert all("penstock_trial_seconds_bucket" in one for one in expressions[2])


def test_the_rules_are_those_of_their_description() -> None:
    made = runpy.run_path(str(PROMETHEUS / "alerts.py"))["render"]()

    wanted = "run: python deploy/prometheus/alerts.py > deploy/prometheus/alerts.yml"
    assert (PROMETHEUS / "alerts.yml").read_text() == made, wanted


def test_every_metric_that_is_asked_for_is_in_the_table_and_every_one_in_the_table_is_shown() -> None:
    shown = {metric.shown for metric in METRICS.values()}
    asked = set(re.findall(r"penstock_\w+", " ".join(expressions())))
    watched = set(re.findall(r"penstock_\w+", " ".join(rule["expr"] for rule in rules())))

    assert asked | watched <= shown
    assert shown - asked - watched == set()


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    names = [rule["alert"] for rule in rules()]

    assert re.findall(r"^## (\w+)$", RUNBOOKS, re.MULTILINE) == names
    for rule in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"][0]["rules"]:
        assert rule["annotations"]["runbook"] == f"docs/RUNBOOKS.md#{rule['alert'].lower()}"


def test_every_alert_has_a_case_in_which_it_fires_and_clears() -> None:
    cases = yaml.safe_load((PROMETHEUS / "alerts_test.yml").read_text())["tests"]
    counts = {case["name"]: [len(step["exp_samples"]) for step in case["promql_expr_test"]] for case in cases}

    assert counts == {rule["alert"]: [0, 1, 0] for rule in rules()}


@pytest.mark.parametrize(
    "arguments",
    [("check", "rules", "alerts.yml"), ("check", "config", "prometheus.yml"), ("test", "rules", "alerts_test.yml")],
    ids=" ".join,
)
def test_prometheus_finds_nothing_wrong(arguments: tuple[str, ...]) -> None:
    done = promtool(*arguments)

    assert done.returncode == 0, done.stdout + done.stderr
