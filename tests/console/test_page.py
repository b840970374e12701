"""The page in a real Chromium: rows as they come, why one was refused, keys, filters, safety, accessibility."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.harness.browsers import Chromium
from tests.harness.console_page import Page
from tests.harness.consoled import client_of, page_view, send
from tests.harness.running import ROOT
from tests.harness.served import Served

ROWS = "document.querySelectorAll('.item .row').length"
OPEN_ORDER = """([...document.querySelectorAll('.item .row')].find((one) => one.textContent.includes('shop.order'))
  .click(), 1)"""
WRONG = {"$schema": "/shop/order/1.0.0", "meta": {"stream": "shop.order"}, "order_id": 5, "total": "12.50"}
MISSPELT = {"$schema": "/web/page_view/1.1.0", "meta": {"stream": "web.page_vew"}, "page": "/"}
FOREIGN = "#list :is(img, script, svg, iframe, b, a:not([href^='http://127.0.0.1:']))"
PICTURES = ROOT / "docs" / "images"


def fill(service: Served) -> None:
    for number in range(12):
        send(service.address, page_view(f"/page/{number}"))
    send(service.address, b'{"$schema": "/web/page_view/1.1.0",')
    send(service.address, MISSPELT)
    send(service.address, [WRONG, page_view("/last")], headers={"X-Penstock-Test": "checkout"})


def test_an_event_is_shown_as_it_comes_and_opens_with_its_reason(page: Page, service: Served) -> None:
    send(service.address, page_view("/first"))
    page.until(f"{ROWS} === 1")
    send(service.address, WRONG)
    page.until(f"{ROWS} === 2")

    page.click(".row")
    page.until("document.querySelector('.detail .hint') !== null")
    said = page.text(".detail")

    assert "invalid" in page.text(".row") and "shop.order" in page.text(".row")
    assert "`order_id` must be a string; got a number, 5. Put it in quotes." in said
    assert '`total` must be a number; got a string, "12.50". Leave out the quotes.' in said
    marked = page.ask("[...document.querySelectorAll('.detail > pre mark')].map((one) => one.textContent)")
    assert marked == ["5", '"12.50"']
    assert "/meta/id" in page.ask("document.querySelector('.detail table').textContent")
    assert page.faults() == []


def test_the_nearest_name_and_a_refused_body_are_explained(page: Page, service: Served) -> None:
    send(service.address, MISSPELT)
    page.until(f"{ROWS} === 1")
    page.click(".row")
    page.until("document.querySelector('.detail').textContent.includes('Did you mean the stream web.page_view?')")
    send(service.address, b'{"page":')
    page.until(f"{ROWS} === 2")
    page.click(".row")
    page.until("document.querySelector('.detail').textContent.includes('The request body is not JSON')")

    assert '{"page":' in page.text(".detail pre")


def test_keys_choose_open_pause_and_filter(page: Page, service: Served) -> None:
    fill(service)
    page.until(f"{ROWS} >= 15")
    page.ask("(document.getElementById('list').focus(), 1)")

    page.press("j", "j")
    assert (
        page.ask("[...document.querySelectorAll('.item')].find((one) => one.classList.contains('chosen')).ariaPosInSet")
        == "2"
    )
    page.press("k")
    page.press("Enter")
    page.until("document.querySelector('.row[aria-expanded=true]') !== null")
    page.press("Escape")
    page.until("document.querySelector('.detail') === null")
    page.press("p")
    send(service.address, page_view("/paused"))
    page.until("document.getElementById('counts').textContent.includes('paused: 1 new')")
    page.press("p")
    page.until("document.querySelector('.item .row').textContent.includes('web.page_view')")
    assert "paused" not in page.text("#counts")
    page.press("/")
    assert page.ask("document.activeElement.id") == "where"


def test_a_filter_is_in_the_address_and_counts_what_it_leaves_out(
    page: Page, service: Served, browser: Chromium
) -> None:
    fill(service)
    page.until(f"{ROWS} >= 15")
    page.filter_by("verdict:invalid -error:unknown_stream")
    page.until(f"{ROWS} === 1")
    assert "1 of 16 events match" in page.text("#counts")

    again = Page(browser, page.ask("location.href"))
    again.until(f"{ROWS} === 1")
    assert again.ask("document.getElementById('where').value") == "verdict:invalid -error:unknown_stream"
    again.filter_by("page:/none")
    again.until("document.getElementById('empty').textContent === 'No event matches the filter.'")
    again.filter_by("verdict:invald")
    again.until("document.getElementById('filter-fault').textContent.includes('did you mean invalid?')")
    again.close()


def test_columns_of_ones_own_show_values_of_the_event(page: Page, service: Served) -> None:
    page.ask("(document.getElementById('columns').value = 'page, meta.stream', 1)")
    page.filter_by("")
    send(service.address, page_view("/mine"))

    page.until("document.querySelector('.item .text')?.textContent === '/mine · web.page_view'")


def test_an_example_is_edited_validated_and_sent(page: Page, service: Served) -> None:
    page.click("#show-try")
    page.until("document.querySelectorAll('#try-stream option').length > 1")
    page.ask(f"(document.getElementById('try-body').value = {json.dumps(json.dumps(WRONG))}, 1)")
    page.click("#try-validate")
    page.until("document.getElementById('try-answer').textContent.includes('invalid')")
    right = json.dumps(WRONG | {"order_id": "A", "total": 12.5})
    page.ask(f"(document.getElementById('try-body').value = {json.dumps(right)}, 1)")
    page.click("#try-send")
    page.until("document.getElementById('try-answer').textContent.includes('201')")

    assert [event["value"]["order_id"] for event in service.events("shop.order")] == ["A"]


CORPUS = [
    "<img src=x onerror=window.pwned=1>",
    "<script>window.pwned=1</script>",
    '"><svg onload=window.pwned=1>',
    "javascript:window.pwned=1",
    "{{constructor.constructor('window.pwned=1')()}}",
    "</pre><iframe srcdoc='<script>parent.pwned=1</script>'>",
    "\u202e\u2066<b>bidi</b>\u0000",
]


@pytest.mark.parametrize("text", CORPUS)
def test_no_text_of_a_client_becomes_markup(page: Page, service: Served, text: str) -> None:
    """The text is in each place that the page shows: fields, names of fields, stream, schema, query, header, body."""
    client_of(service).ask("POST", "/sessions", {"id": "x", "strict": True})  # Warnings name fields.
    event = {"$schema": text, "meta": {"stream": text, "id": text, "domain": text}, text: {text: [text]}}
    headers = {"User-Agent": text.encode("ascii", "replace").decode().replace("\x00", ""), "X-Request-Id": "a<b>&c"}
    for sent in (event, page_view(text, **{text: text}), [page_view(5, extra=text)]):
        send(service.address, sent, "/v1/events?test=x", headers=headers)
    send(service.address, text.encode(), "/v1/events", headers=headers)
    page.until(f"{ROWS} >= 4")

    for number in range(4):
        page.ask(f"(document.querySelectorAll('.item .row')[{number}].click(), 1)")
        page.until("document.querySelector('.detail h3') !== null")
        page.ask("(document.querySelectorAll('.detail details').forEach((one) => { one.open = true; }), 1)")
        assert page.ask(f"document.querySelectorAll({FOREIGN!r}).length") == 0
        page.press("Escape")
        page.until("document.querySelector('.detail') === null")
    assert page.ask("window.pwned ?? null") is None
    assert page.faults() == []


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (320, "light"), (320, "dark")])
def test_axe_finds_nothing_wrong(page: Page, service: Served, axe: Path, width: int, scheme: str) -> None:
    fill(service)
    page.until(f"{ROWS} >= 15")
    page.show_at(width, 900, scheme)
    page.ask("(document.getElementById('strip').open = true, 1)")
    page.until("document.querySelectorAll('#rates tr').length > 2")
    page.ask(OPEN_ORDER)
    page.until("document.querySelector('.detail .hint') !== null")
    found = {"events": page.violations(axe)}
    for view in ("catalog", "coverage", "try", "help"):
        page.click(f"#show-{view}")
        page.until(f"!document.getElementById('{view}').hidden")
        if view == "catalog":
            page.until("document.querySelectorAll('#streams details').length > 1")
        if view == "coverage":
            page.until("document.querySelectorAll('#coverage-found li').length > 1")
        found[view] = page.violations(axe)

    assert found == {view: [] for view in ("events", "catalog", "coverage", "try", "help")}
    assert page.ask("document.documentElement.scrollWidth <= innerWidth")


def test_pictures_of_the_documentation(page: Page, service: Served, tmp_path: Path) -> None:
    """CONSOLE_PICTURES=1 in the environment renews those in docs/images."""
    folder = PICTURES if os.environ.get("CONSOLE_PICTURES") else tmp_path
    folder.mkdir(exist_ok=True)
    fill(service)
    page.until(f"{ROWS} >= 15")
    page.show_at(1100, 760)
    page.picture(folder / "console-events.png")
    page.ask(OPEN_ORDER)
    page.until("document.querySelector('.detail .hint') !== null")
    page.picture(folder / "console-why.png")
    page.show_at(320, 960, "dark")
    page.picture(folder / "console-narrow.png")

    for name in ("events", "why", "narrow"):
        assert (folder / f"console-{name}.png").read_bytes()[:4] == b"\x89PNG"


def test_in_production_the_page_says_so_and_asks_for_its_token(tmp_path: Path, browser: Chromium) -> None:
    (tmp_path / "key").write_text("a-token-of-some-length")
    settings: dict[str, Any] = {"enabled": True, "token_file": "key"}
    with Served(tmp_path, workers=1, console=settings) as service:
        host, port = service.admin_address
        tab = browser.open(f"http://{host}:{port}/console/")
        page = Page.__new__(Page)
        page._browser, page._tab, page.url = browser, tab, ""
        page.until("!document.getElementById('login').hidden")
        page.ask("(document.getElementById('token').value = 'a-token-of-some-length', 1)")
        page.click("#login button")
        page.until("document.getElementById('mode').textContent.startsWith('Production: read only')")
        send(service.address, page_view("/x"))
        page.until(f"{ROWS} === 1")

        assert page.ask("document.getElementById('try-send').hidden")
        assert client_of(service, "a-token-of-some-length").ask("GET", "/info")["mode"] == "production"
        page.close()
