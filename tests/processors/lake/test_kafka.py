"""Events of a real Apache Kafka land once each, though the process is killed, and DuckDB finds every offset."""

from __future__ import annotations

import random
import signal
from collections import Counter
from pathlib import Path

import pytest

from server.canary.event import DOMAIN
from tests.harness.broker import Kafka
from tests.harness.running import Running, eventually
from tests.processors.lake.kafka import PARTITIONS, Log
from tests.processors.lake.test_compact import rows_of
from tests.processors.lake.test_kills import killed_run
from tests.processors.lake.world import HOUR, NOON, STREAM, World, event, hour_now, tables

PARTS = 4
KILLS = 3
EVENTS = 2_500

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


def test_the_command_that_is_killed_again_and_again_leaves_each_offset_once(log: Log, tmp_path: Path) -> None:
    world = log.world(tmp_path / "world", commit_s=0.05, commit_events=50)
    command = ["-m", "server", "lake", "-c", str(world.config)]
    sent = 0
    for kill in range(KILLS):
        for partition in (0, 1):
            one_part = range(sent, sent + EVENTS)
            log.put(*map(event, one_part), partition=partition, at=NOON + kill * HOUR)
            sent += EVENTS
        with Running(command, tmp_path / f"log{kill}") as one:
            one.says("committed the stream")  # There are more commits to come: it reads 2,000 records at a time.
            one.signal(signal.SIGKILL)
            assert one.exit_code() == -signal.SIGKILL
    with Running(command, tmp_path / "log") as one:
        eventually(lambda: rows_of(world) == sent)
        one.signal(signal.SIGTERM)
        assert one.exit_code() == 0

    (table,) = world.tables().values()
    head = tables.head_in(table)
    assert head is not None and head.is_conserved
    assert (head.consumed, head.rows, head.offsets) == (sent, sent, log.ends())
    assert world.query("SELECT count(*), count(DISTINCT n), min(n), max(n) FROM shop_order") == [
        (sent, sent, 0, sent - 1)
    ]


def test_canaries_close_the_hours_of_an_idle_stream(log: Log, tmp_path: Path) -> None:
    for partition in range(PARTITIONS):
        log.put(canary(partition), partition=partition, at=hour_now())
    world = log.world(tmp_path)
    begun = hour_now()

    head = world.run().streams[STREAM]

    closed = int(world.tables()["shop_order"].properties["penstock.closed_through"])
    assert (head.canaries, head.rows) == (PARTITIONS, 0)
    assert begun - HOUR <= closed <= hour_now() - HOUR
    assert world.query("SELECT count(*) FROM shop_order") == [(0,)]


def test_a_broker_that_is_killed_in_the_middle_costs_nothing(tmp_path: Path) -> None:
    broker = Kafka(tmp_path)  # Its own: others use that of the session.
    broker.start()
    try:
        log = Log(broker, "killed")
        log.put(*(event(number) for number in range(300)))
        world = log.world(tmp_path / "world", commit_s=0.05, commit_events=50)
        with Running(["-m", "server", "lake", "-c", str(world.config)], tmp_path / "log") as one:
            one.says("committed the stream")
            broker.kill()
            broker.start()
            log.put(*(event(number) for number in range(300, 600)), partition=1)
            eventually(lambda: rows_of(world) == 600)
            one.signal(signal.SIGTERM)
            ended = one.exit_code()
    finally:
        broker.stop()

    assert ended == 0
    assert world.query("SELECT count(*), count(DISTINCT n) FROM shop_order") == [(600, 600)]
