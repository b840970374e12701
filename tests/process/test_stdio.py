"""Nobody who reads, or does not read, standard output and error of the service can stop it.

A pipe holds 64 KiB on Linux (pipe(7)); whoever writes to a full one waits. Here it is full before the service begins.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, Self

import pytest

from tests.harness.running import ROOT, children_of, eventually, is_alive, name_of

EVENT = json.dumps({"$schema": "/app/tick/1.0.0", "meta": {"stream": "app.tick.web"}, "count": 1})
NOWHERE = "/dev/null"

Stream = IO[bytes] | int | None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Unread:
    """The embedded default, whose log no file of ours has: it is asked over HTTP how it is."""

    def __init__(
        self, directory: Path, out: Stream, error: Stream, closed: str = "", module: str = "server", **settings: Any
    ) -> None:
        """``closed``: redirections of a shell, such as ``2>&-``."""
        self.address = ("127.0.0.1", free_port())
        self.admin = ("127.0.0.1", free_port())
        listen = [f'http.listen=["127.0.0.1:{self.address[1]}"]', f"admin.listen=127.0.0.1:{self.admin[1]}"]
        wanted = [*listen, "workers=2", "drain_s=5", "process.beat_s=0.1", *(f"{k}={v}" for k, v in settings.items())]
        overrides = [part for text in wanted for part in ("--set", text)]
        command = [sys.executable, "-m", module, "serve", *overrides]
        self.process = subprocess.Popen(
            ["/bin/sh", "-c", f'exec "$@" {closed}', "sh", *command],
            cwd=directory,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=error,
        )

    def __enter__(self) -> Self:
        try:
            eventually(self.is_ready)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        left = self.workers()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(30)
        for pid in left:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)

    def workers(self) -> set[int]:
        return {pid for pid in children_of(self.process.pid) if name_of(pid) == "penstock:worker"}

    def asked(self, address: tuple[str, int], method: str, path: str, body: str | None = None) -> tuple[int, str]:
        connection = http.client.HTTPConnection(*address, timeout=60)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.process.returncode
        try:
            return self.asked(self.address, "GET", "/readyz")[0] == 200 and len(self.workers()) == 2
        except OSError:
            return False

    def takes(self) -> bool:
        return self.asked(self.address, "POST", "/v1/events", EVENT)[0] == 201

    def metric(self, name: str) -> float:
        found = re.search(rf"^{name} ([\d.e+]+)$", self.asked(self.admin, "GET", "/metrics")[1], re.MULTILINE)
        assert found is not None, name
        return float(found[1])

    def reload(self) -> None:
        """New workers, whatever has changed."""
        before = self.workers()
        self.process.send_signal(signal.SIGHUP)
        eventually(lambda: len(now := self.workers()) == 2 and now.isdisjoint(before))

    def lives_and_stops(self) -> None:
        """Events are taken, workers replaced, and TERM ends it all in order."""
        assert self.takes()
        killed = min(self.workers())
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: len(now := self.workers()) == 2 and killed not in now)
        assert self.takes()
        self.reload()
        assert self.takes()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0


@contextmanager
def full_pipe() -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Both ends; nothing more can be written."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", buffering=0) as out, os.fdopen(writer, "wb", buffering=0) as into:
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        os.set_blocking(writer, False)
        while into.write(b"-" * 512) is not None:
            continue
        os.set_blocking(writer, True)
        yield out, into


@contextmanager
def pipe_without_reader() -> Iterator[IO[bytes]]:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb", buffering=0) as into:
        yield into


@contextmanager
def full_socket() -> Iterator[IO[bytes]]:
    """As systemd gives: its journal reads a stream socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs, theirs.makefile("wb", buffering=0) as into:
        theirs.setblocking(False)
        while True:
            try:
                theirs.send(b"-" * 512)
            except BlockingIOError:
                break
        theirs.setblocking(True)
        yield into  # type: ignore[misc]


@contextmanager
def full_terminal() -> Iterator[IO[bytes]]:
    """As after Ctrl-S."""
    reader, writer = os.openpty()
    with os.fdopen(reader, "rb", buffering=0), os.fdopen(writer, "wb", buffering=0) as into:
        os.set_blocking(writer, False)
        while into.write(b"-" * 512) is not None:
            continue
        os.set_blocking(writer, True)
        yield into


@contextmanager
def full_disk() -> Iterator[IO[bytes]]:
    with open("/dev/full", "wb", buffering=0) as into:
        yield into


@contextmanager
def full() -> Iterator[IO[bytes]]:
    with full_pipe() as (_, into):
        yield into


@pytest.mark.parametrize("which", ["output", "error", "both"])
@pytest.mark.parametrize(
    "kind", [full, pipe_without_reader, full_socket, full_terminal, full_disk], ids=lambda kind: kind.__name__
)
def test_a_stream_that_takes_nothing_stops_neither_workers_nor_the_master(
    kind: Any, which: str, tmp_path: Path
) -> None:
    with kind() as into, open(NOWHERE, "wb") as nowhere:
        out = into if which != "error" else nowhere
        error = into if which != "output" else nowhere
        with Unread(tmp_path, out, error) as service:
            service.lives_and_stops()


@pytest.mark.parametrize("closed", ["2>&-", ">&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_at_the_start_is_the_null_device(closed: str, tmp_path: Path) -> None:
    """Not the next file or socket that is opened, which would get what is written there."""
    with open(NOWHERE, "wb") as nowhere, Unread(tmp_path, nowhere, nowhere, closed) as service:
        for pid in {service.process.pid, *service.workers()}:
            assert {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in (0, 1, 2)} == {NOWHERE}
        service.lives_and_stops()


def test_what_nobody_took_of_the_log_is_counted_and_said_when_it_goes_on(tmp_path: Path) -> None:
    with ExitStack() as stack:
        reader, into = stack.enter_context(full_pipe())
        service = stack.enter_context(Unread(tmp_path, subprocess.DEVNULL, into, module="tests.process.impatient"))
        while not service.metric("penstock_log_lines_dropped_total"):
            service.reload()
        os.set_blocking(reader.fileno(), False)
        said = b""

        def says() -> bool:
            nonlocal said
            said += reader.read(65_536) or b""
            return b"lines of the log were dropped: standard error or output was not read for a while" in said

        eventually(says)
        service.process.send_signal(signal.SIGTERM)
        eventually(lambda: says() and service.process.poll() is not None)

    assert service.process.returncode == 0
    assert b"settings" in said  # The oldest lines were kept.
    lines = said.lstrip(b"-").splitlines()
    assert all(json.loads(line)["message"] for line in lines if line)


def test_a_worker_that_stands_still_is_killed_though_nobody_reads_the_log(tmp_path: Path) -> None:
    # Long enough that a busy machine does not keep the other workers from their beat for as long.
    late: dict[str, Any] = {"process.late_s": 4, "process.abort_s": 1}
    with full_pipe() as (_, into), open(NOWHERE, "wb") as nowhere, Unread(tmp_path, nowhere, into, **late) as service:
        # A worker that still boots has more time.
        eventually(lambda: service.metric(r'penstock_workers\{state="ready"\}') == 2)
        stuck = min(service.workers())
        os.kill(stuck, signal.SIGSTOP)
        eventually(lambda: stuck not in service.workers() and service.is_ready())

        service.lives_and_stops()


def test_a_terminal_or_pipe_that_others_have_too_is_not_changed(tmp_path: Path) -> None:
    """O_NONBLOCK belongs to the open file, which a shell and the rest of a pipeline share: fcntl(2)."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb"), os.fdopen(writer, "wb") as into, Unread(tmp_path, into, into) as service:
        assert service.takes()
        assert os.get_blocking(into.fileno())


def test_settings_that_cannot_be_used_end_the_start_though_nobody_reads_why(tmp_path: Path) -> None:
    with full_pipe() as (_, into):
        command = [sys.executable, "-m", "server", "serve", "--set", "drain_s=never"]
        done = subprocess.run(command, cwd=ROOT, stdout=into, stderr=into, stdin=subprocess.DEVNULL, timeout=60)

    assert done.returncode == 3
