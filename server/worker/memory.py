"""Return a worker's free memory to the kernel after a burst of large requests.

Place: worker.process, on the beat → HERE → server.host.memory.
Rules: glibc keeps memory that is freed below the top of its heap, so a worker would keep the memory of its worst
minute for ever. It is returned on a thread, at most every EVERY_S, when GROWN_BYTES more are resident than after the
last time. A beat looks at that if LOOK_S have passed.
Not here: how much a worker may hold (http.limits, sink).
"""

from __future__ import annotations

import asyncio
from typing import Final

from server.host import memory

GROWN_BYTES: Final = 32 << 20
EVERY_S: Final = 10.0
LOOK_S: Final = 2.0  # Reading it takes an idle process 0.13 ms.


class Memory:
    """``look`` is called on the beat."""

    def __init__(self) -> None:
        self._least_bytes = memory.resident_bytes()
        self._look_s = self._next_s = 0.0
        self._trimming: asyncio.Future[None] | None = None

    def look(self) -> None:
        """Return memory if it is time to."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        if now < self._look_s:
            return
        self._look_s = now + LOOK_S
        resident = memory.resident_bytes()
        self._least_bytes = min(self._least_bytes, resident)
        if self._trimming is not None or resident < self._least_bytes + GROWN_BYTES or now < self._next_s:
            return
        try:
            self._trimming = loop.run_in_executor(None, memory.give_back)
        except RuntimeError:  # The process is ending: it has no threads any more.
            return
        self._trimming.add_done_callback(self._on_trimmed)

    def _on_trimmed(self, _done: asyncio.Future[None]) -> None:
        self._trimming = None
        self._least_bytes = memory.resident_bytes()  # The rest is in use.
        self._next_s = asyncio.get_running_loop().time() + EVERY_S
