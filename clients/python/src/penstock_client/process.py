"""What the process does to its clients: forks, ends, signals."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time

TYPE_CHECKING = False  # Type checkers take it for true; typing takes long to import.
if TYPE_CHECKING:
    from types import FrameType

    from penstock_client.client import Client

_clients: set[Client] = set()
_lock = threading.Lock()
_hooked: set[int] = set()
_held_for_fork: list[Client] = []
FORK_WAIT_S = 1.0  # How long a fork waits, at most, for what another thread does with a spool.
_ending = 0  # The process whose clients are closed, or being closed, for its end.


def watch(client: Client) -> None:
    """Flush a client at the end of the process, until ``forget``; and make it begin again in the child of a fork."""
    with _lock:
        _clients.add(client)


def forget(client: Client) -> None:
    """A client was closed."""
    with _lock:
        _clients.discard(client)


def _before_fork() -> None:
    _held_for_fork[:] = [client for client in list(_clients) if client.hold(FORK_WAIT_S)]


def _after_fork_in_parent() -> None:
    while _held_for_fork:
        _held_for_fork.pop().let_go()


def _after_fork_in_child() -> None:
    global _lock  # noqa: PLW0603 - a thread of the parent may have held it
    _lock = threading.Lock()
    _hooked.clear()
    _held_for_fork.clear()  # The child makes locks of its own.
    for client in _clients:
        client.leave_parent()


def is_ending() -> bool:
    """Whether clients were closed because this process ends."""
    return _ending == os.getpid()


def close_all() -> None:
    """Flush and close every client, within the longest ``exit_timeout_s`` of them."""
    global _ending  # noqa: PLW0603 - one process has one end
    _ending = os.getpid()
    began_s = time.monotonic()
    for client in list(_clients):
        if client.is_of_this_process():
            client.close_at_exit(began_s + client.options.exit_timeout_s)


def load_what_threads_need(*, is_secure: bool) -> None:
    """Import, in the thread that makes a client, all that its sending thread needs later. Not at the import of the
    package, for these modules take 20 ms; and not in that thread: the child of a fork in the middle of an import waits
    for ever for the half of the module that no thread of it will finish. ``is_secure``: there is an https address."""
    import codecs
    import logging  # noqa: F401
    import socket  # noqa: F401

    codecs.lookup("idna")  # Of every name that is looked up, and of TLS. It is imported by its first use.
    if is_secure:
        import ssl  # noqa: F401


def hook_pools() -> None:
    """Close clients at the end of a child of multiprocessing or of Celery, which skips ``atexit``. Called when a client
    is first used in a process: such children drop what was registered before they began."""
    if os.getpid() in _hooked:
        return
    _hooked.add(os.getpid())
    util, process = sys.modules.get("multiprocessing.util"), sys.modules.get("multiprocessing.process")
    if util is not None and process is not None and process.parent_process() is not None:
        util.Finalize(None, close_all, exitpriority=-100)  # After everything that may still submit.
    signals = sys.modules.get("celery.signals")
    if signals is not None:  # Its pool ends children by os._exit, after this signal.
        signals.worker_process_shutdown.connect(_on_worker_shutdown, weak=False)


def _on_worker_shutdown(**_: object) -> None:
    close_all()


def exit_on_sigterm() -> None:
    """Make SIGTERM end the program by ``SystemExit``, so that clients are flushed as at any other exit. For programs
    that do not handle SIGTERM themselves; the default action ends a process without running anything. A SIGTERM during
    that flush changes nothing: it ends within ``exit_timeout_s`` anyhow."""
    import signal

    def leave(number: int, _: FrameType | None) -> None:
        if not is_ending():
            raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)


atexit.register(close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
