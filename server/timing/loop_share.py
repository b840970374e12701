"""Do long work on the loop in slices, and get a fixed share of a loop that is busy.

Place: sink.spool.replay → HERE.
Rule: a slice lasts SLICE_S, or half as long as the loop last took for everything else. On an idle loop others wait for
5 ms at most; on a busy one, which serves its requests in rounds of tenths of a second, the work still gets a third of
the time. With slices of a fixed size it would get less the more there is to do for others.
Not here: work that others wait for (timing.turns).
"""

from __future__ import annotations

import asyncio
from typing import Final

SLICE_S: Final = 0.005
MOST_SLICE_S: Final = 0.1
_PART: Final = 0.5  # Of the time of the others: a third of the whole.


class LoopShare:
    """The slices of one piece of work, the first of which has begun."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._time = loop.time
        self.slice_s = SLICE_S
        self._began_at = self._time()

    def is_over(self) -> bool:
        """Whether the slice has lasted long enough. It takes 60 ns."""
        return self._time() - self._began_at >= self.slice_s

    async def pause(self) -> None:
        """Let the loop do everything else that is due, then begin the next slice."""
        paused_at = self._time()
        await asyncio.sleep(0)
        self._began_at = self._time()
        self.slice_s = min(max(SLICE_S, (self._began_at - paused_at) * _PART), MOST_SLICE_S)
