"""The page at ``/``: for browsers alone, with one script that its policy names."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

from server.pages import home as module
from server.pages.home import home
from server.pages.service import ServicePages
from server.paths import Paths
from tests.server.http.fakes import Harness, Response, get, responses

BROWSER = b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"


def root(headers: bytes = b"", *, target: bytes = b"/", operations: str = "") -> Response:
    pages = ServicePages("intake", "1.2.3", lambda: None, dict, operations)
    wire = Harness(routes=pages.routes()).wire()
    wire.send(get(target, headers))
    return responses(wire.sent)[0]


def test_a_browser_gets_the_page_and_others_what_they_got() -> None:
    page, plain = root(BROWSER), root()

    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert "<h1>intake</h1>" in page.body.decode() and "1.2.3" in page.body.decode()
    assert plain.status == 404 and "/?spec" in json.loads(plain.body)["detail"]
    assert page.headers["Vary"] == plain.headers["Vary"] == "Accept"
    assert root(BROWSER, target=b"/?spec").headers["Content-Type"] == "application/json"


def test_the_one_script_is_the_one_that_the_policy_allows() -> None:
    page = root(BROWSER)
    (script,) = re.findall("<script>(.*?)</script>", page.body.decode(), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()

    assert f"script-src 'sha256-{digest}'" in page.headers["Content-Security-Policy"]
    assert "connect-src 'self'" in page.headers["Content-Security-Policy"]


def test_the_script_shows_what_comes_as_text_and_asks_paths_of_the_service() -> None:
    script = (Path(module.__file__).parent / "home.js").read_text()
    asked = set(re.findall(r"paths\.(\w+)", script))

    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|https?:", script) == []
    assert asked == module._PATHS.keys()
    assert {path if path in set(Paths) else f"{path}*" for path in module._PATHS.values()} <= set(Paths)


def test_names_are_text_and_addresses_of_operators_are_shown_if_given() -> None:
    page = home("<b>{script}</b>", "1", "")[0].decode()

    assert "<h1>&lt;b&gt;{script}&lt;/b&gt;</h1>" in page and "For operators" not in page
    assert '<a href="http://127.0.0.1:9100/">' in root(BROWSER, operations="http://127.0.0.1:9100").body.decode()
