"""A replay into memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection
from typing import Any, cast

import pytest

from server.sink.memory.sink import MemorySink
from server.sink.spool.event import Spooled
from server.sink.spool.lane import Lane
from server.sink.spool.pace import ReplayPace
from server.sink.spool.replay import Replay
from server.sink.spool.spool import Spool
from tests.server.sink.spool.spools import FOREVER_S


class PartedSink(MemorySink):
    """A memory sink whose topics have partitions: that of a key is its number modulo their count. Events for the
    partitions in ``sick`` fail, and so do those of ``failing`` values. The topics in ``small`` take less than a
    batch; ``asked`` are those that were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.sick: set[int] = set()
        self.failing: dict[bytes, str] = {}
        self.batches: list[list[int]] = []
        self.small: set[str] = set()
        self.asked: list[list[str]] = []

    def small_topics(self, topics: Collection[str]) -> set[str]:
        self.asked.append(sorted(topics))
        return self.small.intersection(topics)

    def partitions(self, topic: str) -> int:
        return self.count

    def partition_of(self, key: bytes, count: int) -> int:
        return int(json.loads(key)["k"]) % count

    def _ack(self, error: str | None) -> None:
        self.batches.append([json.loads(record.value)["n"] for record, _ in self._waiting])
        healthy: list[Any] = []
        for record, on_ack in self._waiting:
            failure = self.failing.get(record.value)
            if record.key is not None and self.count and self.partition_of(record.key, self.count) in self.sick:
                failure = "broker_timeout"
            if failure is None:
                healthy.append((record, on_ack))
            else:
                on_ack(failure, None)
        self._waiting = healthy
        super()._ack(error)


class Replayed:
    """A replay of this spool into memory. ``left`` are the streams of what has left."""

    def __init__(self, spool: Spool, *, per_s: float = 1e6) -> None:
        self.sink = PartedSink()
        self.left: list[str] = []
        self.is_away = False
        pace = ReplayPace(per_s)
        pace.per_s = per_s
        self.replay = Replay(spool, self.sink, lambda: not self.is_away, self._on_replayed, pace)

    def _on_replayed(self, event: Spooled) -> None:
        self.left.append(event.stream)

    async def start(self) -> None:
        await self.sink.open()
        self.replay.start()

    async def end(self) -> None:
        self.replay.stop()
        await self.sink.close()
        await self.replay.finish(asyncio.get_running_loop().time() + FOREVER_S)

    async def turns(self, count: int = 3) -> None:
        """Return after so many more turns of the replay."""
        turn, left = self.replay._turn, [count]

        async def counted() -> float:
            seconds = await turn()
            left[0] -= 1
            return seconds

        self.replay._turn = counted  # type: ignore[method-assign]
        while left[0] > 0:
            await asyncio.sleep(0.005)
        self.replay._turn = turn  # type: ignore[method-assign]

    @property
    def delivered(self) -> list[int]:
        return [json.loads(record.value)["n"] for record in self.sink.records]

    def refuse(self, error_type: str, value: bytes) -> Callable[[], None]:
        """The sink refuses this record, until the returned function is called."""
        submit = self.sink.submit
        is_refused = [True]

        def refusing(one: Any, on_ack: Callable[[Any, Any], None]) -> str | None:
            return error_type if is_refused[0] and one.value == value else submit(one, on_ack)

        self.replay._submit = cast(Any, refusing)
        return lambda: is_refused.__setitem__(0, False)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The replay waits for milliseconds where it would for seconds, and its pace is no bound."""
    for name in ("TURN_S", "ASIDE_S", "IDLE_S", "LEAD_S", "TROUBLE_S", "AWAY_S", "TRY_AGAIN_S"):
        monkeypatch.setattr(f"server.sink.spool.replay.{name}", 0.005)
    for name in ("START_PER_S", "MIN_PER_S"):
        monkeypatch.setattr(f"server.sink.spool.pace.{name}", 1e6)
    monkeypatch.setattr("server.sink.spool.backlog.ADOPT_EVERY_S", 0.005)
    monkeypatch.setattr("server.sink.spool.lane.FIRST_PAUSE_S", 0.005)
    monkeypatch.setattr(Lane.rest, "__defaults__", (0.02,))
