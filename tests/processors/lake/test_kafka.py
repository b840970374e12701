"""Events of a real Apache Kafka land once each, though the process is killed, and DuckDB finds every offset."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from server.canary.event import DOMAIN
from tests.harness.broker import Kafka
from tests.processors.lake.kafka import Log
from tests.processors.lake.test_kills import killed_run
from tests.processors.lake.world import HOUR, NOON, STREAM, World, event

PARTS = 4

pytestmark = [pytest.mark.kafka, pytest.mark.slow(reason="starts a broker")]


@pytest.fixture
def log(kafka_broker: Kafka, topic: str) -> Log:
    """A topic of its own."""
    return Log(kafka_broker, topic)


def canary(number: int) -> dict[str, object]:
    """Return a canary of the plain stream."""
    made = event(number)
    made["meta"]["domain"] = DOMAIN
    return made


def offsets_in(world: World, *names: str) -> Counter[tuple[str, int]]:
    """Return how often each offset is in the tables, as DuckDB reads them."""
    union = " UNION ALL ".join(f'SELECT _partition, _offset FROM "{name}"' for name in names)
    return Counter((partition, offset) for partition, offset in world.query(union))


def test_a_run_that_is_killed_anywhere_in_a_commit_leaves_each_offset_once(log: Log, tmp_path: Path) -> None:
    """Three tables; the third partition is idle; canaries and duplicates have offsets but no rows."""
    for partition in (0, 1):
        for number in range(0, 60, 6):
            one = number + 100 * partition
            log.put(event(one), event(one + 1, version="2.0.0"), "no JSON", event(one), canary(0), partition=partition)
    worlds = [log.world(tmp_path / name) for name in ("whole", "killed")]
    for world in worlds:
        world.schema("shop/order", "2.0.0", {})
    whole = killed_run(worlds[0], 0)
    assert whole.returncode == 0, whole.stderr
    calls, chance, world = int(whole.stdout), random.Random(2), worlds[1]

    for part in range(PARTS):
        at = chance.randrange(calls * part // PARTS, calls * (part + 1) // PARTS) + 1
        assert killed_run(world, at).returncode in (0, 9)  # What an earlier run has left may take fewer calls.
        log.put(
            event(1000 + part), "no JSON", event(2000 + part, version="2.0.0"), partition=part % 2, at=NOON - 3 * HOUR
        )
    head = world.run().streams[STREAM]
    found = offsets_in(world, "shop_order", "shop_order_v2", "shop_order__rejected")

    assert head.is_conserved
    assert head.offsets == log.ends()
    assert head.consumed == sum(log.ends().values()) == 100 + 3 * PARTS
    assert (head.rows, head.canaries, head.duplicates, head.rejected) == (40 + 2 * PARTS, 20, 20, 20 + PARTS)
    assert set(found.values()) == {1}
    assert len(found) == head.rows + head.rejected
    assert set(log.committed()) == {-1001}, "the snapshots alone say how far was read"
