"""Each profile in deploy/config is checked, served with another sink, and takes an event as it should."""

from __future__ import annotations

import io
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from server.commands import check
from server.config.load import load
from server.config.urls import is_url
from tests.harness import site as behaviours
from tests.harness.running import ROOT, Running
from tests.harness.served import EXAMPLES, READY
from tests.harness.site import Site

CONFIG = ROOT / "deploy" / "config"
PROFILES = sorted(path.stem for path in CONFIG.glob("*.yaml"))
SCHEMA = "/app/tick/1.0.0"
STREAM = "app.tick.profile"
BASE = "/schemas"


class Stand(NamedTuple):
    """A profile with the world around it replaced: ``options`` are ``--set``s."""

    profile: str
    options: list[str]
    site: Site


@pytest.fixture(params=PROFILES)
def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stand]:
    with Site() as site:
        yield Stand(request.param, options(request.param, tmp_path, site), site)


def options(profile: str, directory: Path, site: Site) -> list[str]:
    """Directories, URLs, ports and the sink are the test's; everything else is the profile's."""
    config = load(CONFIG / f"{profile}.yaml", [], {}).config
    declared = {STREAM: {"schema_title": "app/tick", "destination_event_service": config.service_name}}
    site.says("/api", behaviours.streams(**declared))
    for file in ("app/tick/1.0.0", "fragment/event/1.0.0"):
        text = (EXAMPLES / "schemas" / f"{file}.yaml").read_text()
        site.says(f"{BASE}/{file}.yaml", behaviours.body(text, "text/yaml"))
    (directory / "streams.yaml").write_text(json.dumps({"streams": declared}))
    places = list(
        dict.fromkeys(site.url(BASE) if is_url(one) else str(EXAMPLES / "schemas") for one in config.schemas.base_uris)
    )
    sources = [site.url("/api") if is_url(one) else str(directory / "streams.yaml") for one in config.streams.sources]
    given = {
        "workers": 1,
        "http.listen": ["127.0.0.1:0"],
        "schemas.base_uris": places,
        "schemas.prepared_path": str(directory / "prepared"),
        "streams.sources": sources,
        "fetch.path": str(directory / "cache"),
        "canary.path": str(directory / "canary"),
        "plausibility.path": str(directory / "plausibility"),
        "canary.targets": {"here": "http://127.0.0.1:9"},
        "sink.kind": "sqlite",
        "sink.sqlite.path": str(directory / "events"),
    }
    return [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in given.items()]


def serve(stand: Stand, directory: Path) -> Running:
    arguments = ["-m", "server", "serve", "-c", str(CONFIG / f"{stand.profile}.yaml")]
    for option in stand.options:
        arguments += ["--set", option]
    service = Running(arguments, directory / "log")
    try:
        service.says(READY)
    except BaseException:
        service.end()
        raise
    return service


def post(service: Running, event: dict[str, Any], query: str = "") -> int:
    """Send one event: the status of the answer."""
    ((host, port),) = re.findall(r"ready: generation .*? on http://([\d.]+):(\d+)", service.log())
    body = json.dumps(event).encode()
    head = f"POST /v1/events{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=60) as client:
        client.sendall(head.encode() + body)
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    return int(answer.split()[1])


def topics(stand: Stand) -> list[str]:
    command = [sys.executable, "-m", "server", "events", "-c", str(CONFIG / f"{stand.profile}.yaml")]
    for option in stand.options:
        command += ["--set", option]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60)
    return [json.loads(line)["topic"] for line in done.stdout.splitlines()]


def test_a_profile_is_checked_served_and_posted_to(stand: Stand, tmp_path: Path) -> None:
    config = load(CONFIG / f"{stand.profile}.yaml", [], {}).config
    out = io.StringIO()
    code = check.run(CONFIG / f"{stand.profile}.yaml", stand.options, environ={}, out=out)
    assert code == 0, out.getvalue()
    whole = {"$schema": SCHEMA, "meta": {"stream": STREAM}, "count": 1}
    with serve(stand, tmp_path) as service:
        # A schema that comes too late from its URL is 503: the client sends again.
        service.until(lambda: post(service, whole) == 201)
        assert post(service, whole | {"count": "many"}) == 400

        by_query = post(service, {"count": 2}, f"?schema_uri={SCHEMA}&stream={STREAM}")
        assert by_query == (201 if config.intake.stream_query_param else 400)

    assert set(topics(stand)) >= {config.sink.topic_prefix + STREAM}
    has_directory = not all(map(is_url, config.schemas.base_uris))
    assert (f"{BASE}/app/tick/1.0.0.yaml" in stand.site.paths()) != has_directory, "directories come first"


def test_the_four_of_wikimedia_and_two_of_our_own_are_there() -> None:
    assert set(PROFILES) == {
        *("eventgate-main", "eventgate-analytics", "eventgate-analytics-external", "eventgate-logging-external"),
        *("edge", "development", "kafka"),
    }


@pytest.mark.parametrize("name", [name for name in PROFILES if name.startswith("eventgate-")])
def test_a_profile_is_named_after_the_service_whose_streams_it_takes(name: str) -> None:
    config = load(CONFIG / f"{name}.yaml", [], {}).config

    assert config.service_name == name
    assert config.streams.constraints == {"destination_event_service": name}
    assert (config.profile == "external") == name.endswith("-external")
    assert config.rejects_duplicates == name.endswith("-external")


@pytest.mark.parametrize("name", ["kafka.yaml", "edge.yaml"])
def test_a_profile_for_systemd_writes_below_its_state_directory(name: str) -> None:
    """A unit with ProtectSystem=strict cannot write next to settings in /etc."""
    config = load(ROOT / "deploy" / "config" / name, [], {}).config

    places = [config.spool.path, config.fetch.path, config.schemas.prepared_path]
    assert [place for place in places if not place.startswith("/var/lib/penstock/")] == []
