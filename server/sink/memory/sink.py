"""Keep events in memory: for tests, and for measuring everything but a sink.

Place: intake.pipeline → HERE → intake.pending. The contract is in sink.base.
Rules: acks come in the next loop turn. Only the newest KEPT records are held, so that a load test cannot eat the host.
Not here: anything durable.
"""

# hot path

from __future__ import annotations

import asyncio
import logging
import traceback
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from server.log import Limited
from server.record import Record
from server.sink.base import BATCH_TOO_LARGE, OnAck, Sink

KEPT: Final = 100_000
_LOOK_EVERY_S: Final = 0.001

_limited = Limited(logging.getLogger("sink.memory"))


class MemorySink(Sink):
    """The contract is in sink.base. A test may set

    ``refusal``: what ``submit`` answers instead of taking the record ·
    ``failure``: the ``error_type`` that acks carry; ``batch_too_large`` only those of topics not in ``separated`` ·
    ``can_separate``: what ``separate`` answers ·
    ``is_unreachable``: it is away, and full ·
    ``is_held``: acks wait until it is False and ``release`` is called.

    ``recalled`` tells of recalls, of which it makes none by itself.
    """

    def __init__(self, *, max_outstanding: int = 50_000) -> None:
        self.records: deque[Record] = deque(maxlen=KEPT)
        self.refusal: str | None = None
        self.failure: str | None = None
        self.is_held = False
        self.is_unreachable = False
        self.can_separate = True
        self.separated: set[str] = set()
        self.callback_failures = 0
        self._max_outstanding = max_outstanding
        self._on_recall: list[Callable[[], None]] = []
        self._waiting: list[tuple[Record, OnAck]] = []
        self._is_scheduled = False

    async def open(self) -> None:  # cold: once
        self._call_soon = asyncio.get_running_loop().call_soon

    def submit(self, record: Record, on_ack: OnAck) -> str | None:
        if self.refusal is not None:
            return self.refusal
        if len(self._waiting) >= self._max_outstanding:
            return "queue_full"
        self._waiting.append((record, on_ack))
        if not self._is_scheduled and not self.is_held:
            self._is_scheduled = True
            self._call_soon(self.release)
        return None

    def is_full(self) -> bool:
        return self.is_unreachable or len(self._waiting) >= self._max_outstanding

    def outstanding(self) -> int:
        return len(self._waiting)

    def recall(self) -> None:
        """Do nothing: all acks come in the next turn."""

    def tell_of_recalls(self, on_recall: Callable[[], None]) -> None:
        self._on_recall.append(on_recall)

    def recalled(self) -> None:
        """Tell of a recall."""
        for on_recall in self._on_recall:
            on_recall()

    def separate(self, topic: str, *, is_keyed: bool) -> bool:
        self.separated.add(topic)
        return self.can_separate

    def classify(self, error: Any) -> str:
        return error if isinstance(error, str) else "internal"

    def is_away(self) -> bool:
        return self.is_unreachable

    def release(self) -> None:
        """Ack all waiting records."""
        self._is_scheduled = False
        self._ack(self.failure)

    async def drain(self, deadline: float) -> int:  # cold: once
        loop = asyncio.get_running_loop()
        while self._waiting and loop.time() < deadline:  # noqa: ASYNC110 - a test may hold acks and release them
            await asyncio.sleep(_LOOK_EVERY_S)
        return len(self._waiting)

    async def close(self) -> None:  # cold: once
        self._ack("broker_timeout")

    def _ack(self, error: str | None) -> None:  # cold: logs only what raised
        batch, self._waiting = self._waiting, []
        alone = frozenset(self.separated) if error == BATCH_TOO_LARGE else frozenset[str]()
        for record, on_ack in batch:
            outcome = error
            if error is None or record.topic in alone:
                outcome = None
                self.records.append(record)
            try:
                on_ack(outcome, None)
            except Exception:  # The callback belongs to other code; the others must be called after any exception.
                self.callback_failures += 1
                _limited.warning("callback", "an ack callback failed: %s", traceback.format_exc())
