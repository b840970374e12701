"""A collector on loopback: it takes OTLP over HTTP, and answers as a test wants. ``with Collector() as …``"""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2


class Taken(NamedTuple):
    """A span as it came: its attributes, and those of who sent it."""

    span: trace_pb2.Span
    attributes: dict[str, Any]
    resource: dict[str, Any]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:  # http.server names it.
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.collector.take(body)
        self.send_response(self.server.collector.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    collector: Collector

    def handle_error(self, *_: Any) -> None:
        """Whoever is tested may give up."""


class Collector:
    """``status`` is what it answers. While ``is_well`` is not set it takes what comes, and answers nothing."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.is_well = threading.Event()
        self.is_well.set()
        self.taken: list[Taken] = []

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.collector = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_well.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1/traces"

    def take(self, body: bytes) -> None:
        """A request's worth of spans."""
        self.is_well.wait(60)
        for group in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _plain(group.resource.attributes)
            for scope in group.scope_spans:
                self.taken += [Taken(span, _plain(span.attributes), resource) for span in scope.spans]


def _plain(attributes: Any) -> dict[str, Any]:
    return {one.key: _value(one.value) for one in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind)
