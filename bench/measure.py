"""What a process and its children cost: CPU from /proc, memory from /proc, and the machine that it was measured on.

Place: used by every load bench around a counted load.
Rule: CPU is user and kernel time of all threads, librdkafka's included, of the whole tree of processes.
Not here: who is measured, and under which load (quick).
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sysconfig
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

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


def cpu_s(pid: int) -> float:
    """Seconds of CPU that a tree of processes has used, to a hundredth."""
    total = 0
    for one in tree(pid):
        fields = _stat(one)
        total += int(fields[11]) + int(fields[12])
    return total * TICK_S


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


def environment() -> dict[str, Any]:
    """Whatever a reader needs to judge the figures."""
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
        "is_python_optimised": "--enable-optimizations" in configured,
        "packages": {name: importlib.metadata.version(name) for name in packages},
    }
