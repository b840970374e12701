"""The routes of the console: the page, its files, and the interface below /console/api/v1/.

Place: admin.pages → HERE → console.console.
Rules: every answer is JSON or a file of the page, and is not cached. Every refusal says what to do. Nothing here is
reachable on the public listener. Requests that change the service are refused in production.
Not here: who may ask (console.access), what an answer holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from aiohttp import web

from server.console import files
from server.console.access import COOKIE
from server.console.checks.expect import Order, shown, wait
from server.console.copying.chaos import Rule
from server.console.detail import detail
from server.console.facts import FACTS
from server.console.rows import Row
from server.console.tryout import post
from server.console.viewers import Viewer
from server.filter.fault import FilterError
from server.filter.language import Column, Filter, column, compile_filter

if TYPE_CHECKING:
    from server.console.checks.sessions import Session
    from server.console.console import Console

API: Final = "/console/api/v1"
MAX_BODY_BYTES: Final = 1_048_576
MAX_LIMIT: Final = 1_000
MAX_COLUMNS: Final = 8
MAX_VIEWERS: Final = 100
LONGEST_S: Final = 3_600.0  # A connection of server-sent events; viewers come back.

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]
Wanted = TypeVar("Wanted")


class BadRequestError(Exception):
    """A request that the interface cannot take: its status, what is wrong and what to do."""

    def __init__(self, status: int, detail: str, more: dict[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.more = status, detail, more or {}


class _Begin(msgspec.Struct, forbid_unknown_fields=True):
    id: str = ""
    ttl_s: float = 3_600.0


class _Disturb(msgspec.Struct, forbid_unknown_fields=True):
    rules: list[Rule]


class _Try(msgspec.Struct, forbid_unknown_fields=True):
    body: str
    send: bool = False
    session: str = ""
    hasty: bool = False


class _Notice(msgspec.Struct, forbid_unknown_fields=True):
    text: str
    is_error: bool = False


class _Login(msgspec.Struct, forbid_unknown_fields=True):
    token: str


class ConsoleRoutes:
    """The handlers."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._files = files.files()
        self._viewers = 0

    def routes(self) -> list[web.RouteDef]:
        """Return the table."""
        table: list[tuple[str, str, Handle]] = [
            ("GET", "/console", self._redirect),
            ("GET", "/console/", self._page),
            ("GET", "/console/{name:[a-z]+\\.[a-z]+}", self._file),
            ("GET", f"{API}/info", self._info),
            ("POST", f"{API}/login", self._login),
            ("GET", f"{API}/stream", self._stream),
            ("GET", f"{API}/events", self._events),
            ("GET", f"{API}/events/{{seq:\\d{{1,15}}}}", self._event),
            ("GET", f"{API}/summary", self._summary),
            ("GET", f"{API}/filter", self._filter),
            ("POST", f"{API}/expect", self._expect),
            ("GET", f"{API}/sessions", self._sessions),
            ("POST", f"{API}/sessions", self._begin),
            ("DELETE", f"{API}/sessions/{{id}}", self._end),
            ("PUT", f"{API}/sessions/{{id}}/chaos", self._disturb),
            ("GET", f"{API}/coverage", self._coverage),
            ("GET", f"{API}/catalog", self._catalog),
            ("POST", f"{API}/try", self._try),
            ("PUT", f"{API}/notice", self._notice),
        ]
        return [web.route(method, path, self._guarded(handle)) for method, path, handle in table]

    def _guarded(self, handle: Handle) -> Handle:
        is_open = handle in (self._redirect, self._page, self._file, self._login)

        async def guarded(request: web.Request) -> web.StreamResponse:
            access = self._console.access
            refusal = access.refusal(request)
            if refusal is not None:
                return _problem(*refusal)
            if not is_open and not access.is_known(request):
                answer = _problem(401, "Send the token of console.token_file as Authorization: Bearer.")
                answer.headers["WWW-Authenticate"] = 'Bearer realm="console"'
                return answer
            try:
                return await handle(request)
            except BadRequestError as error:
                return _problem(error.status, error.detail, error.more)
            except FilterError as fault:
                return _problem(400, str(fault), {"filter": fault.document()})

        return guarded

    async def _redirect(self, _: web.Request) -> web.Response:
        return web.Response(status=308, headers={"Location": "/console/"})

    async def _page(self, _: web.Request) -> web.Response:
        return self._answer_file("index.html")

    async def _file(self, request: web.Request) -> web.Response:
        return self._answer_file(request.match_info["name"])

    def _answer_file(self, name: str) -> web.Response:
        found = self._files.get(name)
        if found is None:
            return _problem(404, "The page has no file of this name.")
        body, kind = found
        return web.Response(body=body, headers={**files.HEADERS, "Content-Type": kind})

    async def _info(self, _: web.Request) -> web.Response:
        console = self._console
        return _json(
            {
                "service": console.service,
                "mode": console.settings.mode,
                "max_per_s": console.settings.max_per_s,
                "mask": console.settings.mask,
                "facts": [
                    {"name": one.name, "kind": one.kind.name.lower(), "words": one.words, "meaning": one.meaning}
                    for one in FACTS.all()
                ],
                "listens": [f"{_reachable(host)}:{port}" for host, port in console.arrivals.addresses],
                "notices": console.notices,
                "cursor": console.ring.next_seq - 1,
                "epoch": console.ring.epoch,
            }
        )

    async def _login(self, request: web.Request) -> web.Response:
        given = await _body(request, _Login)
        if not self._console.access.is_token(given.token):
            return _problem(401, "This is not the token of console.token_file.")
        answer = _json({})
        answer.set_cookie(COOKIE, given.token, path="/console/", httponly=True, samesite="Strict", max_age=86_400)
        return answer

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        console = self._console
        wanted, columns = _filter_of(request), _columns_of(request)
        if self._viewers >= MAX_VIEWERS:
            return _problem(503, f"{MAX_VIEWERS} viewers look at the console already. Close one.")
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        last_id = request.headers.get("Last-Event-ID", "") or request.query.get("after", "")
        viewer = Viewer(console.ring, console.arrivals, console.rates, wanted, columns, console.state)
        self._viewers += 1
        try:
            await response.prepare(request)
            _extend(request)
            await response.write(b"retry: 1000\n\n")
            await viewer.run(last_id, response.write)
        except (ConnectionError, TimeoutError):
            _cut(request)  # The viewer is gone, or reads nothing.
        finally:
            self._viewers -= 1
        return response

    async def _events(self, request: web.Request) -> web.Response:
        console, wanted = self._console, _filter_of(request)
        limit, after = _number(request, "limit", 100, MAX_LIMIT), _number(request, "after", 0, 1 << 60)
        session = request.query.get("session", "")
        found: list[Row] = []
        cursor = max(after, console.ring.first_seq - 1)
        for row in islice(console.ring.after(after), None):
            if len(found) >= limit:
                break
            cursor = row.seq
            if (not session or row.summary.get("test") == session) and wanted.matches(row.decoded(), row.summary):
                found.append(row)
        missed = max(0, console.ring.first_seq - 1 - after) if "after" in request.query else 0
        return _json({"events": [shown(row) for row in found], "cursor": cursor, "missed": missed})

    async def _event(self, request: web.Request) -> web.Response:
        row = self._console.ring.find(int(request.match_info["seq"]))
        if row is None:
            return _problem(404, "The console does not remember this event: it is too old, or not there yet.")
        return _json(detail(row, self._console.explainer))

    async def _summary(self, request: web.Request) -> web.Response:
        session, after = request.query.get("session", ""), _number(request, "after", 0, 1 << 60)
        verdicts: dict[str, int] = {}
        streams: dict[str, dict[str, int]] = {}
        for row in self._console.ring.after(after):
            if session and row.summary.get("test") != session:
                continue
            verdict = row.summary["verdict"]
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
            if row.event is not None:
                stream = streams.setdefault(row.summary.get("stream", ""), {})
                stream[verdict] = stream.get(verdict, 0) + 1
        return _json({"total": sum(verdicts.values()), "verdicts": verdicts, "streams": streams})

    async def _filter(self, request: web.Request) -> web.Response:
        return _json({"filter": _filter_of(request).text, "columns": len(_columns_of(request))})

    async def _expect(self, request: web.Request) -> web.Response:
        order = await _body(request, Order)
        after = order.after
        if after is None:
            session = self._console.sessions.find(order.session) if order.session else None
            after = session.after if session is not None else 0
        _extend(request)
        return _json(await wait(order, self._console.ring, after))

    async def _sessions(self, _: web.Request) -> web.Response:
        return _json({"sessions": self._console.sessions.documents()})

    async def _begin(self, request: web.Request) -> web.Response:
        wanted = await _body(request, _Begin)
        if wanted.id and not _is_test_id(wanted.id):
            raise BadRequestError(400, "An id has 1 to 64 letters, digits and . _ : -")
        begun = self._console.sessions.begin(self._console.ring.next_seq - 1, wanted.ttl_s, wanted.id)
        return _json({"id": begun.id, "after": begun.after, "expires_in_s": min(wanted.ttl_s, 86_400.0)}, 201)

    async def _end(self, request: web.Request) -> web.Response:
        if not self._console.sessions.end(request.match_info["id"]):
            return _problem(404, "There is no session of this id: it has ended, or expired.")
        return web.Response(status=204)

    async def _disturb(self, request: web.Request) -> web.Response:
        self._must_be_development()
        session = self._session(request.match_info["id"])
        wanted = await _body(request, _Disturb)
        if not self._console.sessions.disturb(session, wanted.rules):
            raise BadRequestError(413, "All sessions together have too many rules. End some of them.")
        return _json({"rules": len(wanted.rules)})

    async def _coverage(self, request: web.Request) -> web.Response:
        console, test = self._console, request.query.get("session", "")
        declared = {}
        for uri in console.coverage.schemas_of(test):
            found = console.schemas.find_here(uri)
            if not isinstance(found, tuple):
                declared[uri] = found.schema
        document = console.coverage.document(test, declared)
        return _json(
            document | {"streams_never_seen": sorted(set(console.snapshot.names()) - set(document["streams"]))}
        )

    async def _catalog(self, _: web.Request) -> web.Response:
        console = self._console
        streams = []
        for stream in islice(console.snapshot.streams(), MAX_LIMIT):
            versions = console.schemas.versions(stream.schema_title) if stream.schema_title else []
            found = console.schemas.find_here(versions[-1]) if versions else ("", "")
            examples = [] if isinstance(found, tuple) else (found.schema.get("examples") or [])[:3]
            streams.append(
                {
                    "stream": stream.name,
                    "title": stream.schema_title,
                    "versions": versions,
                    "topic": stream.topic,
                    "validation": stream.validation,
                    "examples": examples,
                }
            )
        return _json({"streams": streams})

    async def _try(self, request: web.Request) -> web.Response:
        wanted = await _body(request, _Try)
        if wanted.send:
            self._must_be_development()
        return _json(
            await post(
                self._console.arrivals.addresses,
                wanted.body,
                is_sent=wanted.send,
                test=wanted.session,
                is_hasty=wanted.hasty,
            )
        )

    async def _notice(self, request: web.Request) -> web.Response:
        self._must_be_development()
        notice = await _body(request, _Notice)
        self._console.notices[:] = [msgspec.to_builtins(notice)] if notice.text else []
        return _json({})

    def _session(self, name: str) -> Session:
        found = self._console.sessions.find(name)
        if found is None:
            raise BadRequestError(404, "There is no session of this id. Begin one by POST /console/api/v1/sessions.")
        return found

    def _must_be_development(self) -> None:
        if not self._console.is_development:
            raise BadRequestError(403, "The console is read only. This needs console.mode: development.")


def _filter_of(request: web.Request) -> Filter:
    return compile_filter(request.query.get("where", ""), FACTS)


def _columns_of(request: web.Request) -> list[Column]:
    texts = [text.strip() for text in request.query.get("columns", "").split(",") if text.strip()]
    if len(texts) > MAX_COLUMNS:
        raise BadRequestError(400, f"A row has at most {MAX_COLUMNS} columns of its own.")
    return [column(text, FACTS) for text in texts]


def _number(request: web.Request, name: str, otherwise: int, most: int) -> int:
    text = request.query.get(name, str(otherwise))
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise BadRequestError(400, f"{name} is a whole number.")
    return min(int(text), most)


async def _body(request: web.Request, kind: type[Wanted]) -> Wanted:
    parts, size = [], 0
    while part := await request.content.readany():
        parts.append(part)
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise BadRequestError(413, f"The body has more than {MAX_BODY_BYTES} bytes.")
    try:
        return msgspec.json.decode(b"".join(parts) or b"{}", type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequestError(400, f"The body is not as documented: {error}.") from None


def _json(value: Any, status: int = 200) -> web.Response:
    body = msgspec.json.encode(value)
    return web.Response(body=body, status=status, content_type="application/json", headers=files.HEADERS)


def _problem(status: int, said: str, more: dict[str, Any] | None = None) -> web.Response:
    body = msgspec.json.encode({"type": "about:blank", "status": status, "detail": said, **(more or {})})
    return web.Response(body=body, status=status, content_type="application/problem+json", headers=files.HEADERS)


def _is_test_id(text: str) -> bool:
    return len(text) <= 64 and text.isascii() and all(letter.isalnum() or letter in "._:-" for letter in text)


def _reachable(host: str) -> str:
    if host in ("", "0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _extend(request: web.Request) -> None:
    """Let the connection live longer than other requests may (admin.door)."""
    protocol: Any = request.protocol
    if hasattr(protocol, "deadline"):
        protocol.deadline = asyncio.get_running_loop().time() + LONGEST_S


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
