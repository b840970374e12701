"""A browser, a service with its console, axe-core, and Playwright Test.

Without a browser the tests are skipped; REQUIRE_BROWSERS=1 makes them fail.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.js.conftest import built, missing
from tests.harness.browsers import Chromium, lacks
from tests.harness.console_page import Page
from tests.harness.consoled import CONSOLE
from tests.harness.served import Served

__all__ = ["built"]  # A fixture.
HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """One Chromium for all tests."""
    lacking = lacks("chromium")
    if lacking:
        missing(f"{lacking} for chromium")
    with Chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture(scope="session")
def axe() -> Path:
    """The file of axe-core. It, and Playwright Test, are installed at their pinned versions."""
    if not shutil.which("npm"):
        missing("Node.js with npm")
    found = HERE / "node_modules" / "axe-core" / "axe.min.js"
    if not found.exists() or not (HERE / "node_modules" / "@playwright").exists():
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, cwd=HERE, check=True, timeout=200)
    return found


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Served]:
    """A service with one worker, so that rows come in the order in which requests are sent."""
    with Served(tmp_path, workers=1, console=CONSOLE) as started:
        yield started


@pytest.fixture
def page(browser: Chromium, service: Served) -> Iterator[Page]:
    """The page of the service."""
    host, port = service.admin_address
    opened = Page(browser, f"http://{host}:{port}/console/")
    yield opened
    opened.close()
