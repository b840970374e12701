"""The real program on Kafka and on SQLite: a client that is cut off after every event, by a worker that is killed now
and then, gets all events, in the order of their partition, each once; on another cluster some of them twice.

Rule: the history is seeded: random partitions, equal milliseconds, timestamps that run backward. Half of it is stored
before the client comes, and the rest while it reads.
"""

from __future__ import annotations

import json
import os
import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from confluent_kafka import Producer

from tests.eventstreams.test_sqlite import Database
from tests.harness.broker import Kafka
from tests.harness.streaming import OWN, Streams
from tests.harness.topics import create
from tests.kafka.fixtures import kafka_broker, kafka_node, topic

__all__ = ["kafka_broker", "kafka_node", "topic"]

EVENTS, PARTITIONS, KILL_EVERY = 30, 3, 7
STREAM = "web.page_view"
PATH = f"/v2/stream/{STREAM}"
EAGER = {"retry_s": 0.1, "skew_s": 0.001}


class Stored(NamedTuple):
    """One event of the history."""

    partition: int
    ms: int
    name: str

    @property
    def value(self) -> str:
        return json.dumps({"meta": {"stream": STREAM, "id": self.name}})


Store = Callable[[Stored], None]
Source = Callable[[], Any]  # A context that yields the program, and how to store an event.


def history(seed: int) -> list[Stored]:
    choice, ms = random.Random(seed), 1_700_000_000_000
    events = []
    for number in range(EVENTS):
        ms += choice.choice((0, 0, 0, 1, 5, -3, -40, 900))
        events.append(Stored(choice.randrange(PARTITIONS), ms, str(number)))
    return events


def by_partition(events: list[Stored]) -> dict[int, list[str]]:
    return {at: [one.name for one in events if one.partition == at] for at in range(PARTITIONS)}


@contextmanager
def on_sqlite(directory: Path) -> Iterator[tuple[Streams, Store]]:
    """Each database is a partition."""
    databases = [Database(directory / "events", number) for number in range(PARTITIONS)]
    with Streams(directory, EAGER) as streams:
        yield streams, lambda event: databases[event.partition].store(STREAM, ms=event.ms, value=event.value)
    for database in databases:
        database.database.close()


@contextmanager
def on_kafka(directory: Path, kafka: Kafka, topic: str) -> Iterator[tuple[Streams, Store]]:
    create(kafka.servers, topic)
    producer = Producer({"bootstrap.servers": kafka.servers, "linger.ms": 0})

    def store(event: Stored) -> None:
        producer.produce(topic, event.value, partition=event.partition, timestamp=event.ms)
        assert producer.flush(60) == 0

    (directory / "own.yaml").write_text(
        f"streams: {{{STREAM}: {{schema_title: web/page_view, topics: [{topic}],"
        " consumers: {eventstreams: {enabled: true}}}}"
    )
    more: dict[str, Any] = {
        "streams": {"sources": [str(directory / "own.yaml")]},
        "sink": {"kind": "kafka", "kafka": {"bootstrap.servers": kafka.servers}},
        "eventstreams": OWN | EAGER,
    }
    with Streams(directory, **more) as streams:
        yield streams, store


@pytest.fixture(params=["sqlite", "kafka"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Streams, Store]]:
    if request.param == "sqlite":
        context = on_sqlite(tmp_path)
    else:
        context = on_kafka(tmp_path, request.getfixturevalue("kafka_broker"), request.getfixturevalue("topic"))
    with context as found:
        yield found


def replace_worker(streams: Streams) -> None:
    (worker,) = streams.workers()
    os.kill(worker, signal.SIGKILL)
    streams.until(lambda: len(streams.workers() - {worker}) == 1)


@pytest.mark.parametrize("seed", range(2))
def test_killed_after_each_event_a_client_gets_all_events_in_order_and_each_once(
    source: tuple[Streams, Store], seed: int
) -> None:
    streams, store = source
    events = history(seed)
    waiting = iter(events[EVENTS // 2 :])
    for event in events[: EVENTS // 2]:
        store(event)
    got: list[Stored] = []
    headers: dict[str, str] = {}
    while len(got) < EVENTS:
        with streams.open(f"{PATH}?since=earliest", **headers) as stream:
            if len(got) >= EVENTS // 2:
                store(next(waiting))  # While the client is at the newest event.
            (found,) = stream.take(1)
            headers = {"Last-Event-ID": stream.last_id}
            got.append(Stored(found["meta"]["partition"], 0, found["meta"]["id"]))
            if len(got) % KILL_EVERY == 0:
                replace_worker(streams)

    assert by_partition(got) == by_partition(events)
    with streams.open(f"{PATH}?poll=1", **headers) as stream:
        assert list(stream.events()) == []


@pytest.mark.parametrize("seed", range(2))
def test_on_another_cluster_no_event_is_missed_after_any_of_them(source: tuple[Streams, Store], seed: int) -> None:
    """The id names a cluster that is not this one, so that only its timestamps count."""
    streams, store = source
    events = history(seed)
    for event in events:
        store(event)
    with streams.open(f"{PATH}?since=earliest&poll=1") as stream:
        first, ids = [], []
        for found in stream.events():
            first.append(found["meta"]["id"])
            ids.append(stream.last_id)
    assert sorted(first) == sorted(event.name for event in events)

    for stop, last_id in enumerate(ids, 1):
        cluster = json.loads(last_id)[0]["cluster"]
        elsewhere = quote(last_id.replace(f'"cluster":"{cluster}"', '"cluster":"another"'))
        with streams.open(f"{PATH}?poll=1&last_event_id={elsewhere}") as stream:
            after = [Stored(one["meta"]["partition"], 0, one["meta"]["id"]) for one in stream.events()]

        assert {*first[:stop]} | {one.name for one in after} == {event.name for event in events}
        for at, names in by_partition(after).items():
            assert names == by_partition(events)[at][len(by_partition(events)[at]) - len(names) :]
