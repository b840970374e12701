"""The page at ``/`` of a running service, in a browser: its script runs, and its policy lets it ask the service."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.harness.served import Served


@pytest.mark.slow(reason="a service and a browser are started")
@pytest.mark.skipif(shutil.which("chromium") is None, reason="there is no chromium")
def test_a_browser_shows_the_streams(tmp_path: Path) -> None:
    with Served(tmp_path, workers=1) as service:
        host, port = service.address
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
        page = subprocess.run(
            ["chromium", *options, "--virtual-time-budget=10000", "--dump-dom", f"http://{host}:{port}/"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=120,
            check=True,
        ).stdout.decode()

    assert "<td>web.page_view</td>" in page
    assert '<a href="/v1/schemas/shop/order">shop/order</a>' in page
