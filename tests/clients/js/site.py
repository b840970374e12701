"""A site with one page. Its server is a first hop in front of a real intake, and spoils requests as a test asks.

Rules: ``fault`` decides for each POST of events: None forwards it; an answer is given without the intake; ``drop``
closes the connection before the intake has it, ``lose`` after. The pages have a policy that forbids inline and
evaluated scripts, but for those that a test writes in ``texts``.
Not here: browsers, and what the pages do (page.js).
"""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs, quote, urlsplit

HERE = Path(__file__).parent
PAGE = b"<!doctype html><title>page</title><script src=/penstock.iife.js></script><script src=/page.js></script>"


class Answer(NamedTuple):
    """What the site answers in place of the intake."""

    status: int
    headers: dict[str, str] = {}  # noqa: RUF012 (never changed)
    body: bytes = b""


class Request(NamedTuple):
    """A POST of events. ``status`` is the intake's; 0: the intake never had it, or gave no answer."""

    path: str
    params: dict[str, str]
    events: list[dict[str, Any]]
    headers: dict[str, str]
    status: int
    refused: frozenset[int]

    def accepted(self) -> list[dict[str, Any]]:
        """The events that the intake took."""
        if not 200 <= self.status < 300:
            return []
        return [event for index, event in enumerate(self.events) if index not in self.refused]


Fault = Callable[[list[dict[str, Any]]], "Answer | str | None"]


def no_fault(_events: list[dict[str, Any]]) -> None:
    """Forward everything."""


class Site:
    """The site. ``upstream`` is where the intake listens now; None: nowhere."""

    def __init__(self, built: Path) -> None:
        self.built = built
        self.upstream: tuple[str, int] | None = None
        self.fault: Fault = no_fault
        self.requests: list[Request] = []
        self.connect = ""  # Further origins that pages may connect to.
        self.texts: dict[str, str] = {}  # Pages by path, which may have scripts of their own.

    def __enter__(self) -> Self:
        site = self

        class Handler(_Handler):
            pass

        Handler.site = site
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def page(self, path: str = "/page", **options: Any) -> str:
        """Return the address of the page with these options of the client."""
        return f"{self.origin}{path}#{quote(json.dumps(options))}"

    def accepted(self) -> set[str]:
        """The identities of the events that the intake accepted by way of this site."""
        return {event["meta"]["id"] for request in list(self.requests) for event in request.accepted()}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/page":
            self._send(200, {"Content-Type": "text/html"}, PAGE)
        elif path in self.site.texts:
            self._send(
                200, {"Content-Type": "text/html", "Content-Security-Policy": ""}, self.site.texts[path].encode()
            )
        elif path == "/blank":
            self._send(200, {"Content-Type": "text/html"}, b"<!doctype html><title>blank</title>")
        elif path == "/page.js":
            self._send(200, {"Content-Type": "text/javascript"}, (HERE / "page.js").read_bytes())
        elif path == "/penstock.iife.js":
            self._send(200, {"Content-Type": "text/javascript"}, (self.site.built / "penstock.iife.js").read_bytes())
        elif path.startswith("/v1/"):
            self._answer(self._forward(b""))
        else:
            self._send(404, {}, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        events = json.loads(body)
        fault = self.site.fault(events)
        answer: Answer | None = None
        if fault is None or fault == "lose":
            answer = self._forward(body)
        query = urlsplit(self.path)
        params = {name: values[0] for name, values in parse_qs(query.query).items()}
        verdict = json.loads(answer.body) if answer and answer.body else {}
        refused = frozenset(one["index"] for kind in ("invalid", "error") for one in verdict.get(kind, ()))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.site.requests.append(Request(query.path, params, events, headers, answer.status if answer else 0, refused))
        self._answer(fault if isinstance(fault, Answer) else answer if fault is None else None)

    def _answer(self, answer: Answer | None) -> None:
        if answer is None:
            self.close_connection = True
        else:
            self._send(*answer)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        policy = f"default-src 'none'; script-src 'self'; connect-src 'self' {self.site.connect}"
        for name, value in {"Content-Security-Policy": policy, "Cache-Control": "no-cache", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _forward(self, body: bytes) -> Answer | None:
        if self.site.upstream is None:
            return None
        connection = http.client.HTTPConnection(*self.site.upstream, timeout=10)
        try:
            headers = {
                name: value for name, value in self.headers.items() if name.lower() in ("content-type", "x-request-id")
            }
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            kept = {
                name: value
                for name, value in answer.getheaders()
                if name.lower() in ("content-type", "retry-after", "date", "etag")
            }
            return Answer(answer.status, kept, answer.read())
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
