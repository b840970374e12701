"""50,000 events, some of a megabyte, neither fill the browser's memory nor its document."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.console.ring import Ring
from tests.harness.browsers import Chromium
from tests.harness.console_many import Many
from tests.harness.console_page import Page
from tests.harness.console_rows import add

ROWS = 50_000
BATCH = 2_500
LARGE = 1_048_576
HEAP_BYTES = 150 * 1024 * 1024


def fill(ring: Ring) -> None:
    for number in range(BATCH):
        value = {"page": "x" * LARGE} if number == 0 else {"page": f"/{number}", "meta": {"id": f"id-{number}"}}
        add(ring, value, test="many")


@pytest.mark.slow(reason="50,000 rows in a browser")
def test_fifty_thousand_events_stay_small_in_the_browser(browser: Chromium, tmp_path: Path) -> None:
    with Many(tmp_path) as many:
        page = Page(browser, many.url)
        for batch in range(ROWS // BATCH):
            many.add(fill)
            page.until(f"document.getElementById('counts').textContent.startsWith('{(batch + 1) * BATCH} of')")
        page.until("document.querySelectorAll('.item').length > 0")
        drawn = page.ask("document.querySelectorAll('.item').length")
        page.ask(f"(document.getElementById('list').scrollTop = {BATCH - 1} * 36, 1)")
        page.until("document.querySelector(\".item[aria-posinset='2500']\") !== null")
        page.ask("(document.querySelector(\".item[aria-posinset='2500'] .row\").click(), 1)")
        page.until("document.querySelector('.detail pre') !== null")
        held = page.ask("document.querySelector('.item').getAttribute('aria-setsize')")
        shown = page.ask("document.querySelector('.detail pre').textContent.length")
        heap_bytes = page.heap_bytes()
        page.close()

    assert held == str(ROWS)
    assert drawn < 100
    assert shown == 65_536
    assert heap_bytes < HEAP_BYTES
    print(f"heap {heap_bytes / 1e6:.0f} MB, {drawn} rows in the document")
