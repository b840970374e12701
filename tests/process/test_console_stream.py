"""The stream of a real console: cut at any message it loses and repeats nothing; a slow reader is cut off."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.harness.consoled import CONSOLE, GOOD, client_of, facts_of, page_view, send
from tests.harness.running import PATIENCE_S, eventually
from tests.harness.served import Served

STREAM = "/console/api/v1/stream"
# Of one row, 8 columns of 5 values of 200 characters: 20 batches fill more than the buffers of a connection.
COLUMNS = ",".join(["mine"] * 8)
LARGE = [page_view("/", mine=["x" * 200] * 5) for _ in range(100)]
BATCHES = 20


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("streamed"), console=CONSOLE) as service:
        yield service


def messages(service: Served, last_id: str = "", **query: str) -> Iterator[tuple[str, str, Any]]:
    """Yield event, ID and content of each message, until the console closes the connection."""
    headers = {"Last-Event-ID": last_id} if last_id else {}
    with closing(http.client.HTTPConnection(*service.admin_address, timeout=PATIENCE_S)) as connection:
        connection.request("GET", f"{STREAM}?{urlencode(query)}", headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200
        fields: dict[str, str] = {}
        while line := answer.readline():
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif "data" in fields:
                yield fields["event"], fields.get("id", ""), json.loads(fields["data"])
                fields = {}


def test_a_stream_that_is_cut_at_every_message_has_each_row_once(service: Served) -> None:
    client = client_of(service)
    info = client.ask("GET", "/info")
    last_id, seen = f"{info['epoch']}-{info['cursor']}", list[int]()
    for number in range(30):
        send(service.address, page_view(f"/{number}"), headers={"X-Penstock-Test": "cut"})
        if number % 3 == 0:
            continue  # Several rows may come while no connection is there.
        event, message_id, content = next(one for one in messages(service, last_id) if one[0] == "rows")
        assert content["missed"] is None, event
        last_id = message_id
        seen += [row["seq"] for row in content["rows"]]
    send(service.address, page_view("/end"), headers={"X-Penstock-Test": "cut-end"})
    end = facts_of(service, "test:cut-end")["seq"]
    while seen[-1] < end:
        _, last_id, content = next(one for one in messages(service, last_id) if one[0] == "rows")
        seen += [row["seq"] for row in content["rows"]]

    assert seen == list(range(info["cursor"] + 1, end + 1))


def test_a_reader_of_an_earlier_process_or_of_forgotten_rows_gets_a_gap(tmp_path: Path) -> None:
    with Served(tmp_path, workers=1, console={**CONSOLE, "max_events": 5}) as service:
        for number in range(12):
            send(service.address, page_view(f"/{number}"))
        facts_of(service, "page:/11")
        epoch = client_of(service).ask("GET", "/info")["epoch"]
        _, _, late = next(one for one in messages(service, f"{epoch}-2") if one[0] == "rows")
        _, _, other = next(one for one in messages(service, "00000000-2") if one[0] == "rows")

    assert late["missed"]["lost"] == 5
    assert [row["seq"] for row in late["rows"]] == [8, 9, 10, 11, 12]
    assert other["missed"]["lost"] is None and "began again" in other["missed"]["reason"]


def test_a_slow_reader_is_cut_off_and_harms_neither_clients_nor_other_readers(tmp_path: Path) -> None:
    with Served(tmp_path, workers=1, console=CONSOLE) as service, socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(service.admin_address)
        slow.sendall(f"GET {STREAM}?columns={COLUMNS} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        assert slow.recv(15) == b"HTTP/1.1 200 OK"  # It reads no more than that.
        quick = messages(service)
        eventually(lambda: next(quick)[2]["viewers"] == 2)
        statuses = {send(service.address, LARGE)[0] for _ in range(BATCHES)}
        assert send(service.address, GOOD, headers={"X-Penstock-Test": "good"})[0] == 201
        rows = missed = 0
        viewers = 2
        while rows < BATCHES * len(LARGE) + 1 or viewers > 1:
            event, _, content = next(quick)
            if event == "rows":
                rows += len(content["rows"])
                missed += (content["missed"] or {}).get("lost", 0)
            else:
                viewers = content["viewers"]

    assert statuses == {400}
    assert (rows, missed) == (BATCHES * len(LARGE) + 1, 0)
