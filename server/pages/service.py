"""Plain pages: home, liveness, readiness, name and version, robots, and the description of all routes.

Place: http.routes → HERE.
Rules: readiness says whether this worker takes requests, and nothing about the broker: a broker outage must not take
every instance out of rotation. Pages are never cached, except robots.txt and the description.
Not here: the content of the home page (pages.home), metrics and operations (admin).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import yaml

from server.http.around.accept import wants_page
from server.http.problem import Refusal
from server.pages.document import HTML_ONLY, HTML_TYPE
from server.pages.documents import PREFLIGHT
from server.pages.home import home
from server.paths import Paths

if TYPE_CHECKING:
    from server.http.request import Request
    from server.http.routes import Handler

NO_STORE = b"Cache-Control: no-store\r\n"
ROBOTS = b"User-agent: *\nDisallow: /\n"
OPEN = b"Cache-Control: public, max-age=600\r\nAccess-Control-Allow-Origin: *\r\n"
NO_PAGE = Refusal(
    404,
    "There is no page here but for browsers. GET /?spec has the description of all routes (OpenAPI).",
    more=b"Vary: Accept\r\n",
)


def description() -> bytes:
    """Return all routes in OpenAPI 3.1 as JSON. It takes some 20 ms, once per worker, before it serves."""
    text = (Path(__file__).parent / "openapi.yaml").read_text(encoding="utf-8")
    return orjson.dumps(yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def page(described: Mapping[str, Any]) -> bytes:
    """Return the same as an HTML page with a line for each route."""
    rows = "".join(
        f"<tr><td><code>{method.upper()} {escape(path)}</code></td><td>{escape(what.get('summary', ''))}</td></tr>\n"
        for path, methods in described["paths"].items()
        for method, what in methods.items()
        if method in ("get", "post")
    )
    title = escape(described["info"]["title"])
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>\n'
        f'<body><h1>{title}</h1>\n<p>All of it: <a href="/?spec">OpenAPI 3.1</a></p>\n<table>\n{rows}'
        "</table></body></html>\n"
    ).encode()


class ServicePages:
    """The handlers. ``unready`` returns the state in which the worker does not serve (booting or draining), or None;
    ``operations`` is the address of the admin pages that the home page shows, or empty."""

    def __init__(
        self,
        name: str,
        version: str,
        unready: Callable[[], str | None],
        info: Callable[[], Mapping[str, Any]],
        operations: str = "",
    ) -> None:
        self._name = name
        self._version = version
        self._unready = unready
        self._info = info
        self._description = description()
        self._home, self._home_lines = home(name, version, operations)
        self._page = page(orjson.loads(self._description))

    def routes(self) -> dict[str, dict[str, Handler]]:
        """Return the routes of these pages."""
        handlers: dict[str, Handler] = {
            Paths.HEALTH: self.handle_health,
            Paths.READINESS: self.handle_readiness,
            Paths.INFO: self.handle_info,
            Paths.NAME: self.handle_name,
            Paths.VERSION: self.handle_version,
            Paths.ROBOTS: self.handle_robots,
        }
        table = {path: {"GET": handler} for path, handler in handlers.items()}
        return table | {Paths.ROOT: {"GET": self.handle_root, "OPTIONS": PREFLIGHT}}

    def handle_root(self, request: Request) -> None:
        """Answer ``/?spec`` and ``/?doc``, with any value, as the existing system does; browsers get the home page."""
        params = request.params()
        if "spec" in params:
            request.reply(200, "OK", self._description, more=OPEN)
        elif "doc" in params:
            request.reply(200, "OK", self._page, HTML_TYPE, more=OPEN + HTML_ONLY)
        elif wants_page(request.headers.get(b"accept", b"")):
            request.reply(200, "OK", self._home, HTML_TYPE, more=self._home_lines)
        else:
            NO_PAGE.handle(request)

    def handle_health(self, request: Request) -> None:
        """Answer 200: if the loop did not run, there would be no answer."""
        _send(request, {"status": "ok"})

    def handle_readiness(self, request: Request) -> None:
        """Answer 200 if this worker takes requests, else 503 with the reason."""
        reason = self._unready()
        if reason is None:
            _send(request, {"status": "ready"})
        else:
            request.problem(503, f"This worker is {reason}. Send requests to another one.", retry_after_s=1)

    def handle_info(self, request: Request) -> None:
        """Answer with the name, the version and further information."""
        _send(request, {"name": self._name, "version": self._version, **self._info()})

    def handle_name(self, request: Request) -> None:
        """Answer with the name alone."""
        _send(request, {"name": self._name})

    def handle_version(self, request: Request) -> None:
        """Answer with the version alone."""
        _send(request, {"version": self._version})

    def handle_robots(self, request: Request) -> None:
        """Answer with a robots.txt that keeps search engines out."""
        request.reply(200, "OK", ROBOTS, b"text/plain; charset=utf-8", more=b"Cache-Control: max-age=86400\r\n")


def _send(request: Request, page: Mapping[str, Any]) -> None:
    request.reply(200, "OK", orjson.dumps(page, option=orjson.OPT_APPEND_NEWLINE), more=NO_STORE)
