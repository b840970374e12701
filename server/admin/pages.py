"""The routes of the admin process.

Place: admin.process → HERE → admin.collect, admin.status, stacks, notices.
Rules: nothing is cached. Routes that only read are GET; routes that change something are PUT, which no page of another
site can make a browser send here without a preflight. The answer to a bad request says what is wrong and what to do.
Not here: the public pages of a worker (pages.service).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import CollectorRegistry

from server.admin import background, canaries, plausibility, status
from server.admin.background import is_intake
from server.admin.collect import Collected
from server.admin.door import AdminConnections, MisdirectedError
from server.plausibility.causes import MOST_CHARS
from server.plausibility.shown import said
from server.shared.notices import LEVELS

if TYPE_CHECKING:
    from server.admin.view import Shared
    from server.console.routes import ConsoleRoutes

_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_INDEX = """<!doctype html><meta charset="utf-8"><title>Penstock: operations</title>
<h1>Penstock: operations</h1><ul>
<li><a href="status">status</a>: master, workers, streams, spool, brokers
<li><a href="metrics">metrics</a>: for Prometheus, as text or OpenMetrics
<li><a href="healthz">healthz</a>, <a href="readyz">readyz</a>: whether any worker takes requests
<li><a href="log-level">log-level</a>: PUT debug, info, warning, error, or nothing for that of the settings
<li><a href="stacks">stacks</a>: the current stack of every process
</ul>
"""

_CANARIES = '<li><a href="canaries">canaries</a>: an artificial event of each stream, and where it failed\n'
_SHADOW = '<li><a href="shadow">shadow</a>: what versions of schemas that streams try would refuse\n'
_EXPECTATIONS = '<li><a href="expectations">expectations</a>: events that are accepted, and odd by their schema\n'
_PLAUSIBILITY = '<li><a href="plausibility">plausibility</a>: streams whose numbers of events are not as usual\n'
_CONSOLE = '<li><a href="console/">console</a>: every event and every refused request, as they come\n'

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


class AdminPages:
    """The handlers."""

    def __init__(self, shared: Shared, console: ConsoleRoutes | None = None) -> None:
        self._shared = shared
        self._console = console
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(Collected(shared))
        self._asking = asyncio.Lock()  # The stacks of one process at a time.

    def application(self, door: AdminConnections) -> web.Application:
        """Return the aiohttp application with all routes, behind ``door``."""
        application = web.Application(middlewares=[_plain, door.middleware], client_max_size=4096)
        application.add_routes(
            [
                web.get("/", self._index),
                web.get("/metrics", self._metrics),
                web.get("/healthz", self._health),
                web.get("/readyz", self._readiness),
                web.get("/status", self._status),
                web.get("/log-level", self._level),
                web.put("/log-level", self._set_level),
                web.get("/stacks", self._stacks),
            ]
        )
        if is_intake(self._shared):
            application.add_routes([web.get("/shadow", self._shadow), web.get("/expectations", self._expectations)])
        if self._shared.canaries is not None:
            application.add_routes([web.get("/canaries", self._canaries)])
        if self._shared.plausibility is not None:
            application.add_routes(
                [
                    web.get("/plausibility", self._plausibility),
                    web.put("/plausibility/changes", self._announce),
                ]
            )
        if self._console is not None:
            application.add_routes(self._console.routes())
        return application

    async def _index(self, _: web.Request) -> web.Response:
        more = _SHADOW + _EXPECTATIONS if is_intake(self._shared) else ""
        more += _CANARIES if self._shared.canaries is not None else ""
        more += _PLAUSIBILITY if self._shared.plausibility is not None else ""
        more += _CONSOLE if self._console is not None else ""
        return web.Response(text=_INDEX.replace("</ul>", f"{more}</ul>"), content_type="text/html")

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        began_s = time.perf_counter()
        body = encode(self._registry)
        self._shared.scrape_s = time.perf_counter() - began_s
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _readiness(self, _: web.Request) -> web.Response:
        states = self._shared.look().states()
        if states["ready"]:
            return web.json_response({"status": "ready", "workers": states})
        return web.json_response({"status": "not ready", "workers": states}, status=503, headers={"Retry-After": "1"})

    async def _status(self, request: web.Request) -> web.Response:
        said = status.status(self._shared)
        if "text/html" in request.headers.get("Accept", ""):
            return web.Response(text=status.page(said), content_type="text/html")
        return web.Response(body=msgspec.json.encode(said) + b"\n", content_type="application/json")

    async def _canaries(self, request: web.Request) -> web.Response:
        seen = self._shared.look().canaries()
        assert seen is not None  # There is no such route without canaries.
        if "text/html" in request.headers.get("Accept", ""):
            return web.Response(text=canaries.page(seen), content_type="text/html")
        return web.Response(body=msgspec.json.encode(canaries.said(seen)), content_type="application/json")

    async def _shadow(self, request: web.Request) -> web.Response:
        found = background.shadow(self._shared)
        if "text/html" in request.headers.get("Accept", ""):
            return web.Response(text=background.shadow_page(found), content_type="text/html")
        return web.Response(body=msgspec.json.encode(found), content_type="application/json")

    async def _expectations(self, request: web.Request) -> web.Response:
        found = background.expectations(self._shared)
        if "text/html" in request.headers.get("Accept", ""):
            return web.Response(text=background.expectations_page(found), content_type="text/html")
        return web.Response(body=msgspec.json.encode(found), content_type="application/json")

    async def _plausibility(self, request: web.Request) -> web.Response:
        watcher = self._shared.plausibility
        assert watcher is not None  # There is no such route without a watcher.
        config, changed_s = self._shared.config, self._shared.board.notices.reloaded_s
        found = said(watcher, changed_s, has_console=config.console.enabled)
        if "text/html" in request.headers.get("Accept", ""):
            return web.Response(text=plausibility.page(found), content_type="text/html")
        return web.Response(body=msgspec.json.encode(found), content_type="application/json")

    async def _announce(self, request: web.Request) -> web.Response:
        watcher = self._shared.plausibility
        assert watcher is not None  # There is no such route without a watcher.
        text = (await request.read()).decode("utf-8", "replace").strip()
        if not text or len(text) > MOST_CHARS or not text.isprintable():
            return _problem(400, f"The body should say in one line of up to {MOST_CHARS} characters what has changed.")
        change = watcher.announce(text)
        if change is None:
            return _problem(503, "Another process watches these streams: tell it, or try again in a minute.")
        return web.json_response({"at_s": change.minute * 60, "text": change.text})

    async def _level(self, _: web.Request) -> web.Response:
        level = self._shared.board.notices.level
        said = {"level": level or self._shared.config.log.level, "settings": self._shared.config.log.level}
        return web.json_response(said)

    async def _set_level(self, request: web.Request) -> web.Response:
        if request.headers.get("Content-Encoding", "identity").lower() != "identity":
            return _problem(415, "Send the level as plain text, without Content-Encoding.")
        level = (await request.read()).decode("utf-8", "replace").strip().lower()
        if level not in LEVELS:
            levels = ", ".join(LEVELS[1:])
            return _problem(
                400, f"The body should be one of: {levels}; an empty body restores the level of the settings."
            )
        self._shared.board.notices.level = level
        return await self._level(request)

    async def _stacks(self, request: web.Request) -> web.Response:
        wanted = request.query.get("pid", "")
        shared = self._shared
        rows = [row for row in shared.look().rows if not wanted or str(row.pid) == wanted]
        if not rows:
            return _problem(404, "No process of this service has that pid; /status lists all processes.")
        parts = []
        async with self._asking:
            for row in rows:
                place = f"worker, slot {row.slot}" if row.slot >= 0 else "companion"
                said = await asyncio.to_thread(shared.board.stacks.ask, row.pid, shared.master_pid)
                parts.append(f"== {row.pid} ({place}, generation {row.generation}, {row.state.name.lower()})\n{said}\n")
        return web.Response(text="".join(parts))


def _problem(code: int, detail: str) -> web.Response:
    body = msgspec.json.encode({"type": "about:blank", "status": code, "detail": detail}) + b"\n"
    return web.Response(status=code, body=body, content_type="application/problem+json")


@web.middleware
async def _plain(request: web.Request, handler: Handle) -> web.StreamResponse:
    """Set the headers of every answer, and the texts of answers where nothing is served."""
    try:
        response = await handler(request)
    except MisdirectedError:  # RFC 9110 section 15.5.20.
        response = _problem(
            421,
            "The Host header names no host of this address: use an IP address, or list the name in admin.hosts.",
        )
    except web.HTTPNotFound:
        response = _problem(404, "Nothing is served at this path; / lists the paths that exist.")
    except web.HTTPMethodNotAllowed as refused:
        response = _problem(
            405, f"The method is not served at this path. Use one of: {', '.join(sorted(refused.allowed_methods))}."
        )
        response.headers["Allow"] = refused.headers["Allow"]
    except web.HTTPRequestEntityTooLarge:
        response = _problem(413, "The body is larger than any route of this address accepts.")
    response.headers.update(_HEADERS)
    return response
