"""Look for one canary where clients of EventStreams read: in a stream that is open before the canary is sent.

Place: canary.run → HERE → canary.post, which reads the stream.
Rules: the stream is read as any client does, from its newest event on; one that ends or is refused is asked for again,
from a time before the canary on. Nothing here has a deadline: the run stops it.
Not here: which streams are public (canary.plan), what an absent canary means (canary.verdict).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from server.canary.event import Canary
    from server.canary.verdict import Facts

AGAIN_S: Final = 0.5


class Reads(Protocol):
    """The part of canary.post.Poster that is used here."""

    async def read(self, url: str, needle: bytes, on_open: Callable[[], None]) -> str: ...


class Listening:
    """The search for one canary, which notes in ``facts`` how it went. ``url`` is that of the stream."""

    def __init__(self, reads: Reads, url: str, canary: Canary, facts: Facts) -> None:
        self._reads = reads
        self._url = f"{url}?canary=true&format=ndjson&filter=%22{canary.identity}%22"
        self._needle = canary.identity.encode()
        self._facts = facts
        self._since_ms = int((time.time() - facts.max_skew_s) * 1000)
        self._is_open = asyncio.Event()
        facts.is_shown = False
        self._task = asyncio.create_task(self._run())

    async def until_open(self, within_s: float) -> None:
        """Wait until the stream is open, at most for this time."""
        try:
            await asyncio.wait_for(self._is_open.wait(), within_s)
        except TimeoutError:
            self._facts.reader_text = self._facts.reader_text or f"it has not answered within {within_s:.1f} s"

    async def until_shown(self, within_s: float) -> None:
        """Wait until the canary has come, at most for this time."""
        await asyncio.wait([self._task], timeout=within_s)

    async def stop(self) -> None:
        """Close the stream."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        url = self._url
        while why := await self._reads.read(url, self._needle, self._opened):
            self._facts.reader_text = why
            url = f"{self._url}&since={self._since_ms}"
            await asyncio.sleep(AGAIN_S)
        self._facts.is_shown = True

    def _opened(self) -> None:
        self._facts.reader_text = ""
        self._is_open.set()
