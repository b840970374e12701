"""``penstock canary once`` as a gate: a table for people, JUnit for a CI, and curl commands instead of requests."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.running import ROOT
from tests.harness.served import Served
from tests.harness.site import Site, status
from tests.process.test_canary import STREAMS, url_of


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("canaries"), workers=1) as served:
        yield served


def once(service: Served, target: str, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "server", "canary", "once", "-c", str(service.settings_file), *arguments]
    done = subprocess.run(
        [*command, "--set", f"canary.targets.here={target}"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


def test_a_table_and_a_report_for_a_ci_name_what_has_failed(service: Served, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    code, table = once(service, url_of(service.address), "--junit", str(report))
    assert code == 0
    assert all(stream in table for stream in STREAMS)
    assert ET.fromstring(report.read_text()).attrib["failures"] == "0"

    with Site() as site:
        site.otherwise = status(500)
        code, table = once(service, site.url(), "--junit", str(report))
    assert code == 1
    assert "http" in table
    suite = ET.fromstring(report.read_text())
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("5", "5")
    assert {failure.attrib["message"] for failure in suite.iter("failure")} == {"http"}


def test_a_dry_run_prints_commands_that_send_the_same_and_sends_nothing(service: Served) -> None:
    with Site() as site:
        code, printed = once(service, site.url(), "--dry-run", "--stream", "shop.order")
        assert (code, site.paths()) == (0, [])
        url = site.url()
    words = shlex.split(printed)

    assert words[0] == "curl"
    assert f"{url}/v1/events" in words
    assert any('"domain":"canary"' in word and '"stream":"shop.order"' in word for word in words)
