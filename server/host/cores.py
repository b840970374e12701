"""How many cores this process may use: what ``workers: auto`` means.

Place: master.fleet, durability and boot.announce → HERE.
Rules: the number is the smallest of the affinity mask (sched_setaffinity(2)) and the CPU quotas of all control groups
from ours up to the root: ``cpu.max`` of cgroup v2 (Documentation/admin-guide/cgroup-v2.rst), ``cpu.cfs_quota_us`` of v1
(Documentation/scheduler/sched-bwc.rst). A quota is rounded up, so that none of it stays unused: 1.5 cores are two
workers. A file that cannot be read sets no limit.
Not here: whether a number is set instead (config.settings), the maximum that settings allow (master.fleet).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc/self")


def usable(proc: Path = PROC) -> int:
    """Return the number of cores, at least 1."""
    quotas = [quota for directory in _groups(proc) if (quota := _quota(directory)) is not None]
    return max(1, min([len(os.sched_getaffinity(0)), *map(math.ceil, quotas)]))


def _groups(proc: Path) -> Iterator[Path]:
    """Yield the directories of our control groups that may limit the CPU, each followed by its parents."""
    mounts = list(_mounts(proc))
    for line in _lines(proc / "cgroup"):  # 0::/path of v2, 4:cpu,cpuacct:/path of v1: cgroups(7).
        number, controllers, path = line.split(":", 2)
        if number != "0" and "cpu" not in controllers.split(","):
            continue
        for root, mount, is_v2 in mounts:
            if is_v2 == (number == "0"):
                yield from _upwards(mount, _below(root, path))


def _mounts(proc: Path) -> Iterator[tuple[str, Path, bool]]:
    """Yield the mounts of control groups: the group at the mount's root, the directory, and whether it is v2."""
    for line in _lines(proc / "mountinfo"):  # … root mount options … - type source options: proc(5).
        fields, _, more = line.partition(" - ")
        kind, _, options = more.partition(" ")
        if kind == "cgroup2" or (kind == "cgroup" and "cpu" in options.split(" ")[-1].split(",")):
            root, mount = fields.split(" ")[3:5]
            yield _plain(root), Path(_plain(mount)), kind == "cgroup2"


def _below(root: str, path: str) -> str:
    """Return the group's path below a mount. A container may see the path of the host, with only its own group
    mounted."""
    if root != "/" and (path == root or path.startswith(f"{root}/")):
        path = path[len(root) :]
    return "" if "/.." in path else path.strip("/")


def _upwards(mount: Path, below: str) -> Iterator[Path]:
    directory = mount / below
    while directory != mount:
        yield directory
        directory = directory.parent
    yield mount


def _quota(directory: Path) -> float | None:
    """Return the quota of one group in cores; None: it has none."""
    whole = _lines(directory / "cpu.max")
    try:
        if whole:
            quota, period = whole[0].split()
            return None if quota == "max" else int(quota) / int(period)
        quota_us = int(_lines(directory / "cpu.cfs_quota_us")[0])
        period_us = int(_lines(directory / "cpu.cfs_period_us")[0])
        return quota_us / period_us if quota_us > 0 else None  # -1 means no quota.
    except (IndexError, ValueError, ZeroDivisionError):
        return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return []


def _plain(field: str) -> str:
    """Decode the octal numbers by which the kernel writes blanks and backslashes."""
    for code, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, plain)
    return field
