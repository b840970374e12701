"""``workers: auto`` is what a container may use: cgroup-v2.rst (cpu.max), sched-bwc.rst (cpu.cfs_quota_us)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from server.host import cores

CORES = 64


@pytest.fixture(autouse=True)
def many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(CORES)))


class Host:
    """A /proc/self and the mounts that it names."""

    def __init__(self, directory: Path) -> None:
        self.proc = directory / "proc"
        self.proc.mkdir()
        self._directory = directory

    def mount(self, name: str, kind: str, root: str = "/", options: str = "rw") -> Path:
        """Mount control groups; ``root`` is the group that is the root there."""
        place = self._directory / name
        place.mkdir()
        shown = str(place).replace(" ", "\\040")
        with (self.proc / "mountinfo").open("a") as file:
            file.write(f"30 23 0:27 {root} {shown} rw,nosuid shared:4 - {kind} {kind} {options}\n")
        return place

    def groups(self, *lines: str) -> None:
        (self.proc / "cgroup").write_text("".join(f"{line}\n" for line in lines))

    def usable(self) -> int:
        return cores.usable(self.proc)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def group(directory: Path, quota: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "cpu.max").write_text(f"{quota}\n")


def group_v1(directory: Path, quota_us: int, period_us: int = 100_000) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "cpu.cfs_quota_us").write_text(f"{quota_us}\n")
    (directory / "cpu.cfs_period_us").write_text(f"{period_us}\n")


@pytest.mark.parametrize(
    ("quota", "count"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),  # Rounded up: none of it stays unused.
        ("50000 100000", 1),
        ("25000 50000", 1),
        ("max 100000", CORES),
        ("9900000 100000", CORES),
        ("nonsense", CORES),
    ],
)
def test_the_quota_of_version_2_bounds_the_workers(host: Host, quota: str, count: int) -> None:
    group(
        host.mount("cgroup", "cgroup2"), quota
    )  # A container with a name space of its own sees its group as the root.
    host.groups("0::/")

    assert host.usable() == count


def test_the_smallest_quota_up_to_the_root_counts(host: Host) -> None:
    mount = host.mount("cgroup", "cgroup2")
    group(mount / "kubepods", "max 100000")
    group(mount / "kubepods/pod", "300000 100000")
    group(mount / "kubepods/pod/container", "800000 100000")
    host.groups("0::/kubepods/pod/container")

    assert host.usable() == 3


@pytest.mark.parametrize(
    ("quota_us", "period_us", "count"), [(400_000, 100_000, 4), (25_000, 50_000, 1), (-1, 1, CORES)]
)
def test_the_quota_of_version_1_bounds_the_workers(host: Host, quota_us: int, period_us: int, count: int) -> None:
    mount = host.mount("cpu,cpuacct", "cgroup", options="rw,cpu,cpuacct")
    host.mount("memory", "cgroup", options="rw,memory")
    group_v1(mount / "a/b", quota_us, period_us)
    host.groups("9:memory:/other", "4:cpu,cpuacct:/a/b", "0::/")

    assert host.usable() == count


def test_a_parent_of_version_1_counts_too(host: Host) -> None:
    mount = host.mount("cpu", "cgroup", options="rw,cpu")
    group_v1(mount / "a", 200_000)
    group_v1(mount / "a/b", -1)
    host.groups("4:cpu:/a/b")

    assert host.usable() == 2


def test_a_container_that_sees_the_path_of_the_host_has_its_own_group_mounted(host: Host) -> None:
    """Docker on version 1, without a name space of control groups: the path is the host's, the mount is the group."""
    mount = host.mount("cpu", "cgroup", root="/docker/1234", options="rw,cpu")
    group_v1(mount, 250_000)
    host.groups("4:cpu:/docker/1234")

    assert host.usable() == 3


def test_a_group_outside_of_the_name_space_is_looked_at_as_the_mount(host: Host) -> None:
    group(host.mount("a directory with blanks", "cgroup2"), "200000 100000")
    host.groups("0::/../elsewhere")

    assert host.usable() == 2


def test_version_2_beside_version_1_counts_as_well(host: Host) -> None:
    """As systemd mounts both: the controller is in one of them."""
    group(host.mount("unified", "cgroup2"), "max 100000")
    group_v1(host.mount("cpu", "cgroup", options="rw,cpu"), 500_000)
    host.groups("4:cpu:/", "0::/")

    assert host.usable() == 5


def test_the_affinity_mask_counts_where_it_is_smaller(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {3, 5})
    group(host.mount("cgroup", "cgroup2"), "800000 100000")
    host.groups("0::/")

    assert host.usable() == 2


def test_without_control_groups_the_mask_alone_counts(host: Host) -> None:
    assert host.usable() == CORES
