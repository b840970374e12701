"""The page comes back by itself when its stream was refused, says why it is away, and shows no row twice."""

from __future__ import annotations

import contextlib
import socket

from server.console.routes import MAX_VIEWERS
from tests.harness.browsers import Chromium
from tests.harness.console_page import Page
from tests.harness.consoled import client_of, page_view, send
from tests.harness.running import PATIENCE_S, eventually
from tests.harness.served import Served

LINK = "document.getElementById('link').textContent"


def test_a_page_whose_stream_is_refused_says_why_and_tries_again(browser: Chromium, service: Served) -> None:
    host, port = service.admin_address
    asked = f"GET /console/api/v1/stream HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    with contextlib.ExitStack() as readers:
        for _ in range(MAX_VIEWERS):
            reader = readers.enter_context(socket.create_connection((host, port), timeout=PATIENCE_S))
            reader.sendall(asked)
        eventually(lambda: client_of(service).ask("GET", "/info")["viewers"] == MAX_VIEWERS)
        page = Page.__new__(Page)
        page._browser, page._tab, page.url = browser, browser.open(f"http://{host}:{port}/console/"), ""
        page.until(f"{LINK}.startsWith('Disconnected: {MAX_VIEWERS} readers')")
    send(service.address, page_view("/late"))

    page.until(f"{LINK} === 'Connected: 1 worker'")
    page.until("document.querySelectorAll('.item .row').length === 1")
    page.close()
