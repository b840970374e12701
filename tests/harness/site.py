"""A web site on loopback that fails in every way a test asks for: ``with Site() as site``.

``site.says(path, behaviour)`` sets what a path does from now on; a behaviour gets the request's handler and writes the
whole answer by itself, well or badly. ``site.asked`` holds every request line and its headers, in order.
"""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Behaviour = Callable[[BaseHTTPRequestHandler], None]


def body(text: bytes | str, content_type: str = "application/json", status: int = 200, **headers: str) -> Behaviour:
    """A correct answer with an ETag, and 304 for a client that has it."""
    raw = text.encode() if isinstance(text, str) else text
    etag = f'"{hashlib.sha256(raw).hexdigest()[:16]}"'

    def answer(handler: BaseHTTPRequestHandler) -> None:
        is_known = status == 200 and handler.headers.get("If-None-Match") == etag
        handler.send_response(304 if is_known else status)
        handler.send_header("ETag", etag)
        handler.send_header("Content-Type", content_type)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0" if is_known else str(len(raw)))
        handler.end_headers()
        if not is_known:
            handler.wfile.write(raw)

    return answer


def streams(**declared: Any) -> Behaviour:
    """The answer of the EventStreamConfig API."""
    return body(json.dumps({"streams": declared}))


def status(code: int, **headers: str) -> Behaviour:
    return body("{}", status=code, **headers)


def html(code: int = 200) -> Behaviour:
    return body("<!DOCTYPE html><title>Sorry</title>", "text/html; charset=utf-8", code)


def redirect(to: str) -> Behaviour:
    return body("", status=302, Location=to)


def cut_short(text: str) -> Behaviour:
    """An answer with half of the bytes that Content-Length promises."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text[: len(text) // 2].encode())
        handler.close_connection = True

    return answer


def endless(handler: BaseHTTPRequestHandler) -> None:
    """Send 50 MB in chunks, without a length, until the client disconnects."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    for _ in range(800):
        handler.wfile.write(chunk)
    handler.wfile.write(b"0\r\n\r\n")


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    """Close without an answer."""
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def in_turn(*behaviours: Behaviour) -> Behaviour:
    """Use one behaviour after another; the last one for ever."""
    left = list(behaviours)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(handler)

    return answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    sent: bytes = b""  # The body of a POST.

    def do_POST(self) -> None:  # http.server names it.
        self.sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def do_GET(self) -> None:  # http.server names it.
        site = self.server.site
        site.asked.append((self.path, dict(self.headers)))
        path = self.path.partition("?")[0]
        try:
            site.behaviours.get(path, site.otherwise)(self)
        except OSError:  # The client has disconnected.
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Log nothing: ``asked`` holds all requests."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, site: Site, bound: socket.socket) -> None:
        super().__init__(bound.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = bound
        self.site = site
        self.server_activate()

    def handle_error(self, *_: Any) -> None:
        """Ignore clients that disconnect: tests provoke that."""


def _bound(port: int) -> socket.socket:
    """A socket that has the port, and does not listen yet."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound


class Site:
    """Serves from a thread until the ``with`` block ends."""

    def __init__(self) -> None:
        self.behaviours: dict[str, Behaviour] = {}
        self.otherwise = status(404)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._released = threading.Event()

    def __enter__(self) -> Self:
        self._kept = _bound(0)
        self.port = int(self._kept.getsockname()[1])
        self.start_again()
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()
        self.stop()
        self._kept.close()

    def stop(self) -> None:
        """Stop listening at the address, and keep others from using it."""
        self._server.shutdown()
        self._server.socket.shutdown(socket.SHUT_RDWR)
        self._kept = _bound(self.port)
        self._server.server_close()
        self._thread.join()

    def start_again(self) -> None:
        """Listen again at the same address."""
        self._server = _Server(self, self._kept)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def hang_up(self) -> None:
        """Disconnect clients of stalled answers, now and later."""
        self._released.set()

    def says(self, path: str, behaviour: Behaviour) -> str:
        """Set the behaviour of a path. Returns its URL."""
        self.behaviours[path] = behaviour
        return self.url(path)

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def stalls(self, after: bytes = b"") -> Behaviour:
        """Send this part of an answer, then nothing until ``hang_up``, which comes at the end of the test."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.wfile.write(after)
            self._released.wait(600)
            handler.close_connection = True

        return answer

    def paths(self) -> list[str]:
        """Return the requested paths, in order."""
        return [path for path, _ in self.asked]
