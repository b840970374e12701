"""All that the shared memory says at one moment: what a scrape and a status page are made of.

Place: scoreboard, ledger, lines, maps of the spool, /proc → HERE → admin.collect, admin.status.
Rules: only looked at: no worker is asked, nothing is written, so whoever looks costs the workers nothing.
Not here: names and units (admin.table), HTTP (admin.pages).
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from server.admin.sheet import LABELS, PLACES
from server.shared.row import State, WorkerRow
from server.shared.scoreboard import Scoreboard
from server.sink.spool.keys import Elders

if TYPE_CHECKING:
    from server.catalog.snapshot import Snapshot
    from server.config.settings import Config
    from server.fetch.link import Link
    from server.master.generation import Role

OTHER = "other"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Materials(Protocol):
    """What one reading of the settings yields (boot.generation)."""

    config: Config
    data_dir: Path
    snapshot: Snapshot
    link: Link

    @property
    def companions(self) -> Sequence[Role]: ...


class ProcessUsage(NamedTuple):
    """What the system says of a process; zeros where it says nothing."""

    resident_bytes: int
    cpu_s: float
    uptime_s: float


class Shared:
    """Everything there is to look at. ``snapshot``: the streams that are declared now."""

    def __init__(self, board: Scoreboard, materials: Materials, master_pid: int) -> None:
        config = materials.config
        self.board = board
        self.config = config
        self.link = materials.link
        self.snapshot = materials.snapshot
        self.master_pid = master_pid
        self.companions = [role.name for role in materials.companions]
        self.elders: Elders | None = None
        if config.sink.wants_spool:
            self.elders = Elders(materials.data_dir / config.spool.path)

    def look(self) -> HostView:
        """How it is now."""
        return HostView(self)


class HostView:
    """One look; what costs is looked up once."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.config = shared.config
        self.now_s = time.time()
        self.monotonic_ns = time.monotonic_ns()
        board = shared.board
        self.rows = board.live()
        self.workers = [row for row in self.rows if row.slot >= 0]
        self.counters = board.totals()
        self.sheet = board.sheet()
        self.ledger = board.ledger.totals()
        self.retired = board.ledger.retired.read()
        self.gauges = [row.gauges() for row in self.workers]
        self.streams = board.kinds.streams.totals()
        self.schemas = board.kinds.schemas.totals()
        self.brokers = board.kinds.brokers.totals()
        self._labels: dict[str, str] = {}
        if shared.elders is not None:
            shared.elders.look()

    def family(self, name: str) -> list[tuple[tuple[str, ...], int]]:
        """The cells of a family of the sheet with their labels, over all workers that ever were."""
        return list(zip(LABELS[name], self.sheet[PLACES[name]], strict=True))

    def gauge(self, gauge: int) -> int:
        """The sum over living workers."""
        return sum(values[gauge] for values in self.gauges)

    def name_of(self, row: WorkerRow) -> str:
        """What a child is there for. Another generation may have other companions."""
        if row.slot >= 0:
            return "worker"
        names = self.shared.companions
        return names[-row.slot - 1] if -row.slot <= len(names) else "companion"

    def beat_age_s(self, row: WorkerRow) -> float:
        return max(0, self.monotonic_ns - row.beat_ns) / 1e9

    def states(self) -> dict[str, int]:
        """How many workers are in each state."""
        found = {state.name.lower(): 0 for state in State if state is not State.FREE}
        for row in self.workers:
            name = row.state.name.lower()
            if name in found:  # Else the worker has died since we looked, and its row is free.
                found[name] += 1
        return found

    def stream_label(self, name: str) -> str:
        """The stream as a label: declared names alone, and one for all others."""
        label = self._labels.get(name)
        if label is None:
            label = self._labels[name] = name if self.shared.snapshot.declared(name) is not None else OTHER
        return label

    def spool(self) -> tuple[int, float]:
        """Events that wait on this host, and for how long the oldest has."""
        elders = self.shared.elders
        if elders is None:
            return 0, 0.0
        front = elders.front()
        return elders.pending(), max(0.0, self.now_s - front / 1e6) if front else 0.0


def process_of(pid: int) -> ProcessUsage:
    """Read /proc; where there is none, nothing is known."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        since_boot_s = float(Path("/proc/uptime").read_text().split()[0])
    except OSError:
        return ProcessUsage(0, 0.0, 0.0)
    cpu_s = (int(stat[11]) + int(stat[12])) / _TICKS_PER_S
    return ProcessUsage(pages * _PAGE_BYTES, cpu_s, max(0.0, since_boot_s - int(stat[19]) / _TICKS_PER_S))
