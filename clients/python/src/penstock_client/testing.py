"""For the tests of programs that send events: a client that keeps them in memory, and an intake that fails on demand.

The pytest fixture ``penstock_events`` (pytest_plugin.py) is a ``Captured`` of every client in the test.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

from penstock_client.connection import Connections
from penstock_client.intake import Intake
from penstock_client.jobs import Answer, Job, Result
from penstock_client.options import Options

if TYPE_CHECKING:
    import ssl

Where = Mapping[str, Any] | Callable[[Mapping[str, Any]], bool] | None


class Captured:
    """Events in the order of their submission."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def of(self, stream: str, where: Where = None) -> list[dict[str, Any]]:
        """Return the events of a stream, of which ``where`` is true or has the members of."""
        return [event for event in self.events if event["meta"]["stream"] == stream and _matches(event, where)]

    def expect(self, stream: str, where: Where = None, *, times: int = 1) -> dict[str, Any]:
        """Assert that there were so many such events, and return the first of them."""
        found = self.of(stream, where)
        others = [event for event in self.of(stream) if event not in found]
        assert len(found) == times, f"{len(found)} such events of {stream} instead of {times}; others: {others}"
        return found[0]

    def none(self, stream: str, where: Where = None) -> None:
        """Assert that there was no such event."""
        found = self.of(stream, where)
        assert not found, f"events of {stream}: {found}"


def _matches(event: Any, where: Any) -> bool:
    if where is None:
        return True
    if callable(where):
        return bool(where(event))
    if isinstance(where, Mapping):
        return isinstance(event, Mapping) and all(
            name in event and _matches(event[name], one) for name, one in where.items()
        )
    return bool(event == where)


class MemoryIntake(Intake):
    """An ``Intake`` whose requests stay in memory: ``sent.expect("web.page_view", {"page": "/"})`` after a flush."""

    def __init__(self, **options: Any) -> None:
        self.sent = Captured()
        super().__init__("http://memory.invalid", driver="inline", **options)

    def _connect(self) -> Connections:
        return _Memory(self.options, self.sent)


class _Memory(Connections):
    def __init__(self, options: Options, sent: Captured) -> None:
        super().__init__(options)
        self._sent = sent

    def run(self, job: Job, deadline_s: float) -> Result:
        """Accept everything."""
        self._sent.events += [json.loads(body) for body in job.bodies or ()]
        return Answer(201, {}, b"")


class Fault(NamedTuple):
    """What an intake does with one request. ``accepts``: its events count as accepted, whatever the client is told.
    ``status`` 0: the connection breaks instead of an answer; ``waits``: there is no answer until the server ends.
    ``entries`` by index are ``error_type``s of events that fail."""

    status: int = 201
    accepts: bool = True
    waits: bool = False
    headers: Mapping[str, str] = {}
    entries: Mapping[int, str] = {}
    body: bytes = b""


OK = Fault()
HANGS = Fault(accepts=False, waits=True)
HANGS_ACCEPTED = Fault(waits=True)
BREAKS = Fault(status=0, accepts=False)
BREAKS_ACCEPTED = Fault(status=0)
UNAVAILABLE = Fault(status=503, accepts=False)
ERRORS = frozenset({"broker_timeout", "queue_full", "schema_unavailable", "broker_rejected", "internal"})


class FaultServer:
    """An intake on a free port of the loopback, in threads of the test's process. Each request with events takes the
    next of ``faults``; without any left it is accepted. ``accepted`` and ``seen`` are the bytes of events, by request;
    ``paths`` the targets of all requests, ``codings`` the content codings of those with events. ``max_events``: more of
    them in a request are answered 413. ``ssl_context``: it speaks TLS."""

    def __init__(
        self,
        faults: list[Fault] | None = None,
        *,
        max_events: int = 10_000,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.faults = deque(faults or [])
        self.max_events = max_events
        self.accepted: list[list[bytes]] = []
        self.seen: list[list[bytes]] = []
        self.paths: list[str] = []
        self.codings: list[str] = []
        self.receipts: dict[str, int] = {}
        self.streams: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        server = self

        class Handler(_Handler):
            intake = server

        self._http = _Quiet(("127.0.0.1", 0), Handler)
        self._scheme = "http" if ssl_context is None else "https"
        if ssl_context is not None:  # The handshake is made by the thread of the connection.
            self._http.socket = ssl_context.wrap_socket(
                self._http.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        """The address."""
        return f"{self._scheme}://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(10)

    def ids(self) -> list[str]:
        """Return the ``meta.id`` of every accepted event."""
        with self._lock:
            return [json.loads(event)["meta"]["id"] for request in self.accepted for event in request]

    def bodies(self) -> dict[str, set[bytes]]:
        """Return, by ``meta.id``, all bytes that were ever sent for it."""
        found: dict[str, set[bytes]] = {}
        with self._lock:
            for event in (event for request in self.seen for event in request):
                found.setdefault(json.loads(event)["meta"]["id"], set()).add(event)
        return found

    def until(self, is_so: Callable[[], bool], within_s: float = 60.0) -> None:
        """Wait for a condition."""
        deadline_s = time.monotonic() + within_s
        while not is_so():
            assert time.monotonic() < deadline_s, f"not within {within_s} s; requests: {self.paths[-20:]}"
            time.sleep(0.005)

    def take(self, events: list[bytes], request_id: str) -> Fault:
        """Take a request with events, and return what to do with it."""
        with self._lock:
            self.seen.append(events)
            if len(events) > self.max_events:
                return Fault(status=413, accepts=False)
            fault = self.faults.popleft() if self.faults else OK
            if fault.accepts:
                accepted = [event for index, event in enumerate(events) if index not in fault.entries]
                self.accepted.append(accepted)
                self.receipts[request_id] = len(accepted)
            return fault

    def wait(self) -> None:
        """Wait until the server ends."""
        self._over.wait()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that are gone; anything else is a bug of this file."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    intake: FaultServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self.intake.paths.append(self.path)
        path = urlsplit(self.path).path
        if path.startswith("/v1/receipts/"):
            count = self.intake.receipts.get(path.rpartition("/")[2])
            found = {"accepted": count, "delivered": count, "spooled": 0, "failed": 0, "pending": 0, "invalid": 0}
            self._answer(404 if count is None else 200, json.dumps(found).encode())
        else:
            self._answer(200, json.dumps({"streams": self.intake.streams}).encode(), {"ETag": '"1"'})

    def do_POST(self) -> None:
        self.intake.paths.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.intake.codings.append(self.headers["Content-Encoding"] or "")
        if self.headers["Content-Encoding"] == "gzip":
            import gzip

            body = gzip.decompress(body)
        events = _members(body)
        fault = self.intake.take(events, self.headers["X-Request-Id"] or "")
        if fault.waits:
            self.intake.wait()
        if fault.waits or not fault.status:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        lists: dict[str, list[Any]] = {"invalid": [], "error": []}
        for index, error_type in fault.entries.items():
            kind = "error" if error_type in ERRORS else "invalid"
            lists[kind].append({"status": kind, "index": index, "event": {}, "context": {"error_type": error_type}})
        status = fault.status
        is_hasty = parse_qs(urlsplit(self.path).query).get("hasty") == ["true"]
        if status == 201 and fault.entries:
            status = 207
        if status == 201 and is_hasty:
            status = 202
        self._answer(status, fault.body or (json.dumps(lists).encode() if fault.entries else b""), fault.headers)

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _members(body: bytes) -> list[bytes]:
    """Return the members of an array, byte for byte."""
    text = body.decode()
    decoder = json.JSONDecoder()
    members, at = [], 1
    while text[at] != "]":
        _, end = decoder.raw_decode(text, at)
        members.append(text[at:end].encode())
        at = end + 1 if text[end] == "," else end
        while text[at] == " ":  # Other clients write some.
            at += 1
    return members
