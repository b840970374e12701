"""From the fork to ``run_worker``, and from its return to the exit of the process.

Place: master.fleet → HERE → worker.
Rules: the child never returns into the master's frames; whatever happens it leaves by ``os._exit``. It keeps no
descriptor of the master that is not its own: a forgotten listening socket would keep an address alive.
Not here: what a worker does (worker), what its end means (master.fleet).
"""

from __future__ import annotations

import faulthandler
import logging
import os
import socket
import sys
from collections.abc import Iterable

from server.errors import EXIT_FOUND, PenstockError
from server.master import signals
from server.master.generation import Generation, WorkerContext

STDERR = 2

_logger = logging.getLogger("worker")


def fork(generation: Generation, context: WorkerContext, not_inherited: Iterable[socket.socket]) -> int:
    """Start a worker and return its pid; in the child this call never returns."""
    sys.stdout.flush()  # What is buffered would be written twice.
    pid = os.fork()
    if pid:
        return pid
    code = EXIT_FOUND
    try:
        code = _live(generation, context, not_inherited)
    finally:
        os._exit(code)


def _live(generation: Generation, context: WorkerContext, not_inherited: Iterable[socket.socket]) -> int:
    try:
        signals.reset_in_child()
        faulthandler.enable(STDERR)  # A crash, or ABRT from the master, leaves the stack of every thread.
        for mine_not in not_inherited:
            mine_not.close()
        context.row.pid = os.getpid()
        return generation.run_worker(context)
    except PenstockError as error:
        _logger.error("worker of slot %d: %s", context.slot, error)
        return error.exit_code
    except Exception:  # The top of a process.
        _logger.exception("worker of slot %d ends by an unexpected error", context.slot)
        return EXIT_FOUND
    finally:
        logging.shutdown()
        sys.stdout.flush()
