"""Topics that take less than a batch of ours (KAFKA-3995): small events arrive, in order; a large one is the client's.

A broker weighs the batch as it comes, compressed, against the topic's ``max.message.bytes`` or its own
``message.max.bytes``, and refuses all of it (UnifiedLog.append, RecordTooLargeException).
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from server.config.kafka import settings
from server.sink.kafka.limits import small_topics
from tests.harness.broker import Kafka
from tests.harness.served import Served
from tests.harness.topics import create, read_all
from tests.kafka.fixtures import have_kafka

pytestmark = pytest.mark.kafka

LIMIT = 1500
LARGE = 1900
COUNT = 50
KEYED, KEYLESS = "shop.order", "web.page_view"


def event(stream: str, number: int, *, key: int = 0, size: int = 300) -> dict[str, Any]:
    """What it is padded with cannot be compressed."""
    padding = os.urandom(size // 2).hex()
    if stream == KEYED:
        lines = [{"article": padding[at : at + 64], "count": 1} for at in range(0, len(padding), 64)]
        order = {"order_id": f"A-{key}", "total": number, "lines": lines}
        return {"$schema": "/shop/order/1.0.0", "meta": {"stream": stream}, **order}
    return {"$schema": "/web/page_view/1.1.0", "meta": {"stream": stream}, "page": f"/{number}/{padding}"}


def number_of(value: bytes) -> int:
    stored = json.loads(value)
    return int(stored["total"] if "total" in stored else stored["page"].split("/")[1])


def served(kafka: Kafka, topic: str, directory: Path) -> Served:
    sink = {"kind": "kafka", "topic_prefix": f"{topic}.", "kafka": {"bootstrap.servers": kafka.servers}}
    return Served(directory, sink=sink, workers=1, drain_s=15.0)


def ask(service: Served, events: list[Any], query: str = "") -> tuple[int, Any]:
    with closing(http.client.HTTPConnection(*service.address, timeout=60)) as connection:
        connection.request("POST", f"/v1/events{query}", json.dumps(events), {"content-type": "application/json"})
        with connection.getresponse() as response:
            body = response.read()
            return response.status, json.loads(body) if body else None


def stop(service: Served) -> None:
    service.signal(signal.SIGTERM)
    assert service.exit_code() == 0
    assert "do not add up" not in service.log()


def numbers(kafka: Kafka, topic: str) -> Counter[int]:
    return Counter(number_of(kept.value) for kept in read_all(kafka.servers, topic))


@pytest.mark.parametrize("stream", [KEYED, KEYLESS])
@pytest.mark.parametrize(("query", "status"), [("", 201), ("?hasty=true", 202)])
def test_small_events_in_a_batch_that_is_too_large_arrive_once_and_in_order(
    kafka_broker: Kafka, topic: str, tmp_path: Path, stream: str, query: str, status: int
) -> None:
    create(kafka_broker.servers, f"{topic}.{stream}", **{"max.message.bytes": str(LIMIT)})
    with served(kafka_broker, topic, tmp_path) as service:
        answers = [ask(service, [event(stream, number) for number in range(COUNT)], query)]
        # Once the topic is known for it, nothing fails any more.
        service.until(lambda: sum(numbers(kafka_broker, f"{topic}.{stream}").values()) == COUNT)
        answers.append(ask(service, [event(stream, number) for number in range(COUNT, 2 * COUNT)], query))
        service.until(lambda: sum(numbers(kafka_broker, f"{topic}.{stream}").values()) == 2 * COUNT)
        stop(service)

    assert answers == [(status, None)] * 2
    stored = [number_of(kept.value) for kept in read_all(kafka_broker.servers, f"{topic}.{stream}")]
    assert sorted(stored) == list(range(2 * COUNT))
    if stream == KEYED:
        assert stored == sorted(stored)


def test_a_topic_that_is_small_from_the_start_gets_no_batch(kafka_broker: Kafka, topic: str, tmp_path: Path) -> None:
    """A broker that has stored nothing of a producer accepts any batch of it, also one behind a refused one."""
    create(kafka_broker.servers, f"{topic}.{KEYED}", **{"max.message.bytes": str(LIMIT)})
    with served(kafka_broker, topic, tmp_path) as service:
        service.says(f"topic {topic}.{KEYED} takes less than a batch")
        first = 0
        with socket.create_connection(service.address) as connection:
            for size in (20, 1) * 20:
                body = json.dumps([event(KEYED, number) for number in range(first, first + size)]).encode()
                head = "POST /v1/events?hasty=true HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
                connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                first += size
            service.until(lambda: sum(numbers(kafka_broker, f"{topic}.{KEYED}").values()) == first)
        stop(service)
        assert "spooled" not in service.log()

    stored = [number_of(kept.value) for kept in read_all(kafka_broker.servers, f"{topic}.{KEYED}")]
    assert stored == list(range(first))


@pytest.mark.parametrize("stream", [KEYED, KEYLESS])
def test_only_the_event_that_is_too_large_by_itself_is_the_clients(
    kafka_broker: Kafka, topic: str, tmp_path: Path, stream: str
) -> None:
    create(kafka_broker.servers, f"{topic}.{stream}", **{"max.message.bytes": str(LIMIT)})
    events = [event(stream, number, size=LARGE if number == 7 else 300) for number in range(COUNT)]
    with served(kafka_broker, topic, tmp_path) as service:
        status, answer = ask(service, events)
        alone = ask(service, events[7:8])
        hasty = ask(service, events, "?hasty=true")
        service.until(lambda: sum(numbers(kafka_broker, f"{topic}.{stream}").values()) == 2 * (COUNT - 1))
        stop(service)

    assert (status, [(entry["index"], entry["context"]["error_type"]) for entry in answer["invalid"]]) == (
        207,
        [(7, "event_too_large")],
    )
    assert answer["error"] == []
    assert (alone[0], hasty) == (400, (202, None))
    assert numbers(kafka_broker, f"{topic}.{stream}") == {number: 2 for number in range(COUNT) if number != 7}


def test_what_waited_in_the_spool_arrives_too(kafka_broker: Kafka, topic: str, tmp_path: Path) -> None:
    for stream in (KEYED, KEYLESS):
        create(kafka_broker.servers, f"{topic}.{stream}", **{"max.message.bytes": str(LIMIT)})
    large = {3, 2 * COUNT + 3}
    events = [event(KEYED, number, size=LARGE if number in large else 300) for number in range(COUNT)]
    events += [event(KEYLESS, number, size=LARGE if number in large else 300) for number in range(2 * COUNT, 3 * COUNT)]
    kafka_broker.stop()
    with served(kafka_broker, topic, tmp_path) as service:
        answer = ask(service, events, "?hasty=true")
        kafka_broker.start()
        expected = {number_of(json.dumps(one).encode()) for one in events} - large
        service.until(lambda: both(kafka_broker, topic) == Counter(expected))
        stop(service)

    assert answer == (202, None)
    keyed = [number_of(kept.value) for kept in read_all(kafka_broker.servers, f"{topic}.{KEYED}")]
    assert keyed == sorted(keyed)
    assert service.log().count("is set aside: it is too large") >= 1


def both(kafka: Kafka, topic: str) -> Counter[int]:
    return numbers(kafka, f"{topic}.{KEYED}") + numbers(kafka, f"{topic}.{KEYLESS}")


def test_a_broker_says_which_topics_take_less_than_a_batch(kafka_broker: Kafka, topic: str) -> None:
    """A topic that does not exist, and any topic while no broker answers, counts as one that takes batches."""
    for name, limit in ((f"{topic}.small", LIMIT), (f"{topic}.below", 999_999), (f"{topic}.enough", 1_000_000)):
        create(kafka_broker.servers, name, **{"max.message.bytes": str(limit)})
    names = [f"{topic}.{name}" for name in ("small", "below", "enough", "missing")]
    properties = settings.complete(
        {"bootstrap.servers": kafka_broker.servers}, max_outstanding=10, max_outstanding_bytes=1 << 20
    )

    assert small_topics(names, properties) == set(names[:2])
    assert small_topics(names, {**properties, "batch.size": "1500"}) == set()
    assert small_topics(names, {**properties, "bootstrap.servers": "127.0.0.1:9"}) == set()


@pytest.fixture
def small_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A node that takes little, whatever the topic."""
    have_kafka()
    kafka = Kafka(tmp_path_factory.mktemp("node"), **{"message.max.bytes": str(LIMIT)})
    kafka.start()
    yield kafka
    kafka.stop()


def test_a_broker_that_takes_little_is_no_other_than_such_a_topic(
    small_broker: Kafka, topic: str, tmp_path: Path
) -> None:
    create(small_broker.servers, f"{topic}.{KEYED}")
    with served(small_broker, topic, tmp_path) as service:
        answers = [ask(service, [event(KEYED, number) for number in range(COUNT)])]
        answers.append(ask(service, [event(KEYED, COUNT), event(KEYED, COUNT + 1, size=LARGE)]))
        stop(service)

    assert [status for status, _ in answers] == [201, 207]
    assert numbers(small_broker, f"{topic}.{KEYED}") == Counter(range(COUNT + 1))


def test_keys_keep_their_order_while_a_topic_under_load_is_found_to_be_small(
    kafka_broker: Kafka, topic: str, tmp_path: Path
) -> None:
    """Many requests are under way when the first batch is refused; what is answered 503 is not there."""
    create(kafka_broker.servers, f"{topic}.{KEYED}")
    with (
        served(kafka_broker, topic, tmp_path) as service,
        closing(http.client.HTTPConnection(*service.address, timeout=60)) as connection,
    ):
        accepted: list[int] = []

        def post(first: int) -> int:
            """One connection: what comes later is younger."""
            events = [event(KEYED, number, key=number % 3) for number in range(first, first + 10)]
            path = "/v1/events?hasty=true" if first % 20 else "/v1/events"
            connection.request("POST", path, json.dumps(events), {"content-type": "application/json"})
            with connection.getresponse() as response:
                body = response.read()
            if response.status in (201, 202):
                accepted.extend(range(first, first + 10))
            elif response.status == 207:
                failed = {entry["index"] for entry in json.loads(body)["error"]}
                accepted.extend(first + index for index in range(10) if index not in failed)
            else:
                assert response.status == 503
            return response.status

        for first in range(0, 200, 10):
            assert post(first) in (201, 202)
        kafka_broker.configure(f"{topic}.{KEYED}", **{"max.message.bytes": str(LIMIT)})
        for first in range(200, 3000, 10):
            post(first)
        service.until(lambda: post(3000) == 201)
        service.says("takes less than a batch")
        expected = set(accepted)
        service.until(lambda: expected <= set(numbers(kafka_broker, f"{topic}.{KEYED}")))
        stop(service)

    stored = read_all(kafka_broker.servers, f"{topic}.{KEYED}")
    assert {number_of(kept.value) for kept in stored} == expected
    for key in range(3):
        of_key = list(dict.fromkeys(number_of(one.value) for one in stored if one.key == b'{"order_id":"A-%d"}' % key))
        assert of_key == sorted(of_key)
