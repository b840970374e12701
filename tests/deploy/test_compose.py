"""The compose file starts what is in this tree: its settings can be used, and what it mounts is there."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from server.config.load import load
from server.version import VERSION
from tests.harness.running import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_the_intake_can_use_its_environment() -> None:
    intake = SERVICES["intake"]
    config = load(None, [], intake["environment"]).config
    published = {text.split(":")[-1] for text in intake["ports"]}

    assert intake["command"] == ["serve"]
    assert config.sink.kind == "kafka"
    assert config.sink.kafka["bootstrap.servers"] == f"kafka:{_port('KAFKA_ADVERTISED_LISTENERS')}"
    assert {address.rpartition(":")[2] for address in [*config.http.listen, config.admin.listen]} <= published
    assert float(intake["stop_grace_period"].removesuffix("s")) > config.drain_s


def _port(name: str) -> str:
    return str(SERVICES["kafka"]["environment"][name]).rpartition(":")[2]


def test_nothing_listens_beyond_this_machine() -> None:
    for service in SERVICES.values():
        assert all(text.startswith("127.0.0.1:") for text in service.get("ports", []))


def test_the_intake_has_no_rights() -> None:
    intake = SERVICES["intake"]

    assert intake["read_only"] and intake["cap_drop"] == ["ALL"] and "no-new-privileges:true" in intake["security_opt"]
    assert re.search(r"^USER 10001:10001$", DOCKERFILE, re.MULTILINE)
    assert intake["volumes"] == [f"state:{re.search(r'^VOLUME (.*)$', DOCKERFILE, re.MULTILINE)[1]}"]  # type: ignore[index]


def test_what_is_mounted_is_there() -> None:
    mounts = [text for service in SERVICES.values() for text in service.get("volumes", [])]
    files = [text.split(":")[0] for text in mounts if text.startswith("./")]

    assert files
    assert [name for name in files if not (ROOT / name).is_file()] == []


def test_prometheus_and_grafana_find_what_they_look_at() -> None:
    intake = load(None, [], SERVICES["intake"]["environment"]).config
    scraped = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["scrape_configs"]
    targets = [target for one in scraped for static in one["static_configs"] for target in static["targets"]]
    (source,) = yaml.safe_load(COMPOSE["configs"]["datasource"]["content"])["datasources"]

    assert SERVICES["prometheus"]["network_mode"] == "service:intake"
    assert targets == [f"127.0.0.1:{intake.admin.listen.rpartition(':')[2]}"]
    assert source["url"] == "http://intake:9090"


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_has_a_version_and_no_registry(name: str) -> None:
    image, _, tag = SERVICES[name]["image"].partition(":")

    assert tag and tag != "latest"
    assert "." not in image.split("/")[0]
    if "build" in SERVICES[name]:
        assert tag == VERSION


def test_the_image_copies_what_is_there_and_what_the_context_lets_in() -> None:
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [
        name for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE) for name in line.split()[:-1]
    ]

    assert copied
    for name in copied:
        assert (ROOT / name).exists()
        assert any(name == one or name.startswith(one + "/") for one in let_in), name


def test_the_image_starts_the_program() -> None:
    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", DOCKERFILE, re.MULTILINE)

    assert json.loads(entry) == ["penstock"]
