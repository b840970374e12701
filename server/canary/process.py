"""The canary process: one leader of all that share a directory sends canaries again and again.

Place: server.master forks → HERE, a companion of the workers → canary.run, canary.state.
Rules: workers never wait for it, and it shares nothing with them but what every client has. It beats like a worker. The
lock is the kernel's, so a leader that dies is replaced at the next look, ``LOOKS`` times per period. A run that
the leader before has begun is not repeated before its period is over. The external checker is told of fully good runs
alone.
Not here: one run (canary.run), what is shown of it (admin).
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import os
import random
import socket
import time
from typing import TYPE_CHECKING, Final, Protocol

import uvloop

from server.auth.canary_pass import read_key
from server.canary import event
from server.canary.plan import Check, checks
from server.canary.post import Poster
from server.canary.run import Run
from server.canary.state import FILE, LOCK, CanaryState, read_state, rows_of, write_state
from server.catalog.snapshot_follower import SnapshotFollower
from server.errors import SettingsError
from server.host.replace import sweep
from server.identity import new_id
from server.log import Limited
from server.shared.row import State
from server.sink.kind import kind_of
from server.sink.spool.claim import Lock
from server.timing.companion import CompanionLife

if TYPE_CHECKING:
    from pathlib import Path

    from server.canary.event import Canary
    from server.catalog.snapshot import Snapshot
    from server.config.settings import Config
    from server.fetch.link import Link
    from server.master.generation import WorkerContext
    from server.schemas.repository import SchemaRepository
    from server.sink.watch import Watch

NICER: Final = 5  # Workers that need the core get three times as much of it.
LOOKS: Final = 4
LONGEST_LOOK_S: Final = 5.0
JITTER: Final = 0.1  # Runs begin up to this share of a period late, so that hosts do not send at the same instant.
MOST_JITTER_S: Final = 10.0

_logger = logging.getLogger("canary")
_limited = Limited(_logger)


class RunMaterials(Protocol):
    """The materials of a run. Relative paths are relative to ``data_dir``."""

    config: Config
    data_dir: Path
    schemas: SchemaRepository


class Materials(RunMaterials, Protocol):
    """The part of boot.generation.Generation that is used here."""

    snapshot: Snapshot
    link: Link


def make_run(materials: RunMaterials, run_id: str, poster: Poster) -> Run:
    """Return a run over the sink of the settings. Raises SettingsError if that cannot be read."""
    config, base_dir = materials.config, materials.data_dir
    make_watch = kind_of(config.sink).watch
    if make_watch is None:
        raise SettingsError(f"sink.kind: {config.sink.kind} stores no events, so no canary could be found in it")

    def make_event(check: Check) -> Canary:
        return event.make(check.stream, check.title, materials.schemas, config.intake, run_id, time.time())

    open_watch: functools.partial[Watch] = functools.partial(make_watch, config.sink, base_dir)
    return Run(config.canary, config.sink.kind, make_event, open_watch, poster)


class Canaries:
    """The canary process of one generation."""

    def __init__(self, materials: Materials, context: WorkerContext) -> None:
        self._materials = materials
        self._config = materials.config
        self._settings = materials.config.canary
        self._directory = materials.data_dir / self._settings.path
        self._context = context
        self._snapshot = materials.snapshot
        self._life = CompanionLife(context, self._config.process.beat_s, _logger)
        self._lock = Lock(self._directory / LOCK)
        self._began_s = -math.inf  # By the monotonic clock: a state that cannot be written must not begin more runs.
        self._last: CanaryState | None = None
        self._following: SnapshotFollower | None = None
        if not materials.snapshot.is_open:
            publication, prefix = materials.link.publication, materials.config.sink.topic_prefix
            self._following = SnapshotFollower(publication, materials.snapshot, prefix, self._use)

    async def run(self) -> None:
        """Send canaries until told to stop."""
        self._life.begin(self._follow)
        if self._following is not None:
            self._following.catch_up()
        await self._life.work(self._lead())

    async def _lead(self) -> None:
        look_s = min(LONGEST_LOOK_S, self._settings.period_s / LOOKS)
        while True:
            try:
                if self._is_leader() and self._is_served() and self._wait_s() <= 0:
                    await asyncio.sleep(random.uniform(0.0, min(MOST_JITTER_S, JITTER * self._settings.period_s)))
                    await self._once()
            except (SettingsError, OSError) as why:
                _limited.warning("unable", "canaries cannot be sent: %s", why)
            await asyncio.sleep(min(look_s, max(self._wait_s(), look_s / LOOKS)))

    def _is_leader(self) -> bool:
        return self._lock.take(self._begin)

    def _begin(self) -> None:
        _logger.info("this process sends canaries")
        sweep(self._directory / FILE)

    def _is_served(self) -> bool:
        """Whether a worker of this host takes requests: before that, canaries would only show that it starts."""
        return any(row.slot >= 0 and row.state is State.READY for row in self._context.row.board.live())

    def _wait_s(self) -> float:
        """Return the time until the next run is due."""
        own_s = self._settings.period_s - (time.monotonic() - self._began_s)
        if own_s > 0:
            return own_s
        before = read_state(self._directory)
        if before is None:
            return 0.0
        since_s = time.time() - before.began_s
        return self._settings.period_s - since_s if since_s >= 0 else 0.0  # The clock was set back.

    async def _once(self) -> None:
        began_s, run_id = time.time(), new_id().decode()
        self._began_s = time.monotonic()
        before = self._newest(read_state(self._directory))
        key_file = self._settings.key_file
        key = read_key(self._materials.data_dir / key_file if key_file is not None else None)
        secret = self._context.row.board.secret
        async with Poster(self._settings.request_s, self._settings.concurrency, key, secret) as poster:
            run = make_run(self._materials, run_id, poster)
            outcomes = await run.outcomes(checks(self._snapshot, self._config))
            rows = rows_of(outcomes, before, began_s)
            runs = before.runs + 1 if before is not None else 1
            state = CanaryState(run_id, began_s, time.time(), self._settings.period_s, runs, socket.gethostname(), rows)
            self._last = state
            is_kept = self._keep(state)
            failed = [row for row in rows if not row.ok]
            if failed:
                first = failed[0]
                _limited.warning(
                    "failed", "%d of %d canaries failed, such as that of %s at %s, at the stage %s: %s",
                    len(failed), len(rows), first.stream, first.target, first.stage, first.detail,
                )  # fmt: skip
            if is_kept and state.is_good and self._settings.ping_url is not None:
                await self._ping(poster, self._settings.ping_url)

    def _keep(self, state: CanaryState) -> bool:
        """Write the state. Returns whether that was possible: without it no alert tells of the next faults, so the
        external checker must not be told that all is well."""
        try:
            write_state(self._directory, state)
        except OSError as failed:
            _limited.warning("state", "the state of canaries in %s cannot be written: %s", self._directory, failed)
            return False
        return True

    def _newest(self, stored: CanaryState | None) -> CanaryState | None:
        """Return the stored state, or that of this process if it is newer: it could not be written, or not be read."""
        own = self._last
        return stored if own is None or (stored is not None and stored.runs >= own.runs) else own

    @staticmethod
    async def _ping(poster: Poster, url: str) -> None:
        reply = await poster.ping(url)
        if not 200 <= reply.status < 300:
            _limited.warning("ping", "the external checker of canaries was not told: %s", reply.text)

    def _use(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def _follow(self) -> None:
        if self._following is not None:
            self._following.look(asyncio.get_running_loop().call_later)


def run(materials: Materials, context: WorkerContext) -> int:
    """Be the canary process until told to stop. Returns the exit code."""
    os.nice(NICER)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Canaries(materials, context).run())
    return 0
