"""A service with its console, and the few requests that tests make of both."""

from __future__ import annotations

import http.client
import json
from typing import Any

from server.console.client import ConsoleClient
from tests.harness.running import PATIENCE_S
from tests.harness.served import Served

GOOD = {"$schema": "/web/page_view/1.1.0", "meta": {"stream": "web.page_view"}, "page": "/home"}
CONSOLE = {"enabled": True, "mode": "development", "max_per_s": 10_000}


def client_of(service: Served, token: str = "") -> ConsoleClient:
    host, port = service.admin_address
    return ConsoleClient(f"http://{host}:{port}", token)


def send(
    address: tuple[str, int],
    body: Any = None,
    path: str = "/v1/events",
    method: str = "POST",
    headers: dict[str, str] | None = None,
) -> tuple[int, str, dict[str, str]]:
    """Return status, body and headers of the answer."""
    connection = http.client.HTTPConnection(*address, timeout=PATIENCE_S)
    try:
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        connection.request(method, path, raw, {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace"), dict(answer.getheaders())
    finally:
        connection.close()


def page_view(page: Any, **more: Any) -> dict[str, Any]:
    return {**GOOD, "page": page, **more}


def expected(service: Served, **order: Any) -> dict[str, Any]:
    """Return the console's answer to an expectation."""
    asked = {"within_ms": 20_000, **order}
    answer: dict[str, Any] = client_of(service).ask("POST", "/expect", asked, within_s=asked["within_ms"] / 1000 + 60)
    return answer


def facts_of(service: Served, where: str) -> dict[str, Any]:
    """The facts of the newest row that a filter finds, once there is one."""
    answer = expected(service, where=where)
    assert answer["matched"], answer
    found: dict[str, Any] = answer["events"][-1]["facts"]
    return found
