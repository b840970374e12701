"""What all clients share: state that belongs to one process, ``submit``, and sending in the calling thread."""

from __future__ import annotations

import os
import sys
import threading
import time

from penstock_client import process
from penstock_client.errors import Closed, QueueFull, SpoolError

TYPE_CHECKING = False  # Type checkers take it for true; typing takes long to import.
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from penstock_client.connection import Connections
    from penstock_client.core import Core
    from penstock_client.options import Options, OptionValues
    from penstock_client.outcomes import FlushResult, Health, Ticket
    from penstock_client.spool import Spool

_getpid = os.getpid
_urandom = os.urandom
_monotonic = time.monotonic
_beginning = threading.Lock()
CENTURY_S = 3.2e9


def _random() -> float:
    """Return a number from 0 to 1, for jitter. The module random takes longer to import than all of this package."""
    return int.from_bytes(_urandom(6)) / 2.0**48


def deadline(timeout_s: float | None) -> float:
    """Return when a wait is over, in monotonic time. None and infinity: in a century, which locks can wait for."""
    return _monotonic() + (CENTURY_S if timeout_s is None else min(timeout_s, CENTURY_S))


class Client:
    """One client. In the child of a fork it begins again, empty, when it is first used there: what the parent has
    queued is the parent's to send."""

    _waits_in_thread = True  # Ticket.wait may block.
    _has_no_threads = False  # The caller sends.

    def __init__(self, url: str, values: OptionValues) -> None:
        from penstock_client.options import Options

        options = self.options = Options(url, **values)
        self._hasty = options.hasty
        self._is_strict = options.on_full != "drop_oldest"
        self._pid = 0
        self._connections: Connections | None = None
        self._was_made = False
        self._begin()
        self._was_made = True
        process.watch(self)

    def is_of_this_process(self) -> bool:
        """Whether the client was used in this process."""
        return self._pid == _getpid()

    def hold(self, timeout_s: float) -> bool:
        """Before a fork: keep other threads out of SQLite, whose own locks the child would find held for ever. Say
        whether the client is held."""
        return self._core.spool is not None and self.is_of_this_process() and self._lock.acquire(timeout=timeout_s)

    def let_go(self) -> None:
        """After a fork, in the parent."""
        self._lock.release()

    def leave_parent(self) -> None:
        """In the child of a fork: touch nothing that the parent uses."""
        global _beginning  # noqa: PLW0603 - a thread of the parent may have held it
        _beginning = threading.Lock()
        self._pid = 0
        if self._connections is not None:
            self._connections.close()  # Closes this process's descriptors alone.
            self._connections = None
        if self._core.spool is not None:
            self._core.spool.abandon()

    def _begin(self) -> None:
        with _beginning:
            if self._pid == _getpid():
                return
            process.load_what_threads_need(is_secure=self.options.is_secure())
            from penstock_client.connection import Connections
            from penstock_client.core import Core

            self._make_connections: Callable[[Options], Connections] = Connections
            spool, problem = self._open_spool()
            # Reentrant: a signal handler or a log handler may submit while this thread holds it.
            self._lock = threading.RLock()
            self._changed = threading.Condition(self._lock)
            self._driving = threading.Lock()
            self._connections = None
            self._core: Core = Core(self.options, _monotonic(), time.time_ns, _random, spool)
            if problem is not None:
                self._core.warn_of_spool(problem, _monotonic())
            self._wait_for = self._wait if self._waits_in_thread else None
            self._reset()
            self._pid = _getpid()
        process.hook_pools()

    def _open_spool(self) -> tuple[Spool | None, str | None]:
        """Return the spool, or why there is none. Raises SpoolError when the client is made; in the child of a fork,
        where ``submit`` begins, events are kept in memory instead."""
        if self.options.spool is None:
            return None, None
        from penstock_client.spool import Spool

        try:
            return Spool(self.options.spool, self.options.spool_max_bytes, self.options.url), None
        except SpoolError as error:
            if not self._was_made:
                raise
            return None, str(error)

    def _reset(self) -> None:
        """Set what a kind of client adds."""

    # Submitting.

    def submit(
        self, stream: str, event: Mapping[str, Any], *, hasty: bool | None = None, ids: Mapping[str, str] | None = None
    ) -> Ticket:
        """Queue an event and return at once. The event is copied: ``meta.id``, ``meta.stream`` and ``dt`` are written
        into the copy, and its bytes are made now. ``ids`` are for sampling. What is wrong with an event is the outcome
        of its ticket; raises QueueFull with ``on_full="raise"``, and Closed after ``close``. After the flush at the end
        of the process, where threads and finalizers may still submit, the outcome says that instead. With the inline
        driver it sends the batch that it completes."""
        if self._pid != _getpid():
            self._begin()
        core = self._core
        is_hasty = self._hasty if hasty is None else bool(hasty)
        ticket = core.prepare(stream, event, is_hasty, ids, _monotonic(), self._wait_for)
        with self._lock:
            if core.is_closed:
                if not process.is_ending():
                    raise Closed("this intake was closed")
                core.offer(ticket)  # It refuses, and counts.
            elif self._is_strict and core.is_full(ticket) and not self._has_found_room(ticket):
                core.refuse(ticket, "queue_full", "the queue is full")
            elif core.offer(ticket):
                self._on_taken(ticket)
        if core.outbox:
            self._run_outbox()
        if self._has_no_threads:
            self._send_in_submit(ticket)
        return ticket

    def _send_in_submit(self, ticket: Ticket) -> None:
        """Nothing sends in the background: send the batch that this event completes."""

    def submit_all(
        self, stream: str, events: Iterable[Mapping[str, Any]], *, hasty: bool | None = None
    ) -> list[Ticket]:
        """Queue several events of one stream."""
        return [self.submit(stream, event, hasty=hasty) for event in events]

    def is_in_sample(self, stream: str, ids: Mapping[str, str] | None = None) -> bool:
        """Whether an event of the stream would be sent as far as sampling goes: ask before building a costly event."""
        if self._pid != _getpid():
            self._begin()
        return self._core.is_in_sample(stream, ids)

    def _has_found_room(self, ticket: Ticket) -> bool:
        if self.options.on_full == "raise":
            self._core.refuse(ticket, "queue_full", "the queue is full")
            raise QueueFull(f"{self._core.pending()} events wait; this one was not taken")
        if self.options.on_full == "block":
            deadline_s = _monotonic() + self.options.block_s
            self._until(lambda: not self._core.is_full(ticket), deadline_s)
        return not self._core.is_full(ticket)

    def _until(self, is_so: Callable[[], bool], deadline_s: float) -> bool:
        """Wait with the lock held until something is so, and say whether it is."""
        while not is_so():
            left_s = deadline_s - _monotonic()
            if left_s <= 0:
                return False
            self._changed.wait(min(left_s, threading.TIMEOUT_MAX))
        return True

    def _on_taken(self, ticket: Ticket) -> None:
        """An event waits now. The lock is held."""

    def _wait(self, ticket: Ticket, timeout: float | None) -> None:
        deadline_s = deadline(timeout)
        with self._lock:
            self._until(lambda: ticket.is_done, deadline_s)

    # State.

    def health(self) -> Health:
        """Return the state of this process's client."""
        if self._pid != _getpid():
            self._begin()
        with self._lock:
            return self._core.health(_monotonic())

    def metrics(self) -> dict[str, Any]:
        """Return counts and gauges: plain numbers, and dicts by reason. penstock_client.metrics has adapters."""
        from penstock_client.metrics import read

        if self._pid != _getpid():
            self._begin()
        with self._lock:
            return read(self._core, _monotonic())

    # Sending in the calling thread.

    def _drive(self, is_over: Callable[[], bool], deadline_s: float) -> None:
        """Send until ``is_over`` (asked with the lock held) or the deadline."""
        if not self._driving.acquire(timeout=max(deadline_s - _monotonic(), 0.0)):
            return
        connections = self._connections = self._connections or self._connect()
        try:
            while (now_s := _monotonic()) < deadline_s:
                with self._lock:
                    if is_over():
                        return
                    job = self._core.next_job(now_s)
                    if job is None and is_over():  # It may have found that nothing is left on disk.
                        return
                    wake_s = self._core.wake_s()
                self._run_outbox()
                if job is None:
                    time.sleep(max(min(wake_s, deadline_s) - _monotonic(), 0.0))
                    continue
                result = connections.attempt(job, min(deadline_s, now_s + self.options.timeout_s))
                with self._lock:
                    self._core.done(job, result, _monotonic())
                    self._changed.notify_all()
                self._run_outbox()
        finally:
            self._driving.release()
            if self._core.outbox:  # The last turn may have dropped events instead of sending any.
                self._run_outbox()

    def _connect(self) -> Connections:
        return self._make_connections(self.options)

    def _run_outbox(self) -> None:
        """Call callbacks and log, without the lock."""
        outbox = self._core.outbox
        while outbox:
            try:
                action = outbox.pop(0)
            except IndexError:  # Another thread took it.
                return
            try:
                action()
            except BaseException as error:  # Callbacks are not ours: the next ones are called all the same.
                if not isinstance(error, Exception) and threading.current_thread() is threading.main_thread():
                    raise  # The program is to end.
                if sys.is_finalizing():  # Nothing can be imported any more, logging neither.
                    continue
                import logging

                logging.getLogger("penstock_client").exception("a callback of on_drop or on_done failed")
        with self._lock:  # Events that were dropped have their outcome too.
            self._changed.notify_all()

    def _nothing(self) -> FlushResult:
        from penstock_client.outcomes import FlushResult

        return FlushResult(0, 0, 0, 0)

    def _finish(self, deadline_s: float) -> FlushResult:
        """Send what is left in the calling thread, and close."""
        with self._lock:
            mark = self._core.begin_flush(_monotonic())
        self._drive(lambda: self._core.is_flushed(mark), deadline_s)
        return self._close_core()

    def _close_core(self) -> FlushResult:
        with self._lock:
            if not self._core.is_closed:
                self._core.close(_monotonic())
            result = self._core.end_flush()
            self._changed.notify_all()
        process.forget(self)
        self._run_outbox()
        return result

    def close_at_exit(self, deadline_s: float) -> None:
        """Flush and close at the end of the process."""
        self._finish(deadline_s)
        self._close_connections()

    def _close_connections(self) -> None:
        if self._connections is not None:
            self._connections.close()
