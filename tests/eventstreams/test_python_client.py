"""The Python client reads streams: it returns where it was, stores its position, and says what is lost."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from penstock_client import reading
from penstock_client.reading import EventStream, StreamRefused
from tests.harness.streaming import Intake, Streams

PATH = "/v2/stream/web.page_view"


def url(streams: Streams, query: str = "") -> str:
    host, port = streams.address
    return f"http://{host}:{port}{PATH}{query}"


def test_a_reader_gets_each_event_once_though_the_worker_dies(tmp_path: Path) -> None:
    with Intake(tmp_path) as intake, Streams(tmp_path) as streams:
        intake.post(*(f"/{number}" for number in range(5)))
        pages = []
        for event in EventStream(url(streams, "?since=earliest")):
            pages.append(event["page"])
            if pages[-1] == "/4":
                (worker,) = streams.workers()
                os.kill(worker, signal.SIGKILL)
                streams.until(lambda: len(streams.workers() - {worker}) == 1)  # noqa: B023  # It is called here.
                intake.post(*(f"/{number}" for number in range(5, 8)))
            if pages[-1] == "/7":
                break

        assert pages == [f"/{number}" for number in range(8)]


def test_another_process_goes_on_where_the_file_says(tmp_path: Path) -> None:
    with Intake(tmp_path) as intake, Streams(tmp_path) as streams:
        file = tmp_path / "position"
        intake.post("/1", "/2", "/3")
        first = EventStream(url(streams, "?since=earliest&poll=1"), position_file=file)
        taken = [next(iter(first))["page"]]
        first.close()
        assert not file.exists() or json.loads(file.read_text())[0]["offset"] == 1
        taken += [event["page"] for event in EventStream(url(streams, "?since=earliest&poll=1"), position_file=file)]
        intake.post("/4")
        taken += [event["page"] for event in EventStream(url(streams, "?poll=1"), position_file=file)]

        assert taken == ["/1", "/1", "/2", "/3", "/4"]


def test_a_lost_position_is_an_error_or_a_gap(tmp_path: Path) -> None:
    with Intake(tmp_path) as intake, Streams(tmp_path) as streams:
        intake.post("/1")
        position = '[{"topic":"web.page_view","partition":0,"offset":99}]'
        with pytest.raises(StreamRefused, match="410 Position Gone"):
            next(iter(EventStream(url(streams), position=position)))
        gaps: list[dict[str, Any]] = []
        pages = [event["page"] for event in EventStream(url(streams, "?poll=1"), position=position, on_gap=gaps.append)]

        assert (pages, gaps[0]["asked"], gaps[0]["latest"]) == (["/1"], 99, 2)


def test_a_wrong_request_is_an_error_that_says_why(tmp_path: Path) -> None:
    with Intake(tmp_path), Streams(tmp_path) as streams, pytest.raises(StreamRefused, match="Stream Not Found"):
        next(iter(EventStream(url(streams).replace("page_view", "nothing"))))
    with pytest.raises(ValueError, match="not a URL"):
        EventStream("nonsense")


def test_a_server_that_falls_silent_is_left_and_repetitions_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "FIRST_WAIT_S", 0.01)
    listening = socket.create_server(("127.0.0.1", 0))
    requests: list[bytes] = []

    def serve() -> None:
        """Send one event twice, with its position, and fall silent; then an answer that ends."""
        held = []
        for names in (("a", "a"), ("a", "b")):
            connection, _ = listening.accept()
            held.append(connection)
            requests.append(connection.recv(65_536))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
            for name in names:
                connection.sendall(f'id: after {name}\ndata: {{"meta":{{"id":"{name}"}}}}\n\n'.encode())
        held[1].sendall(b":end done\n\n")
        for connection in held:
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    stream = EventStream(f"http://127.0.0.1:{listening.getsockname()[1]}/v2/stream/a", silent_s=0.3)
    found = [event["meta"]["id"] for event in stream]
    thread.join(60)
    listening.close()

    assert found == ["a", "b"]
    assert b"Last-Event-ID: after a" in requests[1]
