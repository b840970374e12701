"""The client for asyncio: a task of the running loop sends."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Self, Unpack

from penstock_client.async_connection import AsyncConnections
from penstock_client.client import Client, deadline
from penstock_client.core import Core
from penstock_client.jobs import Result
from penstock_client.options import OptionValues
from penstock_client.outcomes import FlushResult, Outcome, Ticket

CLOSING_TURNS = 10

_monotonic = time.monotonic


class AsyncIntake(Client):
    """Sends events to the intake at ``url``. ``submit`` is a plain function that does not block, and may be called
    before a loop runs and from any thread; the ticket that it returns can be awaited. What is left when the loop ends
    is sent at the end of the process, or by ``close`` on another loop."""

    _waits_in_thread = False

    def __init__(self, url: str, **options: Unpack[OptionValues]) -> None:
        if options.get("on_full") == "block":
            raise ValueError("on_full='block' would hold up the loop; choose drop_oldest, drop_new or raise")
        super().__init__(url, options)

    def _reset(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._work: asyncio.Event | None = None
        self._waiters: set[asyncio.Future[None]] = set()
        self._sleeps = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def submit_now(
        self,
        stream: str,
        event: Mapping[str, Any],
        *,
        timeout: float | None = 15.0,
        ids: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Send an event without waiting for others to share its request, guaranteed, and return its outcome. It is
        pending if that is not known after ``timeout`` seconds; the client goes on trying."""
        ticket = self.submit(stream, event, hasty=False, ids=ids)
        core = self._core
        with self._lock:
            core.begin_hurry(_monotonic())
        try:
            await self._until_so(lambda: ticket.is_done, deadline(timeout))
        finally:
            with self._lock:
                core.end_hurry()
        return ticket.outcome

    async def flush(self, timeout: float | None = 5.0) -> FlushResult:
        """Send everything that was submitted so far. Returns when all of it has an outcome, and at the latest after
        ``timeout`` seconds (None: not before); events that are submitted meanwhile do not prolong it."""
        if not self.is_of_this_process():
            self._begin()
        core = self._core
        with self._lock:
            mark = core.begin_flush(_monotonic())
        try:
            await self._until_so(lambda: core.is_flushed(mark), deadline(timeout))
        finally:
            with self._lock:
                result = core.end_flush()
        return result

    async def close(self, timeout: float | None = 5.0) -> FlushResult:
        """Flush, for ``timeout`` seconds at most, and take no more events. What is left is dropped and counted, or
        stays on disk for the next client of the spool. Closing twice is harmless."""
        if not self.is_of_this_process():
            self._begin()
        core = self._core
        if core.is_closed:
            return self._nothing()
        with self._lock:
            mark = core.begin_flush(_monotonic())
        try:
            await self._until_so(lambda: core.is_flushed(mark), deadline(timeout))
        finally:
            result = self._close_core()
            task, self._task = self._task, None
            if task is not None and self._loop is asyncio.get_running_loop():
                task.cancel()
                # The task and the connections that it gives up need a few turns of the loop to end. Turns are counted:
                # no clock says how long a turn takes on a busy machine.
                for _ in range(CLOSING_TURNS):
                    await asyncio.sleep(0)
        return result

    # The task.

    def _on_taken(self, ticket: Ticket) -> None:
        if self._task is None:
            try:
                self._start()
            except RuntimeError:  # No loop runs in this thread: the first flush starts the task.
                return
        elif self._sleeps and self._core.wants_sender(ticket):
            self._wake()

    def _start(self) -> None:
        """Start the task on the running loop, if it does not run there already. Raises RuntimeError without a loop."""
        loop = asyncio.get_running_loop()
        if self._task is not None and self._loop is loop and not self._task.done():
            return
        self._loop = loop
        self._work = asyncio.Event()
        self._waiters = set()
        self._task = loop.create_task(self._send(self._core, self._work), name="penstock-client")

    def _wake(self) -> None:
        loop, work = self._loop, self._work
        if loop is None or work is None:
            return
        if self._thread_id == threading.get_ident():
            work.set()
            return
        try:
            loop.call_soon_threadsafe(work.set)
        except RuntimeError:  # The loop has ended: the end of the process sends what is left.
            self._sleeps = False

    async def _send(self, core: Core, work: asyncio.Event) -> None:
        self._thread_id = threading.get_ident()
        connections = AsyncConnections(self.options)
        try:
            while not core.is_closed:
                with self._lock:
                    now_s = _monotonic()
                    job = core.next_job(now_s)
                    work.clear()
                    self._sleeps = job is None and not core.outbox
                    delay_s = min(max(core.wake_s() - now_s, 0.0), 3600.0)
                if core.outbox:
                    self._run_outbox()
                    self._tell()
                if job is None:
                    self._tell()
                    await _within(work.wait(), delay_s)
                    continue
                try:
                    result: Result = await connections.run(job, _monotonic() + self.options.timeout_s)
                except Exception as error:
                    result = error
                except BaseException:  # Cancelled: what became of the request is not known.
                    with self._lock:
                        core.done(job, "timeout", _monotonic())
                    raise
                with self._lock:
                    core.done(job, result, _monotonic())
                self._run_outbox()
                self._tell()
        finally:
            self._sleeps = False
            connections.close()

    def _tell(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _until_so(self, is_so: Callable[[], bool], deadline_s: float) -> None:
        self._start()
        self._wake()
        loop = asyncio.get_running_loop()
        while True:
            with self._lock:
                if is_so():
                    return
            left_s = deadline_s - _monotonic()
            if left_s <= 0:
                return
            waiter: asyncio.Future[None] = loop.create_future()
            self._waiters.add(waiter)
            try:
                await _within(waiter, left_s)
            finally:
                self._waiters.discard(waiter)

    _thread_id = 0


async def _within(waits: Any, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await waits
    except TimeoutError:
        return
