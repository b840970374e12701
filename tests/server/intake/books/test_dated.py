"""Events whose own time is far from their receipt are counted by stream; the invalid ones by their type."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from server.intake.books.counts import INVALID, OBSERVED, PLACES, TYPES
from server.shared.scoreboard import STREAM_COUNTS
from tests.server.intake.test_receive import Bench

MINUTE_S = 60


def event(away_s: float | None, **more: object) -> dict[str, object]:
    meta = {"stream": "plain"}
    if away_s is not None:
        meta["dt"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + away_s))
    return {"$schema": "/test/event/1.0.0", "meta": meta, "test": "x"} | more


@pytest.mark.parametrize("is_watched", [True, False])
def test_old_and_askew_events_are_counted_where_plausibility_is_on(settings_path: Path, *, is_watched: bool) -> None:
    away = [None, 0, -2 * MINUTE_S, 2 * MINUTE_S, -10 * MINUTE_S, 10 * MINUTE_S, -61 * MINUTE_S, -9000 * MINUTE_S]

    async def play() -> tuple[int, int, int]:
        bench = Bench(settings_path, f"plausibility.enabled={json.dumps(is_watched)}")
        await bench.sink.open()
        for each in away:
            request = bench.post(json.dumps(event(each)).encode())
            await request.answered()
        many = [event(-9000 * MINUTE_S) for _ in range(600)] + [event(None, test=7)]  # It takes several turns.
        request = bench.post(json.dumps(many).encode())
        await request.answered()
        await bench.sink.close()
        tally = bench.tallies.of("plain")
        return tally.accepted, tally.askew, tally.old

    assert asyncio.run(play()) == (len(away) + 600, *((2, 602) if is_watched else (0, 0)))


def test_invalid_events_of_a_stream_are_counted_by_type(settings_path: Path) -> None:
    async def play() -> list[int]:
        bench = Bench(settings_path)
        for _ in range(3):
            await bench.post(json.dumps(event(None, test=7)).encode()).answered()
        return bench.sender.counts.by_stream["plain"]

    counts = asyncio.run(play())
    assert len(counts) == OBSERVED + 1 + len(TYPES) == STREAM_COUNTS
    assert (counts[INVALID], counts[PLACES["schema_violation"]], sum(counts)) == (3, 3, 6)
