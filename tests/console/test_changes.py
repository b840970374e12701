"""The page shows what becomes of an event after its row was shown."""

from __future__ import annotations

from pathlib import Path

from server.console.copying.copies import SPOOLED, Outcome
from server.console.ring import Ring
from tests.harness.browsers import Chromium
from tests.harness.console_many import Many
from tests.harness.console_page import Page
from tests.harness.console_rows import add

VERDICTS = "[...document.querySelectorAll('.item .row')].map((one) => one.children[1].textContent).join()"


def fill(ring: Ring) -> None:
    for page in ("/a", "/b"):
        add(ring, {"page": page})


def spool(ring: Ring) -> None:
    (row, _) = ring.after(0)
    ring.note(row, Outcome(1, 0, SPOOLED, -1, -1, 1.0))


def test_a_verdict_that_changes_changes_the_row_and_meets_filters(browser: Chromium, tmp_path: Path) -> None:
    with Many(tmp_path) as many:
        page = Page(browser, many.url)
        spooled = Page(browser, many.url + "?where=verdict%3Aspooled")
        many.add(fill)
        page.until(f"{VERDICTS} === '✓ accepted,✓ accepted'")
        many.add(spool)

        page.until(f"{VERDICTS} === '✓ accepted,⧖ spooled'")
        spooled.until(f"{VERDICTS} === '⧖ spooled'")
        for one in (page, spooled):
            assert one.faults() == []
            one.close()
