"""More requests than the console may copy: the ones that were not accepted are shown first, and all are counted."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.consoled import CONSOLE, GOOD, client_of, expected, page_view, send
from tests.harness.running import eventually
from tests.harness.served import Served

FLOOD = 300


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Served]:
    """One worker that may copy ten events in a tenth of a second."""
    with Served(tmp_path, workers=1, console={**CONSOLE, "max_per_s": 100}) as service:
        yield service


def request(body: Any, path: str = "/v1/events") -> bytes:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (
        f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
    ).encode() + raw


def flood(service: Served, *last: bytes, test: str = "") -> int:
    """Send many accepted events and then others, on one connection. Returns how many requests were sent."""
    good = request(page_view("/flood"), f"/v1/events?hasty=true{test and f'&test={test}'}")
    end = b"GET /_info HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with socket.create_connection(service.address, timeout=60) as connection:
        connection.sendall(good * FLOOD + b"".join(last) + end)
        while connection.recv(65_536):
            pass
    return FLOOD + len(last)


def test_requests_that_are_not_accepted_are_shown_above_the_budget(service: Served) -> None:
    client = client_of(service)
    batch = [page_view(index) if index == 150 else page_view("/batch") for index in range(200)]
    flood(
        service,
        request(page_view(1)),
        request([page_view(2), page_view("/second")]),
        request(page_view(3), "/v1/events?hasty=true"),
        request(b'{"page": 4'),
        request(page_view("/x"), "/v1/elsewhere"),
        request(batch),
    )

    def shown(where: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = client.ask("GET", "/events", query={"where": where, "limit": "1000"})["events"]
        return found

    eventually(lambda: shown("page:150"))

    assert sorted(one["facts"]["status"] for one in shown("verdict:invalid -page:150")) == [202, 207, 400]
    assert sorted(one["facts"]["status"] for one in shown("verdict:refused")) == [400, 404]
    assert len(shown("page:/second")) == 1
    assert [one["facts"]["index"] for one in shown("page:150")] == [150]
    assert len(shown("page:/flood")) < FLOOD


def test_a_session_above_its_budget_shows_what_is_not_accepted(service: Served) -> None:
    client_of(service).ask("POST", "/sessions", {"id": "many"})
    flood(service, request(page_view(7), "/v1/events?test=many"), test="many")

    answer = expected(service, session="many", where="page:7", within_ms=60_000)

    assert answer["matched"]


def test_rows_and_gaps_are_all_that_was_sent(tmp_path: Path) -> None:
    with Served(tmp_path, workers=1, console={**CONSOLE, "max_per_s": 20}) as service:
        client = client_of(service)
        sent = flood(service, *(request(page_view(number)) for number in range(40)), *[request(b"[")] * 40)

        def is_whole() -> bool:
            """Whether nothing is missing. The gap before a row is known once the row is there."""
            nonlocal sent
            sent += 1
            send(service.address, GOOD, headers={"X-Penstock-Test": "last"})
            rows = next(client.messages({}))["rows"]
            return bool(len(rows) + sum(row.get("gap", 0) for row in rows) == sent)

        eventually(is_whole)


def test_in_production_a_console_that_nothing_reads_copies_fewer_accepted_events(tmp_path: Path) -> None:
    with Served(tmp_path, workers=1, console={"enabled": True, "max_per_s": 1_000}) as service:
        flood(service)
        flood(service)
        client = client_of(service)

        before = client.ask("GET", "/summary")["total"]
        assert before < 2 * FLOOD

        def all_are_copied() -> bool:
            """Whether workers know by now that the console is read."""
            last = client.ask("GET", "/info")["cursor"]
            for _ in range(40):
                send(service.address, GOOD)
            return bool(client.ask("GET", "/info")["cursor"] - last == 40)

        eventually(all_are_copied)
