"""The profiles for the four services of Wikimedia send canaries and find them again, in a real Kafka."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from server.config.load import load
from tests.deploy.test_profiles import CONFIG, PROFILES, SCHEMA, STREAM, Stand, options, post, serve
from tests.harness.broker import Kafka, free_ports
from tests.harness.running import ROOT
from tests.harness.site import Site
from tests.harness.topics import create, read_all

SERVICES = [name for name in PROFILES if name.startswith("eventgate-")]
OFTEN = {"period_s": 10, "run_s": 10, "roundtrip_s": 10, "request_s": 10}


def canary(stand: Stand, action: str) -> tuple[int, list[dict[str, Any]]]:
    """Run ``penstock canary``. Returns the exit code and the lines."""
    command = [sys.executable, "-m", "server", "canary", action, "--json", "-c", str(CONFIG / f"{stand.profile}.yaml")]
    for option in stand.options:
        command += ["--set", option]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120)
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done.returncode, json.loads(done.stdout)


@pytest.mark.kafka
@pytest.mark.parametrize("profile", SERVICES)
def test_a_profile_sends_canaries_and_finds_them(kafka_broker: Kafka, topic: str, profile: str, tmp_path: Path) -> None:
    config = load(CONFIG / f"{profile}.yaml", [], {}).config
    assert config.canary.enabled
    prefix = f"{topic}."
    create(kafka_broker.servers, prefix + STREAM)
    (port,) = free_ports(1)
    with Site() as site:
        given = {
            "http.listen": [f"127.0.0.1:{port}"],
            "admin.listen": "127.0.0.1:0",
            "sink.kind": "kafka",
            "sink.topic_prefix": prefix,
            "sink.kafka": {"bootstrap.servers": kafka_broker.servers, "security.protocol": "plaintext"},
            "spool.path": str(tmp_path / "spool"),
            **{f"canary.{name}": value for name, value in OFTEN.items()},
        }
        more = [f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in given.items()]
        # Maps are merged, so the targets of the other test go: the profile names none, and the service sends to itself.
        usual = [one for one in options(profile, tmp_path, site) if not one.startswith("canary.targets=")]
        stand = Stand(profile, [*usual, *more], site)
        with serve(stand, tmp_path) as service:
            whole = {"$schema": SCHEMA, "meta": {"stream": STREAM}, "count": 1}
            service.until(lambda: post(service, whole) == 201)  # Where schemas are at URLs alone, it is fetched now.
            service.until(lambda: canary(stand, "status")[0] == 0)
            code, (line,) = canary(stand, "status")
            assert (code, line["stream"], line["target"], line["stage"]) == (0, STREAM, "local", "done")

            service.until(lambda: canary(stand, "once")[0] == 0)

    domains = [
        json.loads(record.value)["meta"].get("domain") for record in read_all(kafka_broker.servers, prefix + STREAM)
    ]
    assert domains.count("canary") >= 2
    assert domains.count(None) == 1
