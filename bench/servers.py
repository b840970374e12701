"""Start the measured servers, each in its own process on its own core, and stop them again.

Place: the benches → HERE → the intake, the mock cluster; peers.start uses it for the others.
Rule: a process that was started here is stopped here, by its pid; none outlives the bench.
Not here: load, and what is done with the figures.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.events import ROOT, Workload

START_S = 60.0  # It takes one; on a machine that others use as well it took more than twenty.
STOP_S = 8.0

_cores = sorted(os.sched_getaffinity(0))
SERVER_CORES = {_cores[0]}
LOAD_CORES = {_cores[1]} if len(_cores) > 1 else {_cores[0]}
ALL_CORES = set(_cores)  # For a server whose master works while its workers serve.


class Child:
    """A process of ours: pinned, with its standard error in a file, stopped on leaving the ``with``.

    ``arguments`` are those of ``python -m``; with ``program`` they are that program's. ``tree`` is where it runs, and
    so which checkout's packages ``python -m`` finds.
    """

    def __init__(
        self,
        name: str,
        arguments: Sequence[str],
        cores: set[int],
        directory: Path,
        *,
        program: str = "",
        tree: Path = ROOT,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._log = directory / f"{name}.log"
        command = [program, *arguments] if program else [sys.executable, "-m", *arguments]
        given = os.environ | dict(environment or {})
        pipe, before = subprocess.PIPE, os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores)  # A child inherits it, and so do its threads, however early they are made.
        try:
            with self._log.open("wb") as log:
                self.process = subprocess.Popen(command, cwd=tree, env=given, stdin=pipe, stdout=pipe, stderr=log)
        finally:
            os.sched_setaffinity(0, before)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def pid(self) -> int:
        """Of the process that was started; its children are found by measure.tree."""
        return self.process.pid

    def line(self) -> str:
        """The next line of its standard output."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().decode().strip()

    def wait_for(self, port: int) -> None:
        """Return when it answers /readyz with 2xx. Raises RuntimeError with the end of its log."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            if _is_ready(port):
                return
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} did not start:\n{self._log.read_text(errors='replace')[-2000:]}")


def _is_ready(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: bench.example\r\nConnection: close\r\n\r\n")
            return connection.recv(64).startswith(b"HTTP/1.1 2")
    except OSError:
        return False


def free_port() -> int:
    """Return a loopback port that no process listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def mock_cluster(directory: Path) -> Child:
    """Three brokers; ``line()`` tells their addresses."""
    return Child("mock-cluster", ["bench.mock_cluster"], LOAD_CORES, directory)


PROPERTIES = "linger.ms: 5"  # As all servers of a comparison have it.
SETTINGS = """\
workers: {workers}
drain_s: 5
http: {{listen: ["127.0.0.1:{port}"]}}
schemas: {{base_uris: ["{work.base_uri}"]}}
streams: {{sources: ["{work.streams}"]}}
sink: {{kind: kafka, kafka: {{"bootstrap.servers": "{brokers}", compression.codec: none, {properties}}}}}
spool: {{path: "{directory}/spool-{name}"}}
log: {{level: warning}}
"""


def intake(
    port: int,
    brokers: str,
    work: Workload,
    directory: Path,
    *,
    name: str = "intake",
    tree: Path = ROOT,
    workers: int = 1,
    module: str = "server",
    more: str = 'admin: {listen: "127.0.0.1:0"}\n',
    is_pure: bool = False,
    properties: str = PROPERTIES,
) -> Child:
    """Ours, as it is served: a master and its workers, all on one core. ``tree``: of another checkout. ``more``:
    lines of its settings, with the admin address. ``is_pure``: its hot path is interpreted in any case.
    ``properties``: of its producers."""
    file = directory / f"{name}.yaml"
    text = SETTINGS.format(
        port=port, work=work, brokers=brokers, workers=workers, directory=directory, name=name, properties=properties
    )
    file.write_text(text + more, encoding="utf-8")
    environment = {"PENSTOCK_PURE": "1"} if is_pure else {}
    return Child(name, [module, "serve", "-c", str(file)], SERVER_CORES, directory, tree=tree, environment=environment)


def undurable(port: int, brokers: str, work: Workload, directory: Path) -> Child:
    """Ours without what keeps events."""
    return intake(port, brokers, work, directory, name="undurable", module="bench.peers.undurable")
