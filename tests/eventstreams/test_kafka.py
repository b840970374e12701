"""The real program on a real Apache Kafka: partitions, retention, transactions, new partitions, a topic made again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import KafkaException

from eventstreams.sources.base import Batch
from eventstreams.sources.kafka import KafkaReader, consumer_properties
from server.sink.kafka.topic_ids import TopicIds
from tests.eventstreams.kafka_topic import PATH, Topic, ids, of_test, on_topic
from tests.harness.broker import Kafka
from tests.harness.streaming import Streams
from tests.kafka.fixtures import kafka_broker, kafka_node, topic

__all__ = ["kafka_broker", "kafka_node", "of_test", "topic"]


@pytest.fixture
def streams(kafka_broker: Kafka, topic: str, tmp_path: Path) -> Iterator[Streams]:
    with Streams(tmp_path, **on_topic(tmp_path, kafka_broker, topic, limits={"ring_events": 5})) as running:
        yield running


def test_old_and_new_events_come_once_and_in_the_order_of_their_partition(of_test: Topic, streams: Streams) -> None:
    of_test.create(3)
    for partition in range(3):
        of_test.send(*(f"{partition}/{number}" for number in range(50)), partition=partition)
    with streams.open(f"{PATH}?since=earliest").opened() as stream:
        old = stream.take(150)
        for partition in range(3):
            of_test.send(*(f"{partition}/{number}" for number in range(50, 60)), partition=partition)
        new = stream.take(30)
        of_test.send("last")
        last_id = stream.last_id

        assert ids(stream.take(1)) == ["last"]
    for partition in range(3):
        mine = [one for one in old + new if one["meta"]["partition"] == partition]
        assert ids(mine) == [f"{partition}/{number}" for number in range(60)]
        assert [one["meta"]["offset"] for one in mine] == list(range(60))
    with streams.open(PATH, Last_Event_ID=last_id) as stream:
        assert ids(stream.take(1)) == ["last"]
    assert '"cluster":"' in last_id


def test_since_finds_the_first_event_of_that_time(of_test: Topic, streams: Streams) -> None:
    of_test.create(1)
    for number in range(5):
        of_test.send(str(number), ms=1_700_000_000_000 + 1000 * number)
    with streams.open(f"{PATH}?since=1700000003000&poll=1") as stream:
        assert ids(list(stream.events())) == ["3", "4"]
    with streams.open(f"{PATH}?since=earliest&until=1700000002000") as stream:
        assert ids(list(stream.events())) == ["0", "1"]


def test_a_position_before_what_is_kept_is_answered_410_and_may_go_on_with_a_gap(
    of_test: Topic, streams: Streams
) -> None:
    of_test.create(1)
    of_test.send(*(str(number) for number in range(10)))
    of_test.retain(0, 6)
    position = json.dumps([{"topic": of_test.name, "partition": 0, "offset": 2}])
    with streams.open(PATH, Last_Event_ID=position) as stream:
        assert stream.response.status == 410
        (gap,) = json.loads(stream.response.read())["gaps"]
        assert (gap["asked"], gap["earliest"], gap["latest"]) == (2, 6, 10)
    with streams.open(f"{PATH}?on_gap=earliest&poll=1", Last_Event_ID=position) as stream:
        told, *events = stream.events()
        assert (told["kind"], told["lost"]) == ("gap", 4)
        assert ids(events) == ["6", "7", "8", "9"]


def test_transactions_leave_no_gap_and_what_was_aborted_is_not_sent(of_test: Topic, streams: Streams) -> None:
    of_test.create(1)
    of_test.send("plain")
    of_test.transact("aborted", is_committed=False)
    of_test.transact("committed", is_committed=True)
    with streams.open(f"{PATH}?since=earliest&poll=1") as stream:
        assert ids(list(stream.events())) == ["plain", "committed"]
    with streams.open(f"{PATH}?poll=1", Last_Event_ID=stream.last_id) as stream:
        assert list(stream.events()) == []
    with streams.open(PATH, Last_Event_ID=stream.last_id).opened() as stream:
        of_test.send("next")
        assert ids(stream.take(1)) == ["next"]


def test_a_topic_that_does_not_exist_yet_and_partitions_that_are_added_are_read_from_their_beginning(
    of_test: Topic, streams: Streams
) -> None:
    with streams.open(PATH) as stream:
        assert stream.response.status == 200
        streams.until(lambda: b'"clients":1' in streams.get("/_info")[1])
        of_test.create(1)
        of_test.send("first")
        assert ids(stream.take(1)) == ["first"]
        last_id = stream.last_id
    of_test.grow(2)
    of_test.send("of the second", partition=1)
    with streams.open(PATH, Last_Event_ID=last_id) as stream:
        assert ids(stream.take(1)) == ["of the second"]


@pytest.mark.parametrize("count", [1, 7])
def test_a_topic_that_was_made_again_is_no_silent_jump(of_test: Topic, streams: Streams, count: int) -> None:
    """Also where it has grown past the position of the client."""
    names = [f"new {number}" for number in range(count)]
    of_test.create(1)
    of_test.send("a", "b", "c")
    with streams.open(f"{PATH}?since=earliest") as stream:
        assert ids(stream.take(3)) == ["a", "b", "c"]
        last_id = stream.last_id
    of_test.delete()

    def is_made() -> bool:
        try:
            of_test.create(1)
        except KafkaException:
            return False
        return True

    streams.until(is_made)
    of_test.send(*names)
    streams.until(lambda: streams.status(f"{PATH}?since=earliest&poll=1") == 200)
    with streams.open(PATH, Last_Event_ID=last_id) as stream:
        assert stream.response.status == 410
        (gap,) = json.loads(stream.response.read())["gaps"]
        assert (gap["asked"], gap["latest"], gap["made_again"]) == (3, len(names), True)
    with streams.open(f"{PATH}?on_gap=earliest&poll=1", Last_Event_ID=last_id) as stream:
        told, *events = stream.events()
        assert (told["kind"], ids(events)) == ("gap", names)
    assert json.loads(stream.last_id)[0]["log"] != json.loads(last_id)[0]["log"]


def test_readers_return_what_is_there_and_see_the_end(kafka_broker: Kafka, of_test: Topic) -> None:
    of_test.create(2)
    of_test.send("0", "1", "2")
    properties = consumer_properties({"bootstrap.servers": kafka_broker.servers}, {})
    reader = KafkaReader(properties, TopicIds(properties))
    try:
        described = reader.describe([of_test.name, "no.such.topic"])
        first: Batch = reader.read({(of_test.name, 0): 1, (of_test.name, 1): 0}, 1 << 20, 100)
        again: Batch = reader.read(first.reached, 1 << 20, 100)
        assert [described.bounds[of_test.name, at].high for at in range(2)] == [3, 0]
        assert set(described.bounds) == {(of_test.name, 0), (of_test.name, 1)}
        assert [record.offset for record in first.records] == [1, 2]
        assert first.reached == {(of_test.name, 0): 3, (of_test.name, 1): 0}
        assert (again.records, again.reached) == ([], first.reached)
        # A fetch that waits for events would delay the next request of this connection.
        assert reader._consumer.assignment() == []
    finally:
        reader.close()


def test_consumers_reach_the_brokers_as_the_producer_does_and_take_nothing_else_of_it() -> None:
    properties = consumer_properties(
        {
            "bootstrap.servers": "a:9092",
            "security.protocol": "SASL_SSL",
            "sasl.username": "writer",
            "sasl.password": "w",
            "acks": "all",
            "linger.ms": 5,
            "message.timeout.ms": 6000,
        },
        {"sasl.username": "reader", "sasl.password": "r"},
    )

    assert properties["bootstrap.servers"] == "a:9092"
    assert (properties["sasl.username"], properties["sasl.password"]) == ("reader", "r")
    assert properties.keys().isdisjoint({"acks", "linger.ms", "message.timeout.ms"})
    assert (properties["enable.auto.commit"], properties["auto.offset.reset"]) == ("false", "error")
    other = consumer_properties({"bootstrap.servers": "a:9092", "sasl.password": "w"}, {"bootstrap.servers": "b:9092"})
    assert other["bootstrap.servers"] == "b:9092" and "sasl.password" not in other
