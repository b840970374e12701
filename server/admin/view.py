"""The content of the shared memory at one moment, for scrapes and status pages.

Place: scoreboard, ledger, lines, maps of the spool, /proc → HERE → admin.collect, admin.status.
Rules: this only reads: it asks no worker and writes nothing, so it costs the workers nothing.
Not here: names, units and sources of metrics (the room metrics), HTTP (admin.pages).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from server.admin.canaries import Canaries, CanaryView
from server.admin.growth import Rates
from server.admin.plausibility import watcher_of
from server.metrics.declare import Labels, Sample
from server.shared.row import State, WorkerRow
from server.shared.scoreboard import Scoreboard
from server.sink.spool.keys import KeyMaps

if TYPE_CHECKING:
    from server.catalog.snapshot import Snapshot
    from server.config.settings import Config
    from server.console.copying.channel import Channel
    from server.fetch.link import Link
    from server.master.generation import Role
    from server.metrics.table import MetricTable
    from server.plausibility.watcher import Watcher
    from server.schemas.repository import SchemaRepository
    from server.shared.ledger import Numbers

OTHER = "other"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Materials(Protocol):
    """The result of one reading of the settings (boot.generation)."""

    config: Config
    data_dir: Path
    snapshot: Snapshot
    schemas: SchemaRepository
    link: Link
    channel: Channel | None

    @property
    def companions(self) -> Sequence[Role]: ...

    def metric_table(self) -> MetricTable:
        """Return the metrics of the program that this generation is of."""


class ProcessUsage(NamedTuple):
    """The system's figures about a process; zeros if it has none."""

    resident_bytes: int
    cpu_s: float
    uptime_s: float


class Shared:
    """Everything that can be read. ``snapshot``: the streams declared now; ``scrape_s``: duration of the last
    scrape."""

    def __init__(self, board: Scoreboard, materials: Materials, master_pid: int) -> None:
        config = materials.config
        self.board: Scoreboard = board
        self.config: Config = config
        self.link: Link = materials.link
        self.snapshot: Snapshot = materials.snapshot
        self.table: MetricTable = materials.metric_table()
        self.master_pid = master_pid
        self.companions = [role.name for role in materials.companions]
        self.scrape_s: float = 0.0
        self.rates = Rates()
        self.key_maps: KeyMaps | None = None
        self.plausibility: Watcher | None = None
        if config.plausibility.enabled:
            self.plausibility = watcher_of(self, materials.data_dir / config.plausibility.path)
        self.canaries: Canaries | None = None
        if config.canary.enabled:
            self.canaries = Canaries(config, materials.data_dir / config.canary.path)
        if config.sink.wants_spool:
            self.key_maps = KeyMaps(materials.data_dir / config.spool.path)

    def look(self) -> HostView:
        """Return a view of the present state."""
        return HostView(self)


class HostView:
    """One view; values that are costly to find are cached."""

    def __init__(self, shared: Shared) -> None:
        # Types are written out because metrics and this file refer to each other.
        self.shared: Shared = shared
        self.config: Config = shared.config
        self.table: MetricTable = shared.table
        self.now_s = time.time()
        self.monotonic_ns = time.monotonic_ns()
        board = shared.board
        self.rows: list[WorkerRow] = board.live()
        self.workers: list[WorkerRow] = [row for row in self.rows if row.slot >= 0]
        self.counters: list[int] = board.totals()
        self.sums: list[int] = board.sums()
        self.ledger: dict[str, Numbers] = board.ledger.totals()
        self.retired: dict[str, list[int]] = board.ledger.retired.read()
        self.gauges: list[list[int]] = [row.gauges() for row in self.workers]
        self.streams: dict[str, list[int]] = board.kinds.streams.totals()
        self.schemas: dict[str, list[int]] = board.kinds.schemas.totals()
        self.brokers: dict[str, list[int]] = board.kinds.brokers.totals()
        self.consumed: dict[str, list[int]] = board.kinds.consumed.totals()
        self.consuming: dict[str, list[list[int]]] = board.kinds.consumed.gauges()
        self.checks: dict[str, list[int]] = board.kinds.checks.totals()
        self._labels: dict[str, str] = {}
        self._canaries: CanaryView | None = None
        if shared.key_maps is not None:
            shared.key_maps.look()

    def cells(self, name: str) -> list[tuple[Labels, int]]:
        """Return the numbers of a metric that workers count, with their labels, over all workers of the master so
        far."""
        return list(zip(self.table.sums[name].cells, self.sums[self.table.sum_places[name]], strict=True))

    def total(self, name: str) -> int:
        """Return the same, added up over the labels."""
        return sum(self.sums[self.table.sum_places[name]])

    def gauge(self, name: str) -> int:
        """Return the sum over living workers, in units of the cell."""
        return sum(values[self.table.gauge_places[name]] for values in self.gauges)

    def gauge_of(self, at: int, name: str) -> int:
        """Return the number of the worker at that position in ``workers``, in units of the cell."""
        return self.gauges[at][self.table.gauge_places[name]]

    def by_slot(self, number: Callable[[int], float]) -> list[Sample]:
        """Return a number of each worker by its slot; of two workers in one slot, one of which drains, the larger
        number."""
        found: dict[int, float] = {}
        for at, row in enumerate(self.workers):
            found[row.slot] = max(found.get(row.slot, 0.0), number(at))
        return [((str(slot),), value) for slot, value in sorted(found.items())]

    def by_stream(self, lines: Iterable[tuple[str, float]]) -> list[Sample]:
        """Return numbers by stream; those of undeclared streams are added up."""
        sums: dict[str, float] = {}
        for name, number in lines:
            label = self.stream_label(name)
            sums[label] = sums.get(label, 0) + number
        return [((label,), number) for label, number in sums.items()]

    def usage(self, row: WorkerRow) -> ProcessUsage:
        """Return the system's figures about the process of a row."""
        return process_of(row.pid)

    def name_of(self, row: WorkerRow) -> str:
        """Return the role of a child process. Another generation may have other companions."""
        if row.slot >= 0:
            return "worker"
        names = self.shared.companions
        return names[-row.slot - 1] if -row.slot <= len(names) else "companion"

    def beat_age_s(self, row: WorkerRow) -> float:
        return max(0, self.monotonic_ns - row.beat_ns) / 1e9

    def states(self) -> dict[str, int]:
        """Return the number of workers in each state."""
        found = {state.name.lower(): 0 for state in State if state is not State.FREE}
        for row in self.workers:
            name = row.state.name.lower()
            if name in found:  # Otherwise the worker has died since the row was read, and the row is free.
                found[name] += 1
        return found

    def stream_label(self, name: str) -> str:
        """Return the stream as a label: its name if it is declared, else one label for all others."""
        label = self._labels.get(name)
        if label is None:
            label = self._labels[name] = name if self.shared.snapshot.declared(name) is not None else OTHER
        return label

    def canaries(self) -> CanaryView | None:
        """Return the canaries, or None if the settings want none."""
        shared = self.shared
        if self._canaries is None and shared.canaries is not None:
            self._canaries = shared.canaries.look(shared.snapshot, shared.board.notices.reloaded_s, self.now_s)
        return self._canaries

    def spool(self) -> tuple[int, float]:
        """Return the number of events in the spools of this host, and the age of the oldest."""
        maps = self.shared.key_maps
        if maps is None:
            return 0, 0.0
        front = maps.front()
        return maps.pending(), max(0.0, self.now_s - front / 1e6) if front else 0.0

    def catch_up_s(self) -> float:
        """In how many seconds the spool will be empty, as it looks now."""
        maps = self.shared.key_maps
        return maps.catch_up_s() if maps is not None else 0.0

    def sheds(self) -> bool:
        """Whether hasty events of keys that wait in the spool are refused."""
        maps = self.shared.key_maps
        return maps is not None and maps.sheds()

    def aside(self) -> int:
        """Events of the spool that are set aside for their size."""
        maps = self.shared.key_maps
        return maps.aside() if maps is not None else 0


def process_of(pid: int) -> ProcessUsage:
    """Read /proc; without it, nothing is known."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        since_boot_s = float(Path("/proc/uptime").read_text().split()[0])
    except OSError:
        return ProcessUsage(0, 0.0, 0.0)
    cpu_s = (int(stat[11]) + int(stat[12])) / _TICKS_PER_S
    return ProcessUsage(pages * _PAGE_BYTES, cpu_s, max(0.0, since_boot_s - int(stat[19]) / _TICKS_PER_S))
