"""What tests of a service with streams and schemas at URLs share: its settings, events, and what it answers."""

from __future__ import annotations

import json
import socket
from typing import Any

import orjson

from tests.harness.running import PATIENCE_S, name_of
from tests.harness.served import Served
from tests.harness.site import Site

QUICK = {"connect_s": 10.0, "total_s": 20.0, "retry_s": 0.01, "attempts": 2}  # To try again, not to give up.
TICK = {"schema_title": "app/tick"}


def settings(site: Site, **more: Any) -> dict[str, Any]:
    """A service whose streams are at the site."""
    streams = {"sources": [site.url("/api")], "refresh_s": 0.2} | more.pop("streams", {})
    return {"fetch": QUICK, "streams": streams, **more}


def post(service: Served, *events: dict[str, Any], path: str = "/v1/events") -> tuple[int, Any]:
    """Status and body of the answer."""
    body = json.dumps(events).encode()
    with socket.create_connection(service.address, timeout=2 * PATIENCE_S) as client:
        client.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" % path.encode())
        client.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    head, _, text = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), orjson.loads(text) if text else None


def tick(stream: str, schema: str = "/app/tick/1.0.0") -> dict[str, Any]:
    return {"$schema": schema, "meta": {"stream": stream, "dt": "2026-01-02T03:04:05.678Z"}, "count": 1}


def error_type(answer: tuple[int, Any]) -> str:
    """Of the first event that failed."""
    failed = (answer[1].get("invalid") or []) + (answer[1].get("error") or [])
    return str(failed[0]["context"]["error_type"])


def takes(service: Served, stream: str) -> bool:
    return post(service, tick(stream))[0] == 201


def fetcher_of(service: Served) -> int:
    """The pid of the newest fetcher."""
    return max((pid for pid in service.children() if name_of(pid) == "penstock:fetche"), default=0)
