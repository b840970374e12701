"""The files for EventStreams name settings, metrics and addresses that exist."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from deploy.grafana.eventstreams_dashboard import dashboard_of_streams
from eventstreams.metrics import TABLE
from eventstreams.streams import public_streams
from server.boot.generation import read
from server.config.load import load
from tests.harness.running import ROOT

FOLDER = ROOT / "deploy" / "eventstreams"


def test_alerts_ask_for_metrics_that_exist() -> None:
    groups: dict[str, Any] = yaml.safe_load((FOLDER / "alerts.yml").read_text())
    names = {metric.shown for metric in TABLE.metrics.values()}
    rules = [rule for group in groups["groups"] for rule in group["rules"]]
    asked = {name for rule in rules for name in re.findall(r"penstock_\w+", rule["expr"])}

    assert asked <= names
    assert len({rule["alert"] for rule in rules}) == len(rules) == 5


def test_the_service_of_compose_reads_what_its_intake_writes() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    own = load(None, [], services["eventstreams"]["environment"]).config
    intake = load(None, [], services["intake"]["environment"]).config
    published = {text.split(":")[-1] for text in services["eventstreams"]["ports"]}

    assert (own.sink.kind, own.sink.kafka) == (intake.sink.kind, intake.sink.kafka)
    assert services["eventstreams"]["command"] == ["eventstreams"]
    assert published == {text.rpartition(":")[2] for text in (*own.eventstreams.listen, own.eventstreams.admin_listen)}
    assert float(services["eventstreams"]["stop_grace_period"].removesuffix("s")) > own.eventstreams.drain_s


def test_proxies_do_not_hold_events_back_and_wait_longer_than_a_stream_is_silent() -> None:
    nginx, haproxy = (FOLDER / "nginx.conf").read_text(), (FOLDER / "haproxy.cfg").read_text()
    keepalive_s = load(None, [], {}).config.eventstreams.keepalive_s

    assert "proxy_buffering off;" in nginx
    for text in (
        *re.findall(r"(?:read_timeout|send_timeout) (\d+)s", nginx),
        *re.findall(r"(?:client|server) (\d+)s", haproxy),
    ):
        assert int(text) > 2 * keepalive_s


def test_the_embedded_example_shows_its_own_streams_and_no_reports() -> None:
    generation = read(None, [])
    public = public_streams(generation.snapshot, "meta.stream", lambda text: None)
    generation.close()

    assert set(public.by_name) == {"web.page_view", "shop.order"}


def test_the_dashboard_is_that_of_its_description_and_shows_every_metric() -> None:
    text = (ROOT / "deploy" / "grafana" / "eventstreams.json").read_text()
    asked = set(re.findall(r"penstock_\w+", text))
    shown = {metric.shown for metric in TABLE.metrics.values()}

    wanted = "run: python -m deploy.grafana.eventstreams_dashboard > deploy/grafana/eventstreams.json"
    assert json.loads(text) == dashboard_of_streams(), wanted
    assert asked == shown


def test_the_example_of_settings_loads_without_a_finding_and_suits_the_proxies() -> None:
    loaded = load(FOLDER / "settings.yaml", [], {})
    own = loaded.config.eventstreams

    assert loaded.findings == []
    assert loaded.config.http.trusted_proxies, "limits per address need the real one"
    assert own.max_age_s < 900
    assert own.listen[0] in (FOLDER / "nginx.conf").read_text()
