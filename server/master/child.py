"""Fork a child, run its role, and end its process.

Place: master.fleet → HERE → worker, or a companion.
Rules: the child never returns into the master's frames; in every case it exits by ``os._exit``. It closes all
descriptors of the master that are not meant for it: a forgotten listening socket would keep an address alive.
Not here: what a child does (worker, fetch.process), what its end means (master.fleet).
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from server.errors import EXIT_FOUND, PenstockError
from server.host import stdio
from server.master import signals
from server.master.generation import WorkerContext
from server.timing import timers

Run = Callable[[WorkerContext], int]


def fork(run: Run, context: WorkerContext, not_inherited: Iterable[socket.socket]) -> int:
    """Start a child and return its pid; in the child this call never returns."""
    sys.stdout.flush()  # Buffered text would be written twice.
    pid = os.fork()
    if pid:
        return pid
    code = EXIT_FOUND
    try:
        code = _live(run, context, not_inherited)
    finally:
        os._exit(code)


def _live(run: Run, context: WorkerContext, not_inherited: Iterable[socket.socket]) -> int:
    log = logging.getLogger(context.name)
    _show(context.name)
    try:
        stdio.begin_child()
        timers.begin_child()
        signals.reset_in_child()
        context.row.board.stacks.answer()
        context.row.board.stacks.leave_when_dying(context.row.index)
        for mine_not in not_inherited:
            mine_not.close()
        context.row.pid = os.getpid()
        return run(context)
    except PenstockError as error:
        log.error("%s of slot %d: %s", context.name, context.slot, error)
        return error.exit_code
    except Exception:  # This is the top of a process.
        log.exception("%s of slot %d failed with an unexpected error", context.name, context.slot)
        return EXIT_FOUND
    finally:
        logging.shutdown()
        sys.stdout.flush()
        stdio.finish()


def _show(name: str) -> None:
    """Set the name that ``ps`` and ``top`` show, such as ``penstock:worker``. Without /proc nothing happens."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(f"penstock:{name}"[:15])
