"""Run the service under test, ``penstock serve``, in a directory of its own, and harm its processes.

Place: soak.faults, commands.soak → HERE → a process.
Rules: only processes started here are signalled, by pid. The spool is on a small tmpfs where this user may mount one,
so that its disk can be really full; else that fault is left out, and the report says so. With ``has_own_clock`` the
wall clock of our processes is libfaketime's, and can jump as ntpd or an operator makes it jump; the monotonic one stays
correct. This is off unless asked for, because libfaketime stands between librdkafka and its condition variables: a
producer once hung while it was made.
Not here: when which fault comes (soak.faults).
"""

from __future__ import annotations

import asyncio
import glob
import json
import os
import random
import re
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from server.errors import PenstockError, UsageError
from server.shared.ledger import Ledger, Numbers
from soak.log_reader import LogReader

BEAT_S: Final = 0.5
DRAIN_S: Final = 10.0
LATE_S: Final = 5.0  # The service may end so late, because it shares the machine with brokers, clients and faults.
START_S: Final = 40.0
WORKERS: Final = 2
DISK_BYTES: Final = 64 << 20
DESCRIPTORS: Final = 256  # Descriptors of each process: few enough for strangers to use them up.
CLOCK: Final = "/usr/lib/*/faketime/libfaketimeMT.so.1"  # This is its place in Debian's package.


class Kill(Struct):
    """A worker that the soak killed; ``run`` counts the starts of the service from 0."""

    pid: int
    at: float
    run: int


class Service:
    """The service. ``unclean`` lists ends that were not as they should be, ``kills`` the workers killed here."""

    def __init__(
        self, directory: Path, servers: str, port: int, most_in_flight: int, *, has_own_clock: bool = False
    ) -> None:
        self._directory = directory
        self._log = directory / "penstock.log"
        self.spool = directory / "spool"
        self.spool.mkdir()
        self.can_fill_disk = self._mount()
        self._clock = directory / "clock"
        self._environ = self._faked() if has_own_clock else dict(os.environ)
        self.address = ("127.0.0.1", port)
        self.unclean: list[str] = []
        self._settings = directory / "penstock.yaml"
        self._settings.write_text(json.dumps(self._written(servers, port, most_in_flight)))
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: LogReader | None = None
        self._ledgers: list[Ledger] = []
        self.kills: list[Kill] = []
        self._readies = 0

    def _written(self, servers: str, port: int, most_in_flight: int) -> dict[str, Any]:
        examples = Path(__file__).parent.parent / "server" / "examples"
        kafka = {
            "bootstrap.servers": servers,
            "message.timeout.ms": 4000,
            "max.in.flight.requests.per.connection": most_in_flight,
        }
        return {
            "workers": WORKERS,
            "drain_s": DRAIN_S,
            "service_name": "penstock",
            "http": {"listen": [f"127.0.0.1:{port}"]},
            "admin": {"listen": "127.0.0.1:0"},
            "schemas": {"base_uris": [str(examples / "schemas")]},
            "streams": {"sources": [str(examples / "streams.yaml")]},
            "sink": {"kind": "kafka", "kafka": kafka},
            "spool": {"path": str(self.spool), "max_bytes": DISK_BYTES // 2},
            "log": {"style": "text"},
            "process": {"deaths_in_window": 1000, "beat_s": BEAT_S},
        }

    async def start(self) -> None:
        """Start the service, and wait until it serves."""
        process = self._process = self._spawn()
        self._readies += 1
        deadline = time.monotonic() + START_S
        while len(re.findall("ready: generation 1,", self.log())) < self._readies:
            if time.monotonic() > deadline or process.poll() is not None:
                raise PenstockError(f"the service did not start:\n{self.log()[-2000:]}")
            await asyncio.sleep(0.05)
        self._ledgers.append(Ledger.open(process.pid))

    def books(self) -> list[dict[str, Numbers]]:
        """Return the books of each run by stream, up to the last beat of each worker, even when all are gone."""
        return [ledger.totals() for ledger in self._ledgers]

    async def stop(self) -> float:
        """Send TERM and return how many seconds the end took. A late end or an exit code other than 0 is recorded."""
        assert self._process is not None
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        await _until(lambda: self._process is None or self._process.poll() is not None, DRAIN_S + 10)
        seconds = time.monotonic() - began
        code = self._process.poll()
        if code != 0 or seconds > DRAIN_S + LATE_S:
            self.unclean.append(f"TERM ended with exit code {code} after {seconds:.1f} s; drain_s is {DRAIN_S:g}")
        if code is None:
            await self.kill_all()
        elif self._reader is not None:
            self._reader.join(LATE_S)  # Then the last lines of the log are in the file.
        return seconds

    async def kill_all(self) -> None:
        """Kill the master with kill -9; its workers notice that, or are killed too."""
        assert self._process is not None
        workers = self._workers()
        self._process.kill()
        self._process.wait()
        for pid in workers:
            self._kill(pid)
        await _until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), 5)

    def kill_worker(self, chance: random.Random) -> str:
        return self._to_worker(chance, self._kill)

    def drain_worker(self, chance: random.Random) -> str:
        return self._to_worker(chance, lambda pid: _signal(pid, signal.SIGTERM))

    def reload(self) -> None:
        """Send HUP: new workers start, then the old ones drain."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def fill_disk(self) -> None:
        """Leave no free space on the spool's disk."""
        try:
            with (self.spool / "filler").open("wb", buffering=0) as filler:
                while filler.write(b"\0" * 65536):
                    pass
        except OSError:  # The disk is full, as intended.
            return

    def delete_log(self) -> None:
        """Delete the logs of the spool's databases while they are open."""
        for path in self.spool.glob("spool-*.db-wal"):
            path.unlink(missing_ok=True)

    def free_disk(self) -> None:
        (self.spool / "filler").unlink(missing_ok=True)

    @property
    def can_jump(self) -> bool:
        """Whether the processes have a clock that can be set."""
        return "LD_PRELOAD" in self._environ

    def jump(self, seconds: int) -> None:
        """Set the processes' clocks to so many seconds from the true time. They see it within a second."""
        beside = self._clock.with_suffix(".new")
        beside.write_text(f"{seconds:+d}")
        beside.replace(self._clock)

    def _faked(self) -> dict[str, str]:
        library = next(iter(glob.glob(CLOCK)), None)
        if library is None:
            raise UsageError(f"no libfaketime is at {CLOCK}: install it, or leave --clock out")
        self.jump(0)
        return os.environ | {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(self._clock),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def waiting(self) -> int:
        """Count the events in all databases of the spool, by its files."""
        return spooled_events(self.spool)

    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        """End all processes and remove the mount."""
        if self._reader is not None:
            self._reader.go_on()
        if self._process is not None and self._process.poll() is None:
            for pid in [*self._workers(), self._process.pid]:
                _signal(pid, signal.SIGKILL)
            self._process.wait()
        if self.can_fill_disk:
            subprocess.run(["umount", "-l", str(self.spool)], check=False, capture_output=True)

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "server", "serve", "-c", str(self._settings)]
        reader = self._reader = LogReader(self._log)
        log, quiet = reader.write_fd, subprocess.DEVNULL
        process = subprocess.Popen(command, env=self._environ, stdin=quiet, stdout=quiet, stderr=log)
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
        os.close(log)
        reader.start()
        return process

    def stall_log(self) -> None:
        """Stop reading standard error until ``go_on_with_log``. The log lines of a HUP are more than the pipe holds."""
        assert self._reader is not None
        self._reader.stall()
        for _ in range(2):
            self.reload()

    def go_on_with_log(self) -> None:
        assert self._reader is not None
        self._reader.go_on()

    def lose_log(self) -> None:
        """Close the reading end of standard error until the next start."""
        assert self._reader is not None
        self._reader.vanish()
        self.reload()

    def holder(self, port: int) -> int:
        """Return the process of the service that holds the connection from this port; 0 when there is none any more."""
        inode = _inode(self.address[1], port)
        return next((pid for pid in self._workers() if _holds(pid, f"socket:[{inode}]")), 0) if inode else 0

    def _kill(self, pid: int) -> None:
        self.kills.append(Kill(pid, time.time(), len(self._ledgers) - 1))
        _signal(pid, signal.SIGKILL)

    def _to_worker(self, chance: random.Random, do: Callable[[int], None]) -> str:
        workers = sorted(self._workers())
        if not workers:
            return "there was none"
        pid = chance.choice(workers)
        do(pid)
        return f"pid {pid}"

    def _workers(self) -> list[int]:
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children")
        return [int(child) for child in children.read_text().split()] if children.exists() else []

    def _mount(self) -> bool:
        command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(self.spool)]
        try:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            return False


async def _until(look: Callable[[], bool], within_s: float) -> None:
    """Poll for a state that nothing announces."""
    deadline = time.monotonic() + within_s
    while not look() and time.monotonic() < deadline:  # noqa: ASYNC110 - see above
        await asyncio.sleep(0.02)


def _inode(server_port: int, client_port: int) -> str | None:
    """Return the inode of the server's end of a connection on loopback; /proc/net/tcp has a line for each end."""
    ends = f"0100007F:{server_port:04X}", f"0100007F:{client_port:04X}"
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return next((fields[9] for fields in lines if (fields[1], fields[2]) == ends), None)


def _holds(pid: int, link: str) -> bool:
    with suppress(OSError):  # The process may have ended meanwhile.
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):  # The descriptor may have been closed meanwhile.
                if str(entry.readlink()) == link:
                    return True
    return False


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def spooled_events(spool: Path) -> int:
    """Count the events in all databases of a spool, by its files."""
    return sum(_count(path) for path in spool.glob("spool-*.db"))


def _count(path: Path) -> int:
    try:
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1)
        try:
            aside = "SELECT count(*) FROM aside WHERE reason = 'event_too_large'"  # These are tried again.
            return int(database.execute(f"SELECT (SELECT count(*) FROM event) + ({aside})").fetchone()[0])
        finally:
            database.close()
    except sqlite3.Error:  # The database is being made or deleted.
        return 0
