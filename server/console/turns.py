"""Go through the rows of the console without keeping other requests waiting.

Place: console.routes, console.viewers, console.checks.expect → HERE → console.ring.
Rule: to match a row against a filter it is decoded, and for a full console this takes a second: other work of the loop
is done in between.
Not here: what is looked for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Final

from server.console.ring import Ring
from server.console.rows import Row

SLICE: Final = 200  # Rows that are taken from the ring at once. It may change in between.
TURN_S: Final = 0.01


async def rows_after(ring: Ring, seq: int) -> AsyncIterator[Row]:
    """Yield the rows after a number, oldest first, also those that come meanwhile. Rows that are forgotten meanwhile
    are left out: the number of the next row shows it."""
    began_s = time.monotonic()
    while rows := list(ring.after(seq, SLICE)):
        for row in rows:
            yield row
            if time.monotonic() - began_s > TURN_S:
                await asyncio.sleep(0)
                began_s = time.monotonic()
        seq = rows[-1].seq
