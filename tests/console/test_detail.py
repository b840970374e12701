"""What the page offers about an event: what happened to it, copies that run, links, coverage, rates, canaries, gaps."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.js.conftest import missing
from tests.console.test_page import ROWS, WRONG
from tests.harness.broker import MockCluster
from tests.harness.browsers import Chromium
from tests.harness.console_page import Page
from tests.harness.consoled import CONSOLE, GOOD, client_of, page_view, send
from tests.harness.running import PATIENCE_S, ROOT
from tests.harness.served import Served

CAPTURE = """(Object.defineProperty(navigator, "clipboard",
  { value: { writeText: async (text) => { window.copied = text; } }, configurable: true }), 1)"""


SENDING = """import os, urllib.request
    headers = {"Content-Type": "application/json", **penstock_console.headers}
    url = os.environ["INTAKE"] + "/v1/events"
    urllib.request.urlopen(urllib.request.Request(url, os.environ["EVENT"].encode(), headers))"""


def page_of(browser: Chromium, service: Served) -> Page:
    host, port = service.admin_address
    return Page(browser, f"http://{host}:{port}/console/")


def click(page: Page, name: str) -> None:
    """Click a button of the opened row by its name."""
    button = f"[...document.querySelectorAll('.detail button')].find((one) => one.textContent === {name!r})"
    page.ask(f"({button}.click(), 1)")


def press(page: Page, name: str) -> str:
    """Press a button of the opened row by its name, and return what was copied."""
    page.ask("(window.copied = '', 1)")
    click(page, name)
    return str(page.until("window.copied"))


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    cluster = MockCluster()
    yield cluster
    cluster.kill()


def test_an_opened_event_says_where_the_broker_has_it(browser: Chromium, cluster: MockCluster, tmp_path: Path) -> None:
    sink = {"kind": "kafka", "kafka": {"bootstrap.servers": cluster.servers}}
    with Served(tmp_path, workers=1, console=CONSOLE, sink=sink) as service:
        page = page_of(browser, service)
        send(service.address, GOOD, headers={"X-Penstock-Test": "where"})
        page.until(f"{ROWS} === 1")
        page.click(".row")
        page.until("document.querySelector('.detail dl') !== null")
        said = page.text(".detail")
        links = page.ask("[...document.querySelectorAll('.detail a')].map((one) => one.href)")
        page.close()
        host, port = service.address
        answers = [send(service.address, None, link.removeprefix(f"http://{host}:{port}"), "GET") for link in links]

    lines = [line.strip() for line in said.splitlines() if line.strip()]
    after = dict(itertools.pairwise(lines))
    assert after["Topic"] == "web.page_view"
    assert after["Partition and offset"].endswith(", 0")
    assert after["Outcome after"].endswith("ms, stored")
    assert after["Answer"].startswith("201")
    assert [status for status, _, _ in answers] == [200, 200]
    assert answers[0][1].find("page_view") > 0 and json.loads(answers[1][1])["delivered"] == 1


def test_what_is_copied_runs_and_sends_the_same_event(page: Page, service: Served, tmp_path: Path) -> None:
    if not shutil.which("node") or not shutil.which("curl"):
        missing("Node.js or curl")
    sent = page_view('/it\'s "mine" $HOME `x`')
    send(service.address, sent)
    page.until(f"{ROWS} === 1")
    page.click(".row")
    page.until("document.querySelector('.detail dl') !== null")
    page.ask(CAPTURE)
    copied = {name: press(page, f"Copy {name}") for name in ("JSON", "curl", "Python", "JavaScript", "test")}

    def run(*command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    (tmp_path / "sent.mjs").write_text(copied["JavaScript"])
    assert json.loads(copied["JSON"])["page"] == sent["page"]
    assert "HTTP/1.1 201" in run("sh", "-c", copied["curl"])
    assert run(sys.executable, "-c", copied["Python"]).strip() == "201"
    assert run("node", str(tmp_path / "sent.mjs")).strip() == "201"
    assert len({json.dumps(one["value"]["page"]) for one in service.events("web.page_view")}) == 1
    assert len(service.events("web.page_view")) == 4

    shutil.copy(ROOT / "clients" / "testing" / "penstock_console.py", tmp_path)
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["penstock_console"]\n')
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    place = "# Let your program send the event here."
    assert place in copied["test"]
    (tmp_path / "test_copied.py").write_text(copied["test"].replace(place, SENDING))
    host, port = service.address
    admin_host, admin_port = service.admin_address
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:schemathesis", str(tmp_path)],
        cwd=tmp_path,
        env={
            **os.environ,
            "CONSOLE_URL": f"http://{admin_host}:{admin_port}",
            "INTAKE": f"http://{host}:{port}",
            "EVENT": json.dumps(sent),
        },
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_an_event_of_a_row_is_edited_and_validated(page: Page, service: Served) -> None:
    send(service.address, WRONG)
    page.until(f"{ROWS} === 1")
    page.click(".row")
    page.until("document.querySelector('.detail .hint') !== null")
    click(page, "Edit and validate")
    page.until("!document.getElementById('try').hidden")
    page.until("document.getElementById('try-body').value.includes('shop.order')")
    page.click("#try-validate")
    page.until("document.getElementById('try-answer').textContent.includes('invalid')")
    page.ask(
        "(document.getElementById('try-body').value = document.getElementById('try-body').value"
        ".replace('5', '\"A\"').replace('\"12.50\"', '12.5'), 1)"
    )
    page.click("#try-validate")
    page.until("document.getElementById('try-answer').textContent.includes('Event 1: valid')")

    assert service.events("shop.order") == []


def test_paths_of_schemas_are_offered_as_columns(page: Page) -> None:
    page.until("[...document.querySelectorAll('#paths option')].some((one) => one.value === 'meta.stream')")
    page.ask(
        "(document.getElementById('columns').value = 'page, me', document.getElementById('columns')"
        ".dispatchEvent(new Event('input')), 1)"
    )

    assert "page, meta.stream" in page.ask("[...document.querySelectorAll('#paths option')].map((one) => one.value)")


def test_the_strip_shows_rates_shares_ages_and_workers(browser: Chromium, tmp_path: Path) -> None:
    with Served(tmp_path, workers=2, console={**CONSOLE, "max_per_s": 10}) as service:
        page = page_of(browser, service)
        page.ask("(document.getElementById('strip').open = true, 1)")
        for event in (GOOD, WRONG, WRONG):
            send(service.address, event, headers={"X-Penstock-Test": "strip"})
        page.until("document.querySelectorAll('#rates tbody tr').length === 2")
        cells = "(row) => [...row.children].map((one) => one.innerText)"
        rows = page.ask(f"[...document.querySelectorAll('#rates tbody tr')].map({cells})")
        for number in range(60):
            send(service.address, page_view(f"/{number}"))
        page.until("/requests are not shown: above console.max_per_s/.test(document.getElementById('rates').innerText)")
        page.until("document.querySelector('#list .gap')?.textContent.startsWith('Gap: ')")
        said = page.text("#rates")
        page.close()

    by_name = {row[0]: row for row in rows}
    assert by_name["web.page_view"][3:5] == ["1", "0"]
    assert by_name["shop.order"][3:5] == ["2", "2 (100 %)"]
    assert by_name["shop.order"][5].endswith("s ago")
    assert "2 workers, 1 reader," in said


def test_canaries_are_shown_by_a_toggle(page: Page, service: Served) -> None:
    send(service.address, {**GOOD, "meta": {"stream": "web.page_view", "domain": "canary"}})
    send(service.address, page_view("/x"))
    page.until("document.getElementById('counts').textContent.startsWith('1 of 2 events match')")
    assert page.ask(ROWS) == 1
    page.click("#canaries")
    page.until(f"{ROWS} === 2")

    assert "canaries=1" in page.ask("location.search")


def test_the_page_shows_what_a_test_session_covered(page: Page, service: Served) -> None:
    send(service.address, GOOD, headers={"X-Penstock-Test": "covered"})
    page.until(f"{ROWS} === 1")
    page.click("#show-coverage")
    page.until("document.querySelectorAll('#coverage-session option').length === 2")
    select = "document.getElementById('coverage-session')"
    page.ask(f"({select}.value = 'covered', {select}.onchange(), 1)")
    said = page.until("document.querySelector('#coverage-found details')?.innerText")

    assert "/web/page_view/1.1.0" in said and "load_ms" in said
    assert "shop.order" in page.text("#coverage-found")


def test_warnings_of_a_strict_session_are_shown(page: Page, service: Served) -> None:
    client_of(service).ask("POST", "/sessions", {"id": "strict", "strict": True})
    event = {**GOOD, "meta": {"stream": "web.page_view", "mine": 1}}
    send(service.address, event, headers={"X-Penstock-Test": "strict"})
    page.until(f"{ROWS} === 1")
    page.click(".row")

    page.until("document.querySelector('.detail ul.warn')?.innerText === 'The schema does not declare `meta.mine`.'")
