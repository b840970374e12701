"""docs/SENDING.md: its script and its page send to a real service, and handle its answers."""

from __future__ import annotations

import http.server
import json
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.clients.js.conftest import missing
from tests.docs.shell import blocks_of
from tests.harness.browsers import Chromium, lacks
from tests.harness.running import ROOT, eventually
from tests.harness.served import Served

STARTER = ROOT / "server" / "examples" / "starter"
PAGE = blocks_of("SENDING.md")
BLOCKS = {kind: text for kind, text in PAGE if kind in ("python", "html")}
COMMANDS = [text for kind, text in PAGE if kind == "sh"]
SHOWN = [text for kind, text in PAGE if kind == "text"]


def settings(**more: Any) -> dict[str, Any]:
    return {
        "workers": 1,
        "service_name": "my-intake",
        "schemas": {"base_uris": [str(STARTER / "schemas")]},
        "streams": {"sources": [str(STARTER / "streams.yaml")]},
        **more,
    }


@contextmanager
def answering(*answers: tuple[int, dict[str, str], dict[str, Any]]) -> Iterator[tuple[str, list[Any]]]:
    """An intake that gives these answers, one after the other, and keeps what it was sent."""
    left, bodies = list(answers), []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status, headers, body = left.pop(0)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            """Keep the output of the tests clean."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/events", bodies
    finally:
        server.shutdown()
        server.server_close()


def script(url: str) -> dict[str, Any]:
    """The script of the page, with another address; it does not wait between attempts."""
    found: dict[str, Any] = {"__name__": "send"}
    exec(compile(BLOCKS["python"], "send.py", "exec"), found)
    found["URL"] = url
    return found


def failed(index: int, **context: Any) -> dict[str, Any]:
    return {"status": "error", "index": index, "event": {}, "context": {"error_type": "x", "message": "m", **context}}


@pytest.mark.slow(reason="a service is started")
def test_the_commands_say_what_the_page_shows(tmp_path: Path) -> None:
    with Served(tmp_path, **settings()) as service:
        host, port = service.address
        (tmp_path / "send.py").write_text(BLOCKS["python"].replace("127.0.0.1:8192", f"{host}:{port}"))
        said = bash(COMMANDS[0].replace("python3", sys.executable), tmp_path)
        stored = service.events("hello.greeting")

    for line in SHOWN[0].splitlines():
        assert line in said
    assert [one["value"]["name"] for one in stored] == ["Ada"]


def bash(command: str, directory: Path) -> str:
    done = subprocess.run(["bash", "-c", command], cwd=directory, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr


@pytest.mark.slow(reason="a service is started")
def test_the_commands_cause_each_answer(tmp_path: Path) -> None:
    with Served(tmp_path, **settings()) as service:
        host, port = service.address
        assert bash(COMMANDS[1].replace("127.0.0.1:8192", f"{host}:{port}"), tmp_path) == SHOWN[1]


@pytest.mark.slow(reason="a service is started")
@pytest.mark.parametrize("status", [429, 503])
def test_the_settings_of_the_page_cause_the_answers_that_may_pass(status: int, tmp_path: Path) -> None:
    """They are overrides in the commands of the page."""
    text = (ROOT / "docs" / "SENDING.md").read_text("utf-8")
    words = [shlex.split(line) for line in text.splitlines() if line.startswith("    penstock serve")]
    with Served(tmp_path, **settings(**overrides(words[(429, 503).index(status)]))) as service:
        host, port = service.address
        command = COMMANDS[1].partition("post '?hasty")[0].replace("127.0.0.1:8192", f"{host}:{port}")

        eventually(lambda: bash(command, tmp_path) == f"{status}\n")


def overrides(words: list[str]) -> dict[str, Any]:
    """The settings of `--set` in a command, as a file would have them."""
    whole: dict[str, Any] = {}
    for name, value in (word.split("=", 1) for word in words if "=" in word):
        *sections, last = name.split(".")
        place = whole
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = yaml.safe_load(value)
    return whole


def test_the_script_sends_again_what_may_be_sent_again_and_nothing_else() -> None:
    answers: list[tuple[int, dict[str, str], dict[str, Any]]] = [
        (503, {"Retry-After": "0"}, {}),
        (503, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, {}),
        (207, {}, {"invalid": [], "error": [failed(1, retry_after_s=5), failed(2)]}),
        (201, {}, {}),
    ]
    with answering(*answers) as (url, bodies):
        found = script(url)
        found["time"] = type("Now", (), {"monotonic": staticmethod(lambda: 0.0), "sleep": staticmethod(lambda _: None)})
        given_up = found["send"]([{"n": 0}, {"n": 1}, {"n": 2}])

    assert [[event["n"] for event in body] for body in bodies] == [[0, 1, 2], [0, 1, 2], [0, 1, 2], [1]]
    assert bodies[0] == bodies[1] == bodies[2], "an event that is sent again is the same"
    assert [(event["n"], reason) for event, reason in given_up] == [(2, "m")]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 415])
def test_the_script_gives_up_what_would_fail_again(status: int) -> None:
    with answering((status, {}, {"detail": "why"})) as (url, bodies):
        given_up = script(url)["send"]([{"n": 0}, {"n": 1}])

    assert len(bodies) == 1
    assert [event["n"] for event, reason in given_up if "why" in reason] == [0, 1]


def test_the_script_halves_what_is_too_large() -> None:
    with answering((413, {}, {}), (201, {}, {}), (201, {}, {})) as (url, bodies):
        assert script(url)["send"]([{"n": 0}, {"n": 1}]) == []

    assert [len(body) for body in bodies] == [2, 1, 1]


class _Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Keep the output of the tests clean."""


@pytest.mark.slow(reason="a service and a browser are started")
def test_the_page_stores_an_event_and_a_beacon(tmp_path: Path) -> None:
    if lacking := lacks("chromium"):
        missing(f"{lacking} for chromium")
    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(tmp_path)))
    origin = f"http://localhost:{site.server_port}"
    threading.Thread(target=site.serve_forever, daemon=True).start()
    listen = {"listen": ["127.0.0.1:0"], "cors": {"origins": [origin]}}
    try:
        with Served(tmp_path, **settings(http=listen)) as service, Chromium(tmp_path) as browser:
            host, port = service.address
            (tmp_path / "page.html").write_text(BLOCKS["html"].replace("127.0.0.1:8192", f"{host}:{port}"))
            tab = browser.open(f"{origin}/page.html")
            browser.run(tab, "(document.getElementById('greet').click(), 1)")
            eventually(
                lambda: browser.run(tab, "document.getElementById('answer').textContent") == "stored",
                or_show=lambda: str(browser.run(tab, "document.body.innerText")),
            )
            browser.run(tab, "(location.href = 'about:blank', 1)")
            eventually(lambda: len(service.events("hello.greeting")) == 2)

            assert {one["value"]["name"] for one in service.events("hello.greeting")} == {"World", "Goodbye"}
    finally:
        site.shutdown()
        site.server_close()
