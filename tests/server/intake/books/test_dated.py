"""Events whose own time is far from their receipt are counted by stream; the invalid ones by their type."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from server.intake.books.counts import INVALID, MAX_AGENTS, OBSERVED, PLACES, TYPES, Counts
from server.intake.books.versions import MAX_VERSIONS, Versions
from server.shared.scoreboard import STREAM_COUNTS
from tests.server.intake.test_receive import Bench, FakeRequest

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


def test_valid_events_are_counted_by_version_without_canaries_and_old_ones(settings_path: Path) -> None:
    async def play() -> dict[str, int]:
        bench = Bench(settings_path, "plausibility.enabled=true")
        await bench.sink.open()
        for each in (event(None), event(None), event(-10 * MINUTE_S), event(-90 * MINUTE_S), event(None, test=7)):
            await bench.post(json.dumps(each).encode()).answered()
        canary = FakeRequest(json.dumps(event(None)).encode())
        canary.headers = {b"user-agent": b"penstock-canary/1"}
        bench.receiver.handle_events(canary)
        await canary.answered()
        await bench.sink.close()
        return {one.name: one.events for one in bench.pipeline.versions}

    assert asyncio.run(play()) == {"plain /test/event/1.0.0": 3}


def test_counts_of_versions_are_bounded() -> None:
    versions = Versions()
    assert versions.of("a", "/b/1.0.0") is versions.of("a", "/b/1.0.0")
    for at in range(2 * MAX_VERSIONS):
        versions.of(f"s{at}", "/b/1.0.0").events += 1

    assert len(list(versions)) == MAX_VERSIONS + 1
    assert sum(one.events for one in versions) == 2 * MAX_VERSIONS


def test_programs_that_send_invalid_events_are_counted_by_name_and_bounded() -> None:
    counts = Counts()
    for agent in (b"a/1 (x; y)", b"a/1 (z)", b"b" * 500, b"\x00\xff", b""):
        counts.note_agent("s", agent)
    assert counts.by_agent == {"s a/1": 2, "s " + "b" * 64: 1, "s ": 2}
    for at in range(2 * MAX_AGENTS):
        counts.note_agent("s", b"%d" % at)

    assert len(counts.by_agent) == MAX_AGENTS + 1
    assert sum(counts.by_agent.values()) == 5 + 2 * MAX_AGENTS
