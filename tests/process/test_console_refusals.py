"""The interface of the console and its commands refuse nonsense, and say what is wrong."""

from __future__ import annotations

import gzip
import json
import random
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.consoled import CONSOLE, client_of, send
from tests.harness.running import PATIENCE_S, ROOT
from tests.harness.served import Served

API = "/console/api/v1"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("console"), workers=1, console=CONSOLE) as service:
        client_of(service).ask("POST", "/sessions", {"id": "one"})
        yield service


BODIES: dict[str, tuple[str, str, Any]] = {
    "a negative count": ("POST", "/expect", {"at_least": -1}),
    "a negative time": ("POST", "/expect", {"within_ms": -5}),
    "a time that is too long": ("POST", "/expect", {"within_ms": 120_001}),
    "a time of rest that is too long": ("POST", "/expect", {"exactly": 0, "settle_ms": 10**9}),
    "counts that contradict": ("POST", "/expect", {"at_least": 3, "at_most": 2}),
    "two exact counts": ("POST", "/expect", {"exactly": 1, "at_least": 5}),
    "a number before all rows": ("POST", "/expect", {"after": -1}),
    "no id": ("POST", "/expect", {"session": "../x"}),
    "too many steps": ("POST", "/expect", {"order": ["stream:a"] * 101}),
    "a step that is no filter": ("POST", "/expect", {"order": ["stream:a", "("]}),
    "another member": ("POST", "/expect", {"most": 2}),
    "deep nesting": ("POST", "/expect", b'{"example":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001),
    "no JSON": ("POST", "/expect", b"x"),
    "null": ("POST", "/expect", b"null"),
    "UTF-16": ("POST", "/expect", "{}".encode("utf-16")),
    "a session that has ended": ("POST", "/sessions", {"ttl_s": 0}),
    "a session with room for less than nothing": ("POST", "/sessions", {"max_bytes": -1}),
    "a session of markup": ("POST", "/sessions", {"id": "<script>"}),
    "chaos without end": ("PUT", "/sessions/one/chaos", {"rules": [{"kind": "delay", "delay_ms": 10**12}]}),
    "chaos for ever": ("PUT", "/sessions/one/chaos", {"rules": [{"kind": "delay", "times": 2**64}]}),
    "chaos that succeeds": ("PUT", "/sessions/one/chaos", {"rules": [{"kind": "status", "status": 200}]}),
    "chaos of a share": ("PUT", "/sessions/one/chaos", {"rules": [{"kind": "status", "share": 2}]}),
    "chaos of no event": ("PUT", "/sessions/one/chaos", {"rules": [{"kind": "partial", "indexes": [-1]}]}),
}  # fmt: skip
QUERIES = {
    "a filter of other bytes": "/events?where=%FF%FE",
    "a session of other bytes": "/events?session=%00",
    "a session of markup": "/coverage?session=<script>",
    "a number below nothing": "/events?after=-5",
    "a limit that is none": "/events?limit=1e9",
    "a filter that is too deep": "/events?where=" + "(" * 1_999,
    "a filter that is too long": "/events?where=" + "a" * 2_001,
    "columns that are none": "/stream?columns=((",
    "a time that is none": "/summary?after=x",
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_of_nonsense_is_refused(service: Served, name: str) -> None:
    method, path, body = BODIES[name]

    status, answer, _ = send(service.admin_address, body, API + path, method)

    assert status == 400, answer
    assert json.loads(answer)["detail"]


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_of_nonsense_is_refused(service: Served, name: str) -> None:
    status, answer, _ = send(service.admin_address, None, API + QUERIES[name], "GET")

    assert status == 400, answer
    assert json.loads(answer)["detail"]


def test_micro_refuses_a_limit_that_is_none(service: Served) -> None:
    assert send(service.admin_address, {"limit": "a"}, "/console/micro/good")[0] == 400
    assert send(service.admin_address, {"limit": 1, "event_type": "x"}, "/console/micro/good")[0] == 200


def test_a_body_that_is_not_what_its_head_says_is_refused(service: Served) -> None:
    headers = {"Content-Encoding": "gzip"}
    bomb = gzip.compress(b" " * 50_000_000)

    assert send(service.admin_address, b"abcde", f"{API}/expect", headers=headers)[0] == 400
    assert send(service.admin_address, bomb, f"{API}/expect", headers=headers)[0] in (400, 413)


def test_damaged_requests_are_answered_without_a_fault_of_the_service(service: Served) -> None:
    good = b"POST /console/api/v1/%b?where=stream:x&after=1&session=a HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    good += b"Content-Type: application/json\r\nContent-Length: 36\r\nConnection: close\r\n\r\n"
    good += b'{"where":"stream:x","within_ms":5}  '
    chance = random.Random(19)
    statuses = set()
    for number in range(300):
        damaged = bytearray(good % (b"expect", b"events", b"sessions")[number % 3])
        for _ in range(chance.randint(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        with socket.create_connection(service.admin_address, timeout=PATIENCE_S) as connection:
            connection.sendall(damaged)
            # A server that reads the end together with the request gives no answer: it comes only where one waits for
            # more than there is.
            if not select.select([connection], [], [], 0.2)[0]:
                connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(65_536)
        statuses.add(answer[9:12])
        assert answer[9:10] != b"5", (bytes(damaged), answer)

    assert b"400" in statuses
    assert "a request to the admin address failed" not in service.log(), service.log()


COMMANDS: dict[str, tuple[list[str], str]] = {
    "a time": (["expect", "--within", "100x"], "no time"),
    "a count": (["expect", "--at-least=-3"], "no whole number"),
    "a session": (["expect", "--session", "a b"], "no id of a session"),
    "an example": (["expect", "--example", "5"], "write an object"),
    "a fact": (["expect", "--where", "verdict:invald"], "did you mean invalid?"),
    "a share": (["coverage", "--at-least", "500"], "no percentage"),
    "nothing to wait for": (["tail", "--count", "0"], "0 is no number"),
    "another protocol": (["tail", "--console", "ftp://x"], "http://host:port"),
    "a port": (["tail", "--console", "127.0.0.1:99999"], "http://host:port"),
    "a token": (["tail", "--token", "a\nb"], "visible ASCII"),
    "a recorded filter": (["record", "--filter", "(("], "no filter"),
}
RECORDINGS = {
    "no recording": ('{"a": 1}\n', "no line of `penstock record`"),
    "no object": ('{"event": {}}\n[1]\n', ":2: this is no line of"),
    "no JSON": ("x", "no JSON"),
    "nothing": ("\n", "holds no event"),
    "depth": ("[" * 200_000, "no JSON"),
    "no archive": ('{"log": {"entries": [{"request": 5}]}}', "no line of `penstock record`"),
}


def fails(*arguments: str) -> str:
    """Return what a command that cannot be used says."""
    command = [sys.executable, "-m", "server", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)

    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_refuses_nonsense(name: str) -> None:
    arguments, said = COMMANDS[name]

    assert said in fails(*arguments)


@pytest.mark.parametrize("name", RECORDINGS)
def test_replay_refuses_a_file_that_is_no_recording(name: str, tmp_path: Path) -> None:
    text, said = RECORDINGS[name]
    file = tmp_path / "run.ndjson"
    file.write_text(text)

    assert said in fails("replay", str(file))
