"""Whoever goes away before they have read what was written to them ends no process of the service.

uvloop writes to sockets without MSG_NOSIGNAL, and so does OpenSSL for librdkafka: with the default action of SIGPIPE
(signal(7)) one such client ends a worker, and 20 of them the service. The process of the tests ignores the signal, as
every Python process does at first, so only a served one shows it.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness import site as behaviours
from tests.harness.running import ROOT, name_of
from tests.harness.served import Served
from tests.harness.site import Site
from tests.process.fetched import TICK, settings
from tests.process.scraped import Scrape

EVENT = json.dumps({"$schema": "/app/tick/1.0.0", "meta": {"stream": "app.tick.web"}, "count": 1}).encode()
RESET = struct.pack("ii", 1, 0)  # SO_LINGER with no time: close() sends RST, and the next write meets EPIPE.


def post(body: bytes, *lines: str, path: str = "/v1/events") -> bytes:
    head = [
        f"POST {path} HTTP/1.1",
        "Host: x",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *lines,
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


GET = b"GET /v1/streamconfigs?all_settings=true HTTP/1.1\r\nHost: x\r\n\r\n"
INVALID = b"[" + b",".join([b'{"$schema":"/app/tick/1.0.0","meta":{"stream":"app.tick.web"},"count":"x"}'] * 500) + b"]"

# What is sent before the client closes without reading.
HASTES = {
    "two pipelined requests": post(EVENT) * 2,
    "many pipelined requests": GET * 200,
    "100-continue with its body at once": post(EVENT, "Expect: 100-continue") * 2,
    "a large refusal": post(INVALID) + post(EVENT),
    "hasty events": post(EVENT, path="/v1/events?hasty=true") * 20,
    "no HTTP at all": b"\x16\x03\x01" + bytes(2000),
}


def close_without_reading(address: tuple[str, int], sent: bytes, *, is_reset: bool) -> None:
    with socket.create_connection(address, timeout=30) as client:
        if is_reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.sendall(sent)


def accepted(service: Served) -> int:
    connection = http.client.HTTPConnection(*service.address, timeout=60)
    connection.request("POST", "/v1/events", EVENT, {"Content-Type": "application/json"})
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("served")) as served:
        yield served


@pytest.mark.parametrize("haste", HASTES)
@pytest.mark.parametrize("is_reset", [False, True], ids=["closed", "reset"])
def test_a_client_that_closes_without_reading_ends_no_worker(service: Served, haste: str, is_reset: bool) -> None:
    before = service.workers()
    for _ in range(30):  # More deaths than the master puts up with.
        close_without_reading(service.address, HASTES[haste], is_reset=is_reset)

    assert accepted(service) == 201
    assert service.workers() == before
    assert "died" not in service.log()
    assert Scrape.of(service).value("penstock_task_failures_total") == 0
    assert Scrape.of(service).value("penstock_internal_errors_total") == 0


def ignores_broken_pipes(pid: int) -> bool:
    """Of every thread, those of librdkafka included: the action belongs to the process (signal(7))."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):  # It has drained meanwhile.
        return True
    (ignored,) = (int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigIgn:"))
    return bool(ignored >> (signal.SIGPIPE - 1) & 1)


def test_every_process_ignores_broken_pipes_also_those_that_follow(tmp_path: Path) -> None:
    """The master, workers, fetcher and admin process; those of HUP, of TTIN, and after a death."""
    with Site() as site:
        site.says("/api", behaviours.streams(**{"app.one": TICK}))
        with Served(tmp_path, **settings(site, sink={"kind": "memory"})) as service:

            def look(names: set[str]) -> None:
                service.until(lambda: {name_of(pid) for pid in service.children()} >= names)
                service.until(lambda: all(ignores_broken_pipes(pid) for pid in {service.pid, *service.children()}))

            names = {"penstock:worker", "penstock:fetche", "penstock:admin"}
            look(names)
            count = len(service.workers())
            service.signal(signal.SIGTTIN)
            service.until(lambda: len(service.workers()) == count + 1)
            look(names)
            killed = min(service.workers())
            os.kill(killed, signal.SIGKILL)
            service.until(lambda: killed not in service.workers() and len(service.workers()) == count + 1)
            look(names)
            service.write(**settings(site, sink={"kind": "memory"}, drain_s=4.0))
            service.reload()
            look(names)


COMMANDS = [
    ["--help"],
    ["check"],
    ["streams"],
    ["streams", "--json"],
    ["size", "--events-per-s", "1000", "--bytes", "500"],
    ["key", "somebody"],
    ["events"],
    ["import-eventgate", "deploy/config/none.yaml"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("whose", ["output", "both"])
def test_a_command_whose_reader_has_gone_ends_quietly(command: list[str], whose: str, tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    arguments = [sys.executable, "-m", "server", *command]
    error = subprocess.PIPE if whose == "output" else writer
    done = subprocess.run(arguments, cwd=ROOT, stdout=writer, stderr=error, stdin=subprocess.DEVNULL, timeout=60)
    os.close(writer)

    said = done.stderr or b""
    assert b"Traceback" not in said and b"Exception ignored" not in said
    assert done.returncode in (0, 1, 2, 3)  # Its own exit code: no signal, not Python's 120.


def test_a_command_says_that_its_output_has_no_room() -> None:
    arguments = [sys.executable, "-m", "server", "streams"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(arguments, cwd=ROOT, stdout=full, stderr=subprocess.PIPE, timeout=60)

    assert (done.returncode, done.stderr) == (
        1,
        b"penstock: standard output cannot be written: No space left on device\n",
    )
