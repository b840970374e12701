"""Send cases to a served instance: nobody dies, every request has its answer, and no callback holds the loop for long.

Place: __main__ runs it by the clock; test_routes runs a few by count.
Rules: one case at a time, so that a long callback is of the case that was sent; between two of them another connection
must be answered. A client that reads must be answered for each whole request, or be told that the connection ends. A
case with a callback beyond the bound is sent AGAIN times more: what the machine took comes once, what the server takes
comes each time, and the least counts.
Not here: what is sent (cases), how callbacks are measured (metered).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.fuzz import cases
from tests.fuzz.metered import SLOW_FILE
from tests.harness.served import Served

MAX_CALLBACK_MS = 20.0
AGAIN = 4
ANSWER_S = 30.0
MAX_FAILURES = 20
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [A-Z0-9]")
PING = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"


class Slow(NamedTuple):
    """A callback that took long, and the case during which it was called. ``ms`` are of CPU, and ``gc_ms`` among them;
    ``switches`` were forced on the thread. ``least_ms``: of all times that the case was sent."""

    ms: float
    what: str
    number: int
    clock_ms: float = 0.0
    gc_ms: float = 0.0
    switches: int = 0
    least_ms: float = float("inf")

    def __str__(self) -> str:
        text = (
            f"case {self.number}: {self.what} took {self.ms:g} ms of CPU, {self.clock_ms:g} by the clock "
            f"({self.gc_ms:g} ms of garbage collection, {self.switches} forced switches)"
        )
        return text if self.least_ms >= self.ms else f"{text}; sent again, {self.least_ms:g} ms"


class Found:
    """What a run has seen. ``slow``: the longest callback of each name."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.slow: dict[str, Slow] = {}
        self.beyond: list[Slow] = []
        self.statuses: Counter[bytes] = Counter()
        self.after = 0

    def note(self, slow: Slow) -> None:
        """A callback took long."""
        if slow.ms > self.slow.get(slow.what, slow).ms or slow.what not in self.slow:
            self.slow[slow.what] = slow

    def too_slow(self) -> list[Slow]:
        """Callbacks that held the loop for longer than they may, each time."""
        return [slow for slow in self.beyond if slow.least_ms > MAX_CALLBACK_MS]

    def longest(self) -> list[Slow]:
        """The longest first."""
        return sorted(self.slow.values(), reverse=True)


class _Metered(Served):
    module = "tests.fuzz.metered"


class Client:
    """Sends cases to one instance, and watches it."""

    def __init__(self, service: Served, slow_file: Path) -> None:
        self._service = service
        self._pids = service.workers()
        self._slow = slow_file.open("rb")
        self._slow.seek(0, os.SEEK_END)  # What starting took is nobody's.
        self._ping = socket.create_connection(service.address, timeout=ANSWER_S)

    def run(self, first: int, is_over: Callable[[int], bool]) -> Found:
        """Send the cases from number ``first`` on, until ``is_over`` of the next one."""
        found, number = Found(), first
        while not is_over(number) and len(found.failures) < MAX_FAILURES:
            for slow in self._once(number, found).values():
                found.note(slow)
                if slow.ms > MAX_CALLBACK_MS:
                    found.beyond.append(self._again(slow, found))
            number += 1
            if (number % 50 == 0 or found.failures) and (gone := self._pids - self._service.workers()):
                found.failures.append(f"cases up to {number}: workers died: {gone}")
                self._pids = self._service.until(self._service.workers)
        found.after = number
        if "Traceback" in (log := self._service.log()):
            found.failures.append(f"a traceback in the log: {log[log.index('Traceback') :][:2_000]}")
        return found

    def _once(self, number: int, found: Found) -> dict[str, Slow]:
        """Send a case. Its slow callbacks, the longest of each name."""
        try:
            self._send(cases.made(number), found)
            self._ask_ping()
        except (AssertionError, OSError) as error:
            found.failures.append(f"case {number}: {type(error).__name__}: {error}")
            self._reconnect()
        slow: dict[str, Slow] = {}
        for line in self._slow.readlines():
            said = json.loads(line)
            if said.pop("pid") in self._pids:
                one = Slow(number=number, **said)
                slow[one.what] = max(one, slow.get(one.what, one))
        return slow

    def _again(self, slow: Slow, found: Found) -> Slow:
        """Send its case again, to tell the server's doing from the machine's."""
        times = [self._once(slow.number, found).get(slow.what) for _ in range(AGAIN)]
        return slow._replace(least_ms=min(slow.ms, *(one.ms if one is not None else 0.0 for one in times)))

    def _send(self, case: cases.Case, found: Found) -> None:
        with socket.create_connection(self._service.address, timeout=ANSWER_S) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if case.end.startswith("reset"):  # Closing sends RST.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            answered = bytearray()
            is_cut_off = False
            try:
                for piece in case.pieces:
                    client.sendall(piece)
                if case.end not in ("read", "half-close"):
                    return
                client.shutdown(socket.SHUT_WR)
                while received := client.recv(1 << 20):
                    answered += received
            except ConnectionError:  # It was refused, and went on sending.
                is_cut_off = True
            self._judge(case, bytes(answered), found, is_cut_off=is_cut_off)

    @staticmethod
    def _judge(case: cases.Case, answered: bytes, found: Found, *, is_cut_off: bool) -> None:
        """``answered`` is all that came; half-closing ends the connection behind its last answer."""
        statuses = _STATUS.findall(answered)
        found.statuses.update(statuses)
        assert b"500" not in statuses, answered[:1_000]
        if is_cut_off or not case.answers:
            return
        assert statuses, "no answer"
        if len(statuses) < case.answers:
            last = answered[answered.rindex(b"HTTP/1.1 " + statuses[-1]) :]
            assert b"\r\nConnection: close" in last, f"{len(statuses)} answers of {case.answers}"

    def _ask_ping(self) -> None:
        self._ping.sendall(PING)
        assert self._ping.recv(65_536).startswith(b"HTTP/1.1 200"), "another client is not answered"

    def _reconnect(self) -> None:
        self._ping.close()
        self._ping = socket.create_connection(self._service.address, timeout=ANSWER_S)

    def close(self) -> None:
        """Let go of it."""
        self._ping.close()
        self._slow.close()


@contextlib.contextmanager
def client(directory: Path) -> Iterator[Client]:
    """A client of an instance of its own, whose callbacks are measured. ``directory`` is the caller's, and empty."""
    slow_file = directory / "slow"
    slow_file.touch()
    os.environ[SLOW_FILE] = str(slow_file)
    cors = {"origins": ["https://*.a.example"], "credentials": True}
    http = {"listen": ["127.0.0.1:0"], "cors": cors, "trusted_proxies": ["127.0.0.0/8"]}
    intake = {"test_events": [cases.EVENT]}
    try:
        with _Metered(directory, workers=1, http=http, intake=intake, sink={"kind": "memory"}) as service:
            one = Client(service, slow_file)
            try:
                yield one
            finally:
                one.close()
    finally:
        del os.environ[SLOW_FILE]
