"""Measure every callback of a worker's loop, from outside of the server: production has none of this.

Place: `python -m tests.fuzz.metered serve -c FILE` is `python -m server serve -c FILE`, with a loop that notes what
each callback took; test_routes does the same within its own process, and counts steps.
Rules: a callback is what the loop calls: a timer's, a reader's, one that is due soon, or a method of a connection. Time
is that of the thread's CPU. A busy machine changes it less than the clock's, but does: caches are cold after a switch,
and a virtual machine counts what its host takes. So the clock's time, switches that were forced on the thread, and the
time of the garbage collector are noted as well. What took SLOW_S and more is written to SLOW_FILE.
Not here: what is sent (cases), what is too long (routes).
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, Protocol

import uvloop

from server.http.protocol import Connection
from tests.steps import Steps

SLOW_FILE: Final = "FUZZ_SLOW_FILE"  # In the environment: where to append.
SLOW_S: Final = 0.002
METHODS: Final = (
    "connection_made",
    "data_received",
    "eof_received",
    "connection_lost",
    "pause_writing",
    "resume_writing",
)

Callback = Callable[..., Any]


class Meter(Protocol):
    """Calls, and notes what it took."""

    def call(self, callback: Callback, arguments: tuple[Any, ...]) -> Any:
        """Call it."""


class Clock:
    """CPU time. One write(2) for each line: workers share the file."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._collected_s = self._collecting_s = 0.0
        gc.callbacks.append(self._on_gc)

    def _on_gc(self, phase: str, _info: dict[str, int]) -> None:
        if phase == "start":
            self._collecting_s = time.thread_time()
        else:
            self._collected_s += time.thread_time() - self._collecting_s

    def call(self, callback: Callback, arguments: tuple[Any, ...]) -> Any:
        """Call it."""
        self._collected_s = 0.0
        switches = resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw
        clock_s, began_s = time.monotonic(), time.thread_time()
        try:
            return callback(*arguments)
        finally:
            took_s = time.thread_time() - began_s
            if took_s > SLOW_S:
                line = {
                    "pid": os.getpid(),
                    "ms": round(took_s * 1e3, 2),
                    "clock_ms": round((time.monotonic() - clock_s) * 1e3, 2),
                    "gc_ms": round(self._collected_s * 1e3, 2),
                    "switches": resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw - switches,
                    "what": _name_of(callback),
                }
                os.write(self._descriptor, json.dumps(line).encode() + b"\n")


class Counter:
    """Steps of the server's own callbacks; ``most`` is the largest, and whose it was."""

    def __init__(self) -> None:
        self.most = (0, "")

    def call(self, callback: Callback, arguments: tuple[Any, ...]) -> Any:
        """Call it."""
        if not (getattr(callback, "__module__", None) or "").startswith("server."):
            return callback(*arguments)
        with Steps() as steps:
            answer = callback(*arguments)
        self.most = max(self.most, (steps.count, _name_of(callback)))
        return answer


def loop_of(meter: Meter) -> type[uvloop.Loop]:
    """A loop whose callbacks are measured. uvloop takes instances of classes below its own."""

    def scheduling(name: str) -> Callback:
        inherited: Callback = getattr(uvloop.Loop, name)

        def schedule(loop: uvloop.Loop, callback: Callback, *arguments: Any, **options: Any) -> Any:
            return inherited(loop, meter.call, callback, arguments, **options)

        return schedule

    def scheduling_at(name: str) -> Callback:
        inherited: Callback = getattr(uvloop.Loop, name)

        def schedule(loop: uvloop.Loop, when: Any, callback: Callback, *arguments: Any, **options: Any) -> Any:
            return inherited(loop, when, meter.call, callback, arguments, **options)

        return schedule

    methods = {name: scheduling(name) for name in ("call_soon", "call_soon_threadsafe")}
    methods |= {name: scheduling_at(name) for name in ("call_later", "call_at", "add_reader")}
    return type("Metered", (uvloop.Loop,), methods)


def measured(meter: Meter) -> dict[str, Callback]:
    """The methods of a connection, measured."""
    return {name: _measured(meter, getattr(Connection, name)) for name in METHODS}


def _measured(meter: Meter, method: Callback) -> Callback:
    @wraps(method)
    def call(*arguments: Any) -> Any:
        return meter.call(method, arguments)

    return call


def _name_of(callback: Callback) -> str:
    return str(getattr(callback, "__qualname__", None) or repr(callback))[:200]


def main() -> int:
    """The server's command line."""
    from server.__main__ import main as serve

    meter = Clock(os.open(os.environ.pop(SLOW_FILE), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
    for name, method in measured(meter).items():
        setattr(Connection, name, method)
    vars(uvloop)["new_event_loop"] = loop_of(meter)
    return serve(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
