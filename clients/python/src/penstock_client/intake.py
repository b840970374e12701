"""The client for programs without asyncio: a thread sends, or the caller does."""

from __future__ import annotations

import threading
import time

from penstock_client.client import Client, deadline

TYPE_CHECKING = False  # Type checkers take it for true; typing takes long to import.
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Literal, Self, Unpack

    from penstock_client.connection import Connections
    from penstock_client.core import Core
    from penstock_client.options import OptionValues
    from penstock_client.outcomes import FlushResult, Outcome, Ticket

_monotonic = time.monotonic


class Intake(Client):
    """Sends events to the intake at ``url``.

    ``driver="thread"``: a daemon thread sends; it starts with the first event of each process. ``driver="inline"``:
    nothing runs in the background; events are sent by ``flush`` and ``close``, and by the ``submit`` that completes a
    batch. All methods may be called from any thread. ``Options`` lists the other keywords.
    """

    def __init__(
        self, url: str, *, driver: Literal["thread", "inline"] = "thread", **options: Unpack[OptionValues]
    ) -> None:
        if driver not in ("thread", "inline"):
            raise ValueError(f"driver is thread or inline, not {driver!r}")
        self._is_inline = driver == "inline"
        super().__init__(url, options)

    def _reset(self) -> None:
        self._work = threading.Condition(self._lock)
        self._thread: threading.Thread | None = None
        self._sleeps = False
        self._has_no_threads = self._is_inline

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _send_in_submit(self, ticket: Ticket) -> None:
        if self._core.has_batch(ticket):
            deadline_s = _monotonic() + self.options.timeout_s
            self._drive(lambda: not self._core.has_batch(ticket) or self._core.is_paused(ticket), deadline_s)

    def submit_now(
        self,
        stream: str,
        event: Mapping[str, Any],
        *,
        timeout: float | None = 15.0,
        ids: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Send an event without waiting for others to share its request, guaranteed, and return its outcome. It is
        pending if that is not known after ``timeout`` seconds; the client goes on trying."""
        deadline_s = deadline(timeout)
        ticket = self.submit(stream, event, hasty=False, ids=ids)
        core = self._core
        with self._lock:
            core.begin_hurry(_monotonic())
            has_thread = self._has_sender()
            if has_thread:
                self._until(lambda: ticket.is_done, deadline_s)
        if not has_thread:
            self._drive(lambda: ticket.is_done, deadline_s)
        with self._lock:
            core.end_hurry()
        return ticket.outcome

    def flush(self, timeout: float | None = 5.0) -> FlushResult:
        """Send everything that was submitted so far. Returns when all of it has an outcome, and at the latest after
        ``timeout`` seconds (None: not before); events that are submitted meanwhile do not prolong it."""
        deadline_s = deadline(timeout)
        if not self.is_of_this_process():
            self._begin()
        self._flush_by(deadline_s)
        with self._lock:
            return self._core.end_flush()

    def close(self, timeout: float | None = 5.0) -> FlushResult:
        """Flush, for ``timeout`` seconds at most, and take no more events. What is left is dropped and counted, or
        stays on disk for the next client of the spool. Closing twice is harmless."""
        if not self.is_of_this_process():
            self._begin()
        if self._core.is_closed:
            return self._nothing()
        return self._close_by(deadline(timeout))

    def close_at_exit(self, deadline_s: float) -> None:
        """Flush and close at the end of the process."""
        self._close_by(deadline_s)

    def _flush_by(self, deadline_s: float) -> None:
        """Wait until everything that was submitted so far has an outcome, until ``deadline_s`` at the latest."""
        core = self._core
        with self._lock:
            mark = core.begin_flush(_monotonic())
            has_thread = core.is_flushed(mark) or self._has_sender()
            if has_thread:
                self._until(lambda: core.is_flushed(mark), deadline_s)
        if not has_thread:
            self._drive(lambda: core.is_flushed(mark), deadline_s)

    def _close_by(self, deadline_s: float) -> FlushResult:
        self._flush_by(deadline_s)
        result = self._close_core()
        thread = self._thread
        with self._lock:
            self._work.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(max(deadline_s - _monotonic(), 0.0))  # It may be about to call back, or to log.
        self._close_connections()
        return result

    # The thread.

    def _on_taken(self, ticket: Ticket) -> None:
        if self._thread is None:
            self._has_sender()
        elif self._sleeps and self._core.wants_sender(ticket):
            self._work.notify()

    def _has_sender(self) -> bool:
        """Wake the thread, or start it; False: there can be none. The lock is held."""
        if self._has_no_threads:
            return False
        if self._thread is not None and self._thread.is_alive():
            self._work.notify()
            return True
        self._thread = threading.Thread(target=self._send, args=(self._core,), name="penstock-client", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # The interpreter is about to end: from Python 3.12 on no thread can be started then.
            self._thread = None
            self._has_no_threads = True
        return self._thread is not None

    def _send(self, core: Core) -> None:
        connections = self._connect()
        while not core.is_closed:
            try:
                self._take_turn(core, connections)
            except BaseException as error:  # Such as SystemExit of a callback: no exception ends this thread.
                with self._lock:
                    core.fail(None, error, _monotonic())
        connections.close()

    def _take_turn(self, core: Core, connections: Connections) -> None:
        """Make the next request, or wait for one."""
        with self._lock:
            now_s = _monotonic()
            job = core.next_job(now_s)
            if job is None and not core.outbox:
                self._changed.notify_all()  # What a flush waits for may have been found on disk, and nothing there.
                self._sleeps = True
                self._work.wait(min(max(core.wake_s() - now_s, 0.0), 3600.0))
                self._sleeps = False
        if core.outbox:
            self._run_outbox()
        if job is None:
            return
        result = connections.attempt(job, _monotonic() + self.options.timeout_s)
        with self._lock:
            core.done(job, result, _monotonic())
            self._changed.notify_all()
        if core.outbox:
            self._run_outbox()
