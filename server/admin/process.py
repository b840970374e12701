"""The admin process: metrics, status and operations of one service, next to its workers.

Place: server.master forks → HERE, a companion of the workers; the composition root of server.admin.
Rules: it reads shared memory, so no worker waits for it or spends time on it. It beats like a worker. After the order
to drain it serves until the workers of its generation have gone, or a newer generation is there, or ``drain_s`` has
passed, so that operators can watch a drain to its end. Its death does not end the service.
Not here: what is served (admin.pages), what a metric means (the room metrics).
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

import uvloop
from aiohttp import web

from server.admin.door import TICK_S, AdminConnection, AdminConnections, AllowedHosts
from server.admin.pages import AdminPages
from server.admin.view import Materials, Shared
from server.catalog.snapshot_follower import SnapshotFollower
from server.console.console import Console
from server.console.routes import ConsoleRoutes
from server.shared.row import State
from server.timing.companion import CompanionLife
from server.timing.timers import Timer

if TYPE_CHECKING:
    from server.catalog.snapshot import Snapshot
    from server.master.generation import WorkerContext

NICER = 5  # A scrape of a thousand streams takes a tenth of a second of a core: workers have priority.
LOOK_S = 0.05
LAST_S = 1.0  # For answers in progress.

_logger = logging.getLogger("admin")


class Admin:
    """The admin process of one generation."""

    def __init__(self, materials: Materials, context: WorkerContext) -> None:
        self._config = materials.config
        self._context = context
        self._life = CompanionLife(context, self._config.process.beat_s, _logger, is_hurried_without_master=True)
        self._shared = Shared(context.row.board, materials, context.master_pid)
        self._console = self._open_console(materials)
        self._following: SnapshotFollower | None = None
        if not materials.snapshot.is_open:
            publication, prefix = materials.link.publication, materials.config.sink.topic_prefix
            self._following = SnapshotFollower(publication, materials.snapshot, prefix, self._use)

    def _open_console(self, materials: Materials) -> Console | None:
        if materials.channel is None:
            return None
        board = self._context.row.board
        return Console(
            self._config, materials.data_dir, materials.channel, materials.schemas, materials.snapshot,
            lambda: sum(row.slot >= 0 for row in board.live()),
        )  # fmt: skip

    async def run(self) -> None:
        """Serve until told to stop, and until the drain has ended."""
        loop = asyncio.get_running_loop()
        self._life.begin(self._follow)
        if self._following is not None:
            self._following.catch_up()
        door = AdminConnections(
            self._config.http.limits, AllowedHosts(self._config.admin.hosts, self._config.admin.listen)
        )
        console = ConsoleRoutes(self._console) if self._console is not None else None
        runner = web.AppRunner(
            AdminPages(self._shared, console).application(door), handle_signals=False, shutdown_timeout=LAST_S
        )
        await runner.setup()
        manager = runner.server
        assert manager is not None  # After setup.
        sockets = self._context.sockets
        servers = [await loop.create_server(lambda: AdminConnection(door, manager), sock=each) for each in sockets]
        Timer(loop, TICK_S, door.look).start()
        watcher = self._shared.plausibility
        if watcher is not None:
            Timer(loop, TICK_S, watcher.look).start()
        if self._console is not None:
            self._console.start(loop)
        self._context.row.set_state(State.READY)
        await self._life.stop.wait()
        self._context.row.set_state(State.DRAINING)
        if watcher is not None:
            watcher.close()  # The next generation goes on.
        await self._until_workers_have_gone(loop.time() + self._config.drain_s)
        for server in servers:
            server.close()
        if self._console is not None:
            self._console.close(loop)
        await runner.cleanup()

    async def _until_workers_have_gone(self, deadline: float) -> None:
        loop, board, mine = asyncio.get_running_loop(), self._context.row.board, self._context.generation
        while loop.time() < deadline and not self._life.hurry.is_set():
            workers = [row.generation for row in board.live() if row.slot >= 0]
            if mine not in workers or max(workers) > mine:
                return
            await asyncio.sleep(LOOK_S)

    def _use(self, snapshot: Snapshot) -> None:
        self._shared.snapshot = snapshot
        if self._console is not None:
            self._console.use(snapshot)

    def _follow(self) -> None:
        if self._following is not None:
            self._following.look(asyncio.get_running_loop().call_later)


def run(materials: Materials, context: WorkerContext) -> int:
    """Be the admin process until told to stop. Returns the exit code."""
    os.nice(NICER)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Admin(materials, context).run())
    return 0
