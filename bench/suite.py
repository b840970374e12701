"""Measure several servers under several kinds of work, in turns, in one run, and summarise the rounds.

Place: quick, peers → HERE → rounds, servers, peers.start.
Rules: each server is a process of its own and stays up for the whole run. Rounds are taken in turns, each time
beginning with another server, so that a machine whose speed drifts treats all alike. Figures are medians.
Not here: which servers and which work (quick, peers), tables (render).
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bench import measure, rounds, servers
from bench.events import Workload
from bench.peers import start
from bench.rounds import Round, Watermarks
from bench.works import Work


class Cell(NamedTuple):
    """Who, under which load."""

    peer: str
    work: Work
    port: int
    pid: int


class Suite:
    """All servers of one run. A peer has one process for each directory of schemas that the works need."""

    def __init__(
        self, names: Sequence[str], works: Sequence[Work], takes: Callable[[str, Work], bool] = start.takes
    ) -> None:
        self._takes = takes
        self._stack = contextlib.ExitStack()
        self.directory = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        cluster = self._stack.enter_context(servers.mock_cluster(self.directory))
        self.brokers = cluster.line()
        self.watermarks = self._stack.enter_context(Watermarks(self.brokers))
        self.idle_mb: dict[str, Any] = {}
        self.cells: list[Cell] = []
        try:
            for name in names:
                self._start(name, works)
        except BaseException:
            self._stack.close()
            raise

    def __enter__(self) -> Suite:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, name: str, works: Sequence[Work]) -> None:
        running: dict[Path, tuple[int, int]] = {}
        for work in works:
            if not self._takes(name, work):
                continue
            place = work.workload.base_uri
            if place not in running:
                together = [other.workload for other in works if other.workload.base_uri == place]
                running[place] = self._run(name, together)
            pid, port = running[place]
            self.cells.append(Cell(name, work, port, pid))

    def _run(self, name: str, workloads: list[Workload]) -> tuple[int, int]:
        port = servers.free_port()
        label = f"{name}-{workloads[0].base_uri.parent.name}"
        child = start.peer(name, port, self.brokers, workloads, self.directory, label)
        self._stack.enter_context(child)
        child.wait_for(port)
        self.idle_mb[label] = [measure.memory_mb(pid) for pid in measure.tree(child.pid)]
        return child.pid, port

    def measured(self, count: int, seconds: float) -> dict[Cell, list[Round]]:
        """``count`` rounds of each, work by work: what is compared lies close together in time."""
        found: dict[Cell, list[Round]] = {cell: [] for cell in self.cells}
        for work in dict.fromkeys(cell.work for cell in self.cells):
            cells = [cell for cell in self.cells if cell.work is work]
            for cell in cells:
                rounds.warm(cell.pid, cell.port, work)
            for number in range(count):
                for step in range(len(cells)):
                    cell = cells[(number + step) % len(cells)]
                    held = self.watermarks if start.produces(cell.peer) else None
                    found[cell].append(rounds.take(cell.pid, cell.port, work, seconds, held))
            print(f"{work.title}: done", file=sys.stderr)
        return found


def results(found: dict[Cell, list[Round]]) -> list[dict[str, Any]]:
    """One entry for each cell. ``peak_mb``: the most that a process of the server had, under all of its work."""
    peaks = {cell.pid: max(measure.peak_mb(one) for one in measure.tree(cell.pid)) for cell in found}
    return [
        {
            "peer": cell.peer,
            "work": cell.work.name,
            "workload": cell.work.workload.name,
            "batch": cell.work.batch,
            "event_bytes": cell.work.workload.event_bytes,
        }
        | rounds.summary(each)
        | {"peak_mb": peaks[cell.pid]}
        for cell, each in found.items()
    ]
