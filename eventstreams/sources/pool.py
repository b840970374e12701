"""A bounded number of readers that all clients of a worker share, each on a thread.

Place: hub, start and client → HERE → sources.kafka or sources.sqlite.
Rules: a job waits for a free reader, first come, first served. A client that goes on where it stopped gets the reader
that it had, if that is free, because it has the next events already. An idle reader is closed after a while.
Not here: what is read (sources.base).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from eventstreams.record import Place
from eventstreams.sources.base import Batch, Described, Reader

IDLE_S: Final = 60.0
BATCH_BYTES: Final = 1 << 20
BATCH_EVENTS: Final = 1_000

Result = TypeVar("Result")


class _Idle:
    __slots__ = ("key", "reader", "since")

    def __init__(self, reader: Reader, key: object, since: float) -> None:
        self.reader = reader
        self.key = key
        self.since = since


class ReaderPool:
    """``make`` makes a reader, on a thread. ``waiting`` counts jobs without a reader; ``jobs`` all that were done."""

    def __init__(self, make: Callable[[], Reader], most: int) -> None:
        self._make = make
        self._executor = ThreadPoolExecutor(most, thread_name_prefix="reader")
        self._free = asyncio.Semaphore(most)
        self._idle: list[_Idle] = []
        self.waiting = 0
        self.busy = 0
        self.jobs = 0

    async def describe(self, topics: Sequence[str]) -> Described:
        return await self._do(None, lambda reader: reader.describe(topics))

    async def at_times(self, times_ms: Mapping[Place, int]) -> dict[Place, int | None]:
        return await self._do(None, lambda reader: reader.at_times(times_ms)) if times_ms else {}

    async def read(
        self,
        key: object,
        positions: Mapping[Place, int],
        most_bytes: int = BATCH_BYTES,
        most_events: int = BATCH_EVENTS,
    ) -> Batch:
        """Read on for the client ``key``."""
        wanted = dict(positions)
        return await self._do(key, lambda reader: reader.read(wanted, most_bytes, most_events))

    def tidy(self) -> None:
        """Close readers that were idle for a while. This is called now and then, on the loop."""
        now = time.monotonic()
        for one in [one for one in self._idle if now - one.since > IDLE_S]:
            self._idle.remove(one)
            self._executor.submit(one.reader.close)

    def close(self) -> None:
        """Close all readers. A job under way ends on its own."""
        for one in self._idle:
            self._executor.submit(one.reader.close)
        self._idle.clear()
        self._executor.shutdown(wait=False)

    async def _do(self, key: object, job: Callable[[Reader], Result]) -> Result:
        self.waiting += 1
        try:
            await self._free.acquire()
        finally:
            self.waiting -= 1
        self.busy += 1
        idle = self._take(key)
        try:
            reader, result = await asyncio.get_running_loop().run_in_executor(self._executor, self._run, idle, job)
            self._idle.append(_Idle(reader, key, time.monotonic()))
            return result
        finally:
            self.jobs += 1
            self.busy -= 1
            self._free.release()

    def _take(self, key: object) -> Reader | None:
        if not self._idle:
            return None
        at = next((at for at, one in enumerate(self._idle) if one.key is key and key is not None), None)
        if at is None:  # The one that was idle longest: others may be wanted again by their clients.
            at = 0
        return self._idle.pop(at).reader

    def _run(self, reader: Reader | None, job: Callable[[Reader], Result]) -> tuple[Reader, Result]:
        reader = reader or self._make()
        try:
            return reader, job(reader)
        except BaseException:
            reader.close()  # It may be in any state: the next job gets a new one.
            raise
