"""The built client, browsers and a served intake.

Without a browser its tests are skipped; REQUIRE_BROWSERS=1 makes them fail.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.js.site import Site
from tests.harness.browsers import ENGINES, Browser, lacks
from tests.harness.running import ROOT
from tests.harness.served import Served

CLIENT = ROOT / "clients" / "js"


def missing(what: str) -> None:
    """Skip the test, or fail it where browsers are required."""
    if os.environ.get("REQUIRE_BROWSERS"):
        pytest.fail(f"REQUIRE_BROWSERS is set, and there is no {what}")
    pytest.skip(f"there is no {what}")


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder with the built client."""
    if not shutil.which("npm"):
        missing("Node.js with npm")
    done = subprocess.run(["make", "clients-js"], cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / "build" / "clients" / "js"


@pytest.fixture(scope="session", params=list(ENGINES))
def browser(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser of each engine for all tests."""
    lacking = lacks(request.param)
    if lacking:
        missing(f"{lacking} for {request.param}")
    with ENGINES[request.param](tmp_path_factory.mktemp(request.param)) as started:
        yield started


@pytest.fixture(scope="session")
def intake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One real intake for all tests that do not end it."""
    with Served(tmp_path_factory.mktemp("intake"), workers=1) as service:
        yield service


@pytest.fixture
def site(built: Path, intake: Served) -> Iterator[Site]:
    """A site of an origin of its own, so that nothing stored by another test is there."""
    with Site(built) as started:
        started.upstream = intake.address
        yield started
