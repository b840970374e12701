"""Measure CPU and memory of a process and its children, by /proc, and describe the machine.

Place: used by every load bench around a counted load.
Rules: CPU is user and kernel time of all threads, librdkafka's included, of the whole tree of processes. Its sum is the
scheduler's, to the nanosecond; its parts in user code and in the kernel are told by ticks of 10 ms, so they are steady
over a second only.
Not here: who is measured, and under which load (rounds).
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
import sysconfig
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    # The name of a program may hold blanks and brackets: what follows its last bracket is regular.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def tree(pid: int) -> list[int]:
    """A process and all that descend from it, the process first."""
    parents: dict[int, int] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int(_stat(int(entry.name))[1])
            except (FileNotFoundError, ProcessLookupError):
                continue  # It ended while we looked.
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def worker(pid: int) -> int:
    """The first worker of a master; of a server without one, itself."""
    return tree(pid)[:2][-1]


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a tree of processes has used, to a hundredth."""
    total = 0
    for one in tree(pid):
        fields = _stat(one)
        total += int(fields[11]) + int(fields[12])
    return total * TICK_S


class Usage(NamedTuple):
    """Seconds of CPU: in user code and in the kernel, of all threads but librdkafka's, which stand apart."""

    user_s: float = 0.0
    system_s: float = 0.0
    producer_s: float = 0.0

    @property
    def total_s(self) -> float:
        """All of it."""
        return self.user_s + self.system_s + self.producer_s


class Meter:
    """Reads what a tree of processes has used since it was last read. Threads that ended in between are lost."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._before = _threads(pid)

    def read(self) -> Usage:
        """CPU since the last reading."""
        before, self._before = self._before, _threads(self._pid)
        user = system = producer = run_ns = 0
        for thread, now in self._before.items():
            was = before.get(thread, _Thread("", 0, 0, 0))
            if now.name.startswith("rdk:"):
                producer += now.run_ns - was.run_ns
            else:
                run_ns += now.run_ns - was.run_ns
                user += now.user_ticks - was.user_ticks
                system += now.system_ticks - was.system_ticks
        in_user_s = run_ns / 1e9 * user / max(user + system, 1)
        return Usage(in_user_s, run_ns / 1e9 - in_user_s, producer / 1e9)


class _Thread(NamedTuple):
    name: str
    run_ns: int
    user_ticks: int
    system_ticks: int


def _threads(pid: int) -> dict[int, _Thread]:
    found = {}
    for one in tree(pid):
        for task in Path(f"/proc/{one}/task").iterdir():
            try:
                start, _, rest = (task / "stat").read_text().rpartition(")")
                run_ns = int((task / "schedstat").read_text().split()[0])
            except (FileNotFoundError, ProcessLookupError):
                continue  # It ended while we looked.
            fields = rest.split()
            found[int(task.name)] = _Thread(start.partition("(")[2], run_ns, int(fields[11]), int(fields[12]))
    return found


def settle(pid: int, limit_s: float) -> None:
    """Return when a tree of processes has gone quiet (deliveries done), or after ``limit_s``."""
    deadline = time.monotonic() + limit_s
    before = cpu_s(pid)
    while time.monotonic() < deadline:
        time.sleep(0.15)
        now = cpu_s(pid)
        if now - before <= TICK_S:
            return
        before = now


def memory_mb(pid: int) -> dict[str, float]:
    """Resident memory of one process: ``rss`` with, ``own`` without the pages that it shares with others."""
    rss = own = 0
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "Rss":
            rss = int(rest.split()[0])
        elif name in ("Private_Clean", "Private_Dirty"):
            own += int(rest.split()[0])
    return {"rss": round(rss / 1024, 1), "own": round(own / 1024, 1)}


def peak_mb(pid: int) -> float:
    """The most resident memory that one process has had since its start."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024, 1)


def environment() -> dict[str, Any]:
    """Return the facts about the machine that a reader needs to judge the figures."""
    packages = ("uvloop", "httptools", "orjson", "msgspec", "fastjsonschema", "confluent-kafka")
    cpu = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], check=False, capture_output=True, text=True, timeout=10
    )
    configured = str(sysconfig.get_config_var("CONFIG_ARGS"))
    return {
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": commit.stdout.strip(),
        "cpu": cpu[0] if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        # Debian's own rules build the interpreter in /usr with profile-guided optimisation; configure does not know.
        "is_python_optimised": "--enable-optimizations" in configured or sys.base_prefix == "/usr",
        "packages": {name: importlib.metadata.version(name) for name in packages},
    }
