"""Neither ``submit`` nor the sending thread does more than it has to: the thread waits for the interpreter after each
system call and each compression."""

from __future__ import annotations

import socket
import threading
import time
import zlib
from collections import Counter
from datetime import datetime
from typing import Any

import pytest

from penstock_client import Intake, connection
from penstock_client.identity import timestamp
from penstock_client.testing import FaultServer
from tests.clients.python.conftest import EVENT, STREAM

REQUESTS = 20
LONG_S = 3600.0


def test_what_has_piled_up_goes_in_requests_of_a_thousand(faulty: FaultServer) -> None:
    client = Intake(faulty.url, linger_s=LONG_S, driver="inline")
    for _ in range(2500):
        client.submit(STREAM, EVENT)
    client.close(LONG_S)

    assert [len(events) for events in faulty.seen] == [1000, 1000, 500]


def test_a_connection_in_use_is_bounded_once_and_not_looked_at_between_requests(
    faulty: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: Counter[str] = Counter()
    settimeout = socket.socket.settimeout

    def set_timeout(one: socket.socket, value: float | None) -> None:
        calls["settimeout"] += value is not None and value > LONG_S / 2  # The server's own are shorter.
        settimeout(one, value)

    def look(_: socket.socket) -> bool:
        calls["look"] += 1
        return False

    monkeypatch.setattr(socket.socket, "settimeout", set_timeout)
    monkeypatch.setattr(connection, "_is_readable", look)
    monkeypatch.setattr(connection, "BUSY_S", LONG_S)  # However slow the machine is.
    client = Intake(faulty.url, driver="inline", max_batch_events=1, timeout_s=LONG_S)
    for _ in range(REQUESTS):
        client.submit(STREAM, EVENT)
    client.close(LONG_S)

    assert len(faulty.seen) == REQUESTS
    assert calls == {"settimeout": 1}


@pytest.mark.parametrize("busy_s", [0.0, LONG_S])
def test_a_connection_that_the_intake_has_closed_without_a_word_is_not_used(
    busy_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request into it would have an unknown outcome."""
    monkeypatch.setattr(connection, "BUSY_S", busy_s)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer_one() -> None:
            accepted, _ = listener.accept()
            with accepted, accepted.makefile("rb") as received:
                lengths = [
                    line.split()[1] for line in iter(received.readline, b"\r\n") if line.startswith(b"Content-Len")
                ]
                received.read(int(lengths[0]))
                accepted.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")

        client = Intake("http://{}:{}".format(*listener.getsockname()), driver="inline")
        outcomes = []
        for _ in range(3):
            thread = threading.Thread(target=answer_one)
            thread.start()
            outcomes.append(client.submit_now(STREAM, EVENT, timeout=60.0))
            thread.join()

    assert all(outcome.is_sent for outcome in outcomes)
    assert client.metrics()["retries"] == client.metrics()["receipts"] == 0
    client.close(0)


def test_a_connection_that_was_not_used_for_a_while_is_looked_at(
    faulty: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[object] = []
    monkeypatch.setattr(connection, "_is_readable", looks.append)
    monkeypatch.setattr(connection, "BUSY_S", 0.0)
    client = Intake(faulty.url, driver="inline", max_batch_events=1)
    for _ in range(REQUESTS):
        client.submit(STREAM, EVENT)
    client.close(LONG_S)

    assert len(looks) == REQUESTS - 1


def test_a_body_is_compressed_in_one_call(faulty: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    compress = zlib.compress

    def count(body: bytes, *how: Any) -> bytes:
        calls.append(len(body))
        return compress(body, *how)

    monkeypatch.setattr(zlib, "compress", count)
    monkeypatch.delattr(zlib, "compressobj")
    client = Intake(faulty.url, driver="inline", linger_s=LONG_S)
    tickets = [client.submit(STREAM, EVENT | {"page": "/" + "x" * 700}) for _ in range(100)]
    client.close(LONG_S)

    assert len(calls) == 1
    assert faulty.ids() == [ticket.id for ticket in tickets]


def test_the_text_of_a_second_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """To make it for each millisecond cost as much as all else in one call of ``submit`` in fifty."""
    made = []
    strftime = time.strftime

    def count(form: str, moment: time.struct_time) -> str:
        made.append(moment)
        return strftime(form, moment)

    monkeypatch.setattr("penstock_client.identity.time.strftime", count)
    begin_ms = 1_795_867_200_500
    texts = [timestamp(begin_ms + more_ms) for more_ms in range(2000)]

    assert [datetime.fromisoformat(text).timestamp() for text in texts] == [
        (begin_ms + more_ms) / 1000 for more_ms in range(2000)
    ]
    assert (texts[0], texts[500]) == ("2026-11-28T12:00:00.500Z", "2026-11-28T12:00:01.000Z")
    assert len(made) == 3
