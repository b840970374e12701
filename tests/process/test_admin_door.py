"""The admin address of a real service: which hosts it answers for, and how long it waits for anybody."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.admin.door import MAX_CONNECTIONS
from tests.harness.running import PATIENCE_S, eventually, name_of
from tests.harness.served import Served
from tests.process.scraped import ask_admin

SHORT_S = 0.3
HALVES = {
    "nothing": b"",
    "half a head": b"GET /status HTTP/1.1\r\nHost: localhost\r\n",
    "half a body": b"PUT /log-level HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nerr",
    "half a chunk": b"PUT /log-level HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nf\r\nerr",
    "a request and half another": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /st",
    "a request and nothing": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    limits = {"head_s": SHORT_S, "idle_s": SHORT_S, "answer_s": SHORT_S, "body_stall_s": SHORT_S}
    settings: dict[str, Any] = {
        "workers": 1,
        "http": {"listen": ["127.0.0.1:0"], "limits": limits},
        "admin": {"listen": "127.0.0.1:0", "hosts": ["ops.a.example"]},
    }
    with Served(tmp_path_factory.mktemp("door"), **settings) as service:
        yield service


def ask(service: Served, sent: bytes) -> bytes:
    """Everything that is answered until the connection is closed, or reset."""
    with socket.create_connection(service.admin_address, timeout=PATIENCE_S) as client:
        client.sendall(sent)
        return rest_of(client)


def rest_of(client: socket.socket) -> bytes:
    answered = b""
    with contextlib.suppress(ConnectionError):
        while received := client.recv(65_536):
            answered += received
    return answered


@pytest.mark.parametrize("path", ["/", "/status", "/stacks", "/metrics", "/log-level", "/healthz", "/nothing"])
def test_a_page_whose_name_leads_here_reads_nothing(service: Served, path: str) -> None:
    """DNS rebinding: its browser takes `evil.example:8193` and the page for one site, and sends that name as Host."""
    head, _, body = ask(
        service, b"GET %b HTTP/1.1\r\nHost: evil.example:8193\r\nConnection: close\r\n\r\n" % path.encode()
    ).partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 421 ")
    assert "admin.hosts" in json.loads(body)["detail"]


def test_nor_does_it_set_the_level_of_the_log(service: Served) -> None:
    head = b"PUT /log-level HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 5\r\nConnection: close\r\n\r\n"

    assert ask(service, head + b"debug").startswith(b"HTTP/1.1 421 ")
    assert json.loads(ask_admin(service, "/log-level")[2])["level"] == "info"


@pytest.mark.parametrize("host", [b"127.0.0.1:8193", b"[::1]", b"localhost", b"ops.a.example", b"penstock:8193", None])
def test_its_own_names_are_answered(service: Served, host: bytes | None) -> None:
    request = (
        b"GET /healthz HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % host
        if host
        else b"GET /healthz HTTP/1.0\r\n\r\n"
    )

    assert b" 200 " in ask(service, request).partition(b"\r\n")[0]


@pytest.mark.parametrize("half", HALVES)
def test_nobody_is_waited_for_without_end(service: Served, half: str) -> None:
    answered = ask(service, HALVES[half])  # Which returns when the connection has ended.

    assert answered.count(b"HTTP/1.1 200") == half.startswith("a request")


def test_half_requests_take_no_place_from_others(tmp_path: Path) -> None:
    http = {"listen": ["127.0.0.1:0"], "limits": {"head_s": 600}}
    with Served(tmp_path, workers=1, http=http) as service, contextlib.ExitStack() as clients:
        for _ in range(MAX_CONNECTIONS + 150):
            client = clients.enter_context(socket.create_connection(service.admin_address, timeout=PATIENCE_S))
            client.sendall(HALVES["half a head"])
        assert ask_admin(service, "/healthz")[0] == 200
        (admin,) = [pid for pid in service.children() if name_of(pid) == "penstock:admin"]
        eventually(lambda: len(list(Path(f"/proc/{admin}/fd").iterdir())) < MAX_CONNECTIONS + 64)


def test_clients_that_leave_are_not_lines_of_the_log(service: Served) -> None:
    """A line with a stack and an address was written for each."""
    asked = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n\r\n"
    for _ in range(50):
        with socket.create_connection(service.admin_address, timeout=PATIENCE_S) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.sendall(asked * 5)
    answered = ask(service, asked + b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")

    assert answered.count(b"200 OK") == 2
    assert "Traceback" not in service.log()
    assert "Error handling request" not in service.log()


@pytest.mark.parametrize("body", [b"debug", b"\x1f\x8b\x08nonsense"])
def test_a_level_is_not_taken_compressed(service: Served, body: bytes) -> None:
    head = b"PUT /log-level HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\nConnection: close\r\n"
    answered = ask(service, b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body))

    assert b" 415 " in answered.partition(b"\r\n")[0]
    assert "Traceback" not in service.log()
