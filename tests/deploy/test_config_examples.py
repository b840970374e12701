"""The example settings can be used as they stand."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

from server.config.load import load

DEPLOY = Path(__file__).parents[2] / "deploy"
EXAMPLES = sorted((DEPLOY / "config").glob("*.yaml"))


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # systemd's keys have capitals
    parser.read(DEPLOY / "systemd" / name, encoding="utf-8")
    return parser


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_loads_without_a_finding(path: Path) -> None:
    assert load(path, [], {}).findings == []


def test_the_edge_example_turns_on_the_careful_defaults() -> None:
    config = load(DEPLOY / "config" / "edge.yaml", [], {}).config

    assert config.profile == "external"
    assert config.http.trusted_proxies


def test_the_development_example_takes_any_stream_name() -> None:
    config = load(DEPLOY / "config" / "development.yaml", [], {}).config

    assert config.streams.sources == []
    assert config.sink.kind == "sqlite"


def test_systemd_gives_a_drain_time_to_end_before_it_kills() -> None:
    drain_s = load(DEPLOY / "config" / "kafka.yaml", [], {}).config.drain_s

    assert int(unit("penstock.service")["Service"]["TimeoutStopSec"]) > drain_s


def test_systemd_listens_where_the_examples_do() -> None:
    listens = unit("penstock.socket")["Socket"]["ListenStream"]

    assert listens in load(DEPLOY / "config" / "edge.yaml", [], {}).config.http.listen


def test_systemd_does_not_restart_what_would_end_the_same_way() -> None:
    codes = unit("penstock.service")["Service"]["RestartPreventExitStatus"]

    assert re.findall(r"\d+", codes) == ["2", "3", "5"]


def test_the_spool_of_the_examples_is_where_systemd_lets_the_service_write() -> None:
    state = "/var/lib/" + unit("penstock.service")["Service"]["StateDirectory"]

    for name in ("kafka.yaml", "edge.yaml"):
        assert load(DEPLOY / "config" / name, [], {}).config.spool.path.startswith(state)
