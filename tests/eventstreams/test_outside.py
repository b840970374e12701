"""What clients do to the real program from outside: they vanish without a word, or come and go by the hundred."""

from __future__ import annotations

import ctypes
import re
import socket
import struct
from pathlib import Path

import pytest

from tests.harness.running import PATIENCE_S, eventually
from tests.harness.streaming import Intake, Streams

PATH = "/v2/stream/web.page_view"
SO_ATTACH_FILTER = 26  # socket(7); the module socket has no name for it.
DROP_ALL = struct.pack("HBBI", 0x06, 0, 0, 0)  # BPF_RET | BPF_K: accept nothing.
STORM = 200


def ask(streams: Streams, query: str = "") -> socket.socket:
    """Ask for a stream, and return at once."""
    client = socket.create_connection(streams.address, timeout=PATIENCE_S)
    client.sendall(f"GET {PATH}{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return client


def status_of(client: socket.socket) -> int:
    return int(client.recv(65_536).split(b" ", 2)[1])


def become_deaf(client: socket.socket) -> None:
    """Let the kernel drop every segment that comes for this socket, so that the other side sees a peer that is gone."""
    program = ctypes.create_string_buffer(DROP_ALL)
    client.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(program)))


def reset(client: socket.socket) -> None:
    """Close with a reset instead of an end."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def gauge(streams: Streams, name: str) -> float:
    text = streams.get("/metrics", is_admin=True)[1].decode()
    return sum(float(found) for found in re.findall(rf"(?m)^{name}(?:{{.*}})? (\S+)$", text))


def are_admitted(streams: Streams, count: int) -> bool:
    """Whether so many clients get a stream at the same time."""
    clients = [ask(streams) for _ in range(count)]
    statuses = {status_of(client) for client in clients}
    for client in clients:
        client.close()
    return statuses == {200}


@pytest.mark.parametrize("is_quiet", [True, False])
def test_a_peer_that_is_gone_without_a_word_is_ended(is_quiet: bool, tmp_path: Path) -> None:
    """Neither writing to it nor waiting for it would notice that."""
    own = {"peer_timeout_s": 4.0, "keepalive_s": 3600.0}
    with Intake(tmp_path) as intake, Streams(tmp_path, own) as streams:
        client = ask(streams)
        with client, streams.open(PATH).opened() as other:
            assert status_of(client) == 200
            become_deaf(client)
            if not is_quiet:
                intake.post("/1")
                assert other.pages(1) == ["/1"]
            eventually(lambda: "a stream has ended (timeout)" in streams.log(), or_show=streams.log)
            intake.post("/2")

            assert other.pages(1) == ["/2"]
            assert streams.log().count("a stream has ended") == 1
            streams.until(lambda: gauge(streams, "penstock_eventstreams_clients") == 1)


def test_a_storm_of_connects_is_limited_and_leaves_nothing_behind(tmp_path: Path) -> None:
    own = {"limits": {"max_clients_per_address": 20}}
    with Intake(tmp_path) as intake, Streams(tmp_path, own) as streams, streams.open(PATH).opened() as steady:
        clients = [ask(streams) for _ in range(STORM)]
        statuses = [status_of(client) for client in clients]
        assert (statuses.count(200), statuses.count(429)) == (19, STORM - 19)
        intake.post("/during")
        assert steady.pages(1) == ["/during"]
        for client in clients:
            reset(client)
        streams.until(lambda: gauge(streams, "penstock_eventstreams_clients") == 1)

        streams.until(lambda: are_admitted(streams, 19))


def test_clients_that_vanish_before_their_answer_leave_nothing_behind(tmp_path: Path) -> None:
    """They ask, and are gone: while the position is looked up, while the head is read, or before they say anything."""
    own = {"limits": {"max_clients_per_address": STORM}}
    with Intake(tmp_path) as intake, Streams(tmp_path, own) as streams, streams.open(PATH).opened() as steady:
        for number in range(STORM):
            if number % 3 == 0:
                reset(ask(streams, "?since=earliest"))
                continue
            client = socket.create_connection(streams.address, timeout=PATIENCE_S)
            if number % 3 == 1:
                client.sendall(b"GET " + PATH.encode())
            reset(client)
        intake.post("/after")
        assert steady.pages(1) == ["/after"]
        streams.until(lambda: gauge(streams, "penstock_eventstreams_clients") == 1)

        streams.until(lambda: are_admitted(streams, STORM - 1))
        assert "internal error" not in streams.log()
