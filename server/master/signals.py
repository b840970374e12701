"""Block and await the signals of the master, and define the order that each one gives.

Place: kernel → HERE → master.loop.
Rules: signals are blocked for the life of the master, and all but INT and QUIT before (``hold``); they are taken one
by one by ``await_signal``, so none of them ever interrupts anything; a child gets its mask and its handlers back before
it does anything else.

    TERM       drain the workers, then exit 0
    INT, QUIT  end now
    HUP        new settings with new workers; the old ones drain once all new ones are ready
    TTIN TTOU  one worker more, one fewer
    CHLD       a child has ended: reap it
    ALRM       our own: the deadline of the wait
    PIPE       ignored, by the children too: a client, a broker or a reader of the log that has gone is an error of one
               write (uvloop and OpenSSL write without MSG_NOSIGNAL), not the end of a process
    USR2       ignored; the children write down their stacks for the admin process (server.shared.stacks)

To its workers the master sends TERM (drain), INT (end now), ABRT (dump the stacks and die) and KILL.
Not here: handling orders (master.loop).
"""

from __future__ import annotations

import os
import signal
import time
from enum import Enum, auto


class Order(Enum):
    """The order that a signal gives to the master."""

    DRAIN = auto()
    END = auto()
    RELOAD = auto()
    MORE = auto()
    FEWER = auto()
    REAP = auto()


TABLE = {
    signal.SIGTERM: Order.DRAIN,
    signal.SIGINT: Order.END,
    signal.SIGQUIT: Order.END,
    signal.SIGHUP: Order.RELOAD,
    signal.SIGTTIN: Order.MORE,
    signal.SIGTTOU: Order.FEWER,
    signal.SIGCHLD: Order.REAP,
}
_AWAITED = frozenset(TABLE) | {signal.SIGALRM}


def hold() -> None:
    """Hold orders back while the settings are read, so that an early TERM ends in exit code 0 as a late one does. INT
    and QUIT still end the process at once, even in a slow read: there is nothing to drain yet.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED - {signal.SIGINT, signal.SIGQUIT})


def block() -> None:
    """Block the signals of the table; from here on they wait for ``await_signal``.

    A parent may have left CHLD ignored, and the kernel would then reap our workers by itself.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    for number in _AWAITED:
        signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGPIPE, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)


def await_signal(deadline: float) -> Order | None:
    """Return the next order, or None at ``time.monotonic()`` = deadline, or a little before.

    Not ``sigtimedwait`` with a time: interrupted (SIGSTOP and SIGCONT, a debugger) beyond its deadline, CPython's
    returns a random value from the stack as if it were a signal. With 0 it cannot be interrupted.
    """
    wait_s = deadline - time.monotonic()
    if wait_s > 0:
        signal.setitimer(signal.ITIMER_REAL, wait_s)
        return TABLE.get(signal.Signals(signal.sigwait(_AWAITED)))
    taken = signal.sigtimedwait(TABLE, 0)
    return TABLE[signal.Signals(taken.si_signo)] if taken is not None else None


def is_stop_pending() -> bool:
    """Whether a TERM waits. Long work before the master begins to await signals asks this."""
    return signal.SIGTERM in signal.sigpending()


def reset_in_child() -> None:
    """Give a forked child default handlers, but for PIPE, then an empty mask."""
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for number in (*_AWAITED, signal.SIGABRT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def describe_end(wait_status: int) -> str:
    """Describe how a child ended: ``exit code 5`` or ``SIGSEGV``."""
    code = os.waitstatus_to_exitcode(wait_status)
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:  # Real-time signals have no name.
        return f"signal {-code}"
