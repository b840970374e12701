"""The routes of the console: the page, its files, and the interface below /console/api/v1/.

Place: admin.pages → HERE → console.console.
Rules: every answer is JSON or a file of the page, and is not cached. Every refusal says what to do. Nothing here is
reachable on the public listener. Requests that change the service are refused in production.
Not here: who may ask (console.access), what an answer holds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from aiohttp import web

from server.console import files
from server.console.access import COOKIE
from server.console.answers import (
    ID_RULE,
    BadRequestError,
    body_of,
    columns_of,
    cut_off,
    extend,
    filter_of,
    is_test_id,
    is_text,
    json_answer,
    number_of,
    problem,
    reachable,
    session_of,
)
from server.console.checks.coverage import declared_paths
from server.console.checks.expect import Order, contradiction, shown, wait
from server.console.checks.sessions import Options
from server.console.copying.chaos import Rule
from server.console.detail import detail
from server.console.facts import FACTS
from server.console.micro import Selection
from server.console.rows import Row
from server.console.tryout import post
from server.console.turns import rows_after
from server.console.viewers import Viewer
from server.filter.fault import FilterError

if TYPE_CHECKING:
    from server.console.checks.sessions import Session
    from server.console.console import Console

API: Final = "/console/api/v1"
MICRO: Final = "/console/micro"
MAX_LIMIT: Final = 1_000
MAX_VIEWERS: Final = 100
MAX_EXPECTATIONS: Final = 256  # With the viewers fewer than admin.door.MAX_CONNECTIONS: probes still get through.
ROOM_RULE: Final = "All sessions together have too many rules. End some of them."
MAX_PATHS: Final = 200  # Of a schema, that the page offers as columns.

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Begin(Options, frozen=True, forbid_unknown_fields=True, kw_only=True):
    id: str = ""
    ttl_s: Annotated[float, msgspec.Meta(gt=0)] = 3_600.0


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
        self._expectations = 0  # That wait.

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
            *((method, f"{MICRO}/{{what:all|good|bad|reset}}", self._answer_micro) for method in ("GET", "POST")),
        ]
        return [web.route(method, path, self._guarded(handle)) for method, path, handle in table]

    def _guarded(self, handle: Handle) -> Handle:
        is_open = handle in (self._redirect, self._page, self._file, self._login)

        async def guarded(request: web.Request) -> web.StreamResponse:
            access = self._console.access
            refusal = access.refusal(request)
            if refusal is not None:
                return problem(*refusal)
            if not is_open and not access.is_known(request):
                answer = problem(401, "Send the token of console.token_file as Authorization: Bearer.")
                answer.headers["WWW-Authenticate"] = 'Bearer realm="console"'
                return answer
            if not is_open:
                self._console.note_reader()
            if not is_text(request.rel_url.raw_query_string):
                return problem(400, "The query is not UTF-8.")
            try:
                return await handle(request)
            except BadRequestError as error:
                return problem(error.status, error.detail, error.more)
            except FilterError as fault:
                return problem(400, str(fault), {"filter": fault.document()})

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
            return problem(404, "The page has no file of this name.")
        body, kind = found
        return web.Response(body=body, headers={**files.HEADERS, "Content-Type": kind})

    async def _info(self, _: web.Request) -> web.Response:
        console = self._console
        return json_answer(
            {
                "service": console.service,
                "mode": console.settings.mode,
                "max_per_s": console.settings.max_per_s,
                "mask": console.settings.mask,
                "facts": [
                    {"name": one.name, "kind": one.kind.name.lower(), "words": one.words, "meaning": one.meaning}
                    for one in FACTS.all()
                ],
                "listens": [f"{reachable(host)}:{port}" for host, port in console.arrivals.addresses],
                "notices": console.notices,
                "viewers": console.viewers,
                "max_viewers": MAX_VIEWERS,
                "cursor": console.ring.next_seq - 1,
                "epoch": console.ring.epoch,
            }
        )

    async def _login(self, request: web.Request) -> web.Response:
        given = await body_of(request, _Login)
        if not self._console.access.is_token(given.token):
            return problem(401, "This is not the token of console.token_file.")
        answer = json_answer({})
        answer.set_cookie(COOKIE, given.token, path="/console/", httponly=True, samesite="Strict", max_age=86_400)
        return answer

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        console = self._console
        wanted, columns = filter_of(request), columns_of(request)
        if request.method == "HEAD":
            return web.Response(headers={"Content-Type": "text/event-stream"})
        if console.viewers >= MAX_VIEWERS:
            return problem(503, f"{MAX_VIEWERS} viewers look at the console already. Close one.")
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        last_id = request.headers.get("Last-Event-ID", "") or request.query.get("after", "")
        viewer = Viewer(console.ring, console.arrivals, console.rates, wanted, columns, console.state)
        console.viewers += 1
        try:
            await response.prepare(request)
            extend(request)
            await response.write(b"retry: 1000\n\n")
            await viewer.run(last_id, response.write)
        except (ConnectionError, TimeoutError):
            cut_off(request)  # The viewer is gone, or reads nothing.
        finally:
            console.viewers -= 1
        return response

    async def _events(self, request: web.Request) -> web.Response:
        console, wanted = self._console, filter_of(request)
        limit, after = number_of(request, "limit", 100, MAX_LIMIT), number_of(request, "after", 0, 1 << 60)
        session = session_of(request)
        found: list[Row] = []
        cursor = max(after, console.ring.first_seq - 1)
        async for row in rows_after(console.ring, after):
            if len(found) >= limit:
                break
            cursor = row.seq
            if (not session or row.summary.get("test") == session) and wanted.matches(row.decoded(), row.summary):
                found.append(row)
        missed = max(0, console.ring.first_seq - 1 - after) if "after" in request.query else 0
        return json_answer({"events": [shown(row) for row in found], "cursor": cursor, "missed": missed})

    async def _event(self, request: web.Request) -> web.Response:
        row = self._console.ring.find(int(request.match_info["seq"]))
        if row is None:
            return problem(404, "The console does not remember this event: it is too old, or not there yet.")
        return json_answer(detail(row, self._console.explainer))

    async def _summary(self, request: web.Request) -> web.Response:
        session, after = session_of(request), number_of(request, "after", 0, 1 << 60)
        verdicts: dict[str, int] = {}
        streams: dict[str, dict[str, int]] = {}
        async for row in rows_after(self._console.ring, after):
            if session and row.summary.get("test") != session:
                continue
            verdict = row.summary["verdict"]
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
            if row.event is not None:
                stream = streams.setdefault(row.summary.get("stream", ""), {})
                stream[verdict] = stream.get(verdict, 0) + 1
        return json_answer({"total": sum(verdicts.values()), "verdicts": verdicts, "streams": streams})

    async def _filter(self, request: web.Request) -> web.Response:
        return json_answer({"filter": filter_of(request).text, "columns": len(columns_of(request))})

    async def _expect(self, request: web.Request) -> web.Response:
        order = await body_of(request, Order)
        if problem_text := contradiction(order):
            raise BadRequestError(400, problem_text)
        if self._expectations >= MAX_EXPECTATIONS:
            return problem(503, f"{MAX_EXPECTATIONS} expectations wait already. Let some of them end.")
        after = order.after
        if after is None:
            session = self._console.sessions.find(order.session) if order.session else None
            after = session.after if session is not None else 0
        extend(request)
        self._expectations += 1
        try:
            return json_answer(await wait(order, self._console.ring, after))
        finally:
            self._expectations -= 1

    async def _sessions(self, _: web.Request) -> web.Response:
        return json_answer({"sessions": self._console.sessions.documents()})

    async def _begin(self, request: web.Request) -> web.Response:
        wanted = await body_of(request, _Begin)
        if wanted.id and not is_test_id(wanted.id):
            raise BadRequestError(400, ID_RULE)
        if wanted.dry or wanted.verbose:
            self._must_be_development()
        options = Options(dry=wanted.dry, strict=wanted.strict, verbose=wanted.verbose, max_bytes=wanted.max_bytes)
        begun = self._console.sessions.begin(self._console.ring.next_seq - 1, wanted.ttl_s, wanted.id, options)
        if begun is None:
            raise BadRequestError(413, ROOM_RULE)
        return json_answer({"id": begun.id, "after": begun.after, "expires_in_s": min(wanted.ttl_s, 86_400.0)}, 201)

    async def _end(self, request: web.Request) -> web.Response:
        if not self._console.sessions.end(request.match_info["id"]):
            return problem(404, "There is no session of this id: it has ended, or expired.")
        return web.Response(status=204)

    async def _disturb(self, request: web.Request) -> web.Response:
        self._must_be_development()
        session = self._session(request.match_info["id"])
        wanted = await body_of(request, _Disturb)
        if not self._console.sessions.disturb(session, wanted.rules):
            raise BadRequestError(413, ROOM_RULE)
        return json_answer({"rules": len(wanted.rules)})

    async def _coverage(self, request: web.Request) -> web.Response:
        console = self._console
        document = console.coverage.document(session_of(request))
        never = sorted(set(console.snapshot.names()) - set(document["streams"]))
        return json_answer(document | {"streams_never_seen": never, "sessions": console.coverage.sessions()})

    async def _catalog(self, _: web.Request) -> web.Response:
        console = self._console
        streams = []
        for stream in islice(console.snapshot.streams(), MAX_LIMIT):
            versions = console.schemas.versions(stream.schema_title) if stream.schema_title else []
            found = console.schemas.find_here(versions[-1]) if versions else ("", "")
            schema = None if isinstance(found, tuple) else found.schema
            examples = (schema.get("examples") or [])[:3] if isinstance(schema, dict) else []
            streams.append(
                {
                    "stream": stream.name,
                    "title": stream.schema_title,
                    "versions": versions,
                    "topic": stream.topic,
                    "validation": stream.validation,
                    "examples": examples,
                    "paths": list(islice(dict(declared_paths(schema)), MAX_PATHS)),
                }
            )
        return json_answer({"streams": streams})

    async def _try(self, request: web.Request) -> web.Response:
        wanted = await body_of(request, _Try)
        if wanted.send:
            self._must_be_development()
        return json_answer(
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
        notice = await body_of(request, _Notice)
        self._console.notices[:] = [msgspec.to_builtins(notice)] if notice.text else []
        return json_answer({})

    async def _answer_micro(self, request: web.Request) -> web.Response:
        what, session = request.match_info["what"], session_of(request)
        if what == "all":
            return json_answer(self._console.micro.count(session))
        if what == "reset":
            return json_answer(self._console.micro.reset(session))
        wanted = await body_of(request, Selection) if request.method == "POST" else Selection()
        find = self._console.micro.good if what == "good" else self._console.micro.bad
        return json_answer(find(session, wanted))

    def _session(self, name: str) -> Session:
        found = self._console.sessions.find(name)
        if found is None:
            raise BadRequestError(404, "There is no session of this id. Begin one by POST /console/api/v1/sessions.")
        return found

    def _must_be_development(self) -> None:
        if not self._console.is_development:
            raise BadRequestError(403, "The console is read only. This needs console.mode: development.")
