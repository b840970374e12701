"""The page at ``/`` of a running service, in a browser: its script runs, and its policy lets it ask the service."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.js.conftest import missing
from tests.harness.browsers import Chromium, lacks
from tests.harness.running import eventually
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


@pytest.mark.slow(reason="a service and a browser are started")
def test_every_button_of_the_page_does_what_it_says(tmp_path: Path) -> None:
    if lacking := lacks("chromium"):
        missing(f"{lacking} for chromium")
    with Served(tmp_path, workers=1) as service, Chromium(tmp_path) as browser:
        host, port = service.address
        tab = browser.open(f"http://{host}:{port}/")

        def ask(expression: str) -> object:
            return browser.run(tab, expression)

        def click(button: str, until: str) -> None:
            ask(f"(document.getElementById('answer').textContent = '', {button}.click(), 1)")
            eventually(lambda: ask(until), or_show=lambda: str(ask("document.body.innerText")))

        answer = "document.getElementById('answer').textContent"
        by_id = "document.getElementById('{}')".format
        eventually(lambda: ask("document.getElementById('event').value.includes('$schema')"))
        row = "[...document.querySelectorAll('#streams tr')].find((one) => one.textContent.startsWith('shop.order'))"
        click(f"{row}.querySelector('button')", "document.getElementById('event').value.includes('/shop/order/')")
        click(by_id("validate"), f"{answer}.startsWith('200') && {answer}.includes('\"status\": \"valid\"')")
        assert service.events("shop.order") == []
        assert ask("document.getElementById('receipt').disabled") is True
        click(by_id("send"), f"{answer}.startsWith('201')")
        assert len(service.events("shop.order")) == 1
        click(by_id("receipt"), f"{answer}.startsWith('200') && {answer}.includes('\"delivered\": 1')")
        ask("(document.getElementById('hasty').checked = true, 1)")
        click(by_id("send"), f"{answer}.startsWith('202')")
        ask("(document.getElementById('event').value = '{\"a\": 1}', 1)")
        ask("(document.getElementById('hasty').checked = false, 1)")
        click(by_id("send"), f"{answer}.startsWith('400') && {answer}.includes('missing_schema_uri')")
