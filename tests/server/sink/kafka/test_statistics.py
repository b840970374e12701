"""server.sink.kafka.statistics: what librdkafka says of itself, over the life of several producers."""

from __future__ import annotations

import json
from typing import Any

from server.sink.kafka.statistics import GAUGES, SUMS, Statistics


def broker(number: int, **said: Any) -> dict[str, Any]:
    return {"nodeid": number, "state": "UP", "tx": 0, "txbytes": 0, "rtt": {"avg": 0, "p99": 0}, **said}


def text(producer: str, *brokers: dict[str, Any], count: int = 0, now_us: int = 0) -> str:
    named = {f"host:{number}/{one['nodeid']}": one for number, one in enumerate(brokers)}
    return json.dumps(
        {
            "name": producer,
            "ts": now_us,
            "msg_cnt": count,
            "msg_size": count * 100,
            "brokers": named,
            "topics": {"t": {}},
        }
    )


def line(statistics: Statistics, number: str) -> dict[str, int]:
    return dict(zip(SUMS + GAUGES, dict(statistics.lines())[number], strict=True))


def test_growth_is_added_up_over_producers() -> None:
    statistics = Statistics()
    statistics.take(text("one", broker(1, tx=10, txbytes=1000, txerrs=1)))
    statistics.take(text("one", broker(1, tx=15, txbytes=1500, txerrs=1)))
    statistics.take(text("two", broker(1, tx=4, txbytes=400, txerrs=2)))

    said = line(statistics, "1")
    assert (said["requests"], said["bytes"], said["errors"]) == (19, 1900, 3)


def test_gauges_are_those_of_the_newest_text() -> None:
    statistics = Statistics()
    statistics.take(text("one", broker(1, rtt={"avg": 900, "p99": 2000}, outbuf_msg_cnt=3), broker(2), count=7))
    assert (line(statistics, "1")["rtt_us"], line(statistics, "1")["queued"], line(statistics, "2")["is_up"]) == (
        900,
        3,
        1,
    )
    assert (statistics.events, statistics.bytes) == (7, 700)
    statistics.take(text("one", broker(1, state="DOWN")))

    assert (line(statistics, "1")["is_up"], line(statistics, "1")["rtt_us"], line(statistics, "2")["is_up"]) == (
        0,
        0,
        0,
    )


def test_brokers_without_a_number_are_one_and_those_that_never_connect_are_none() -> None:
    statistics = Statistics()
    logical = broker(-1, state="INIT")
    statistics.take(text("one", broker(-1, tx=1), {**broker(-1, tx=2, rtt={"avg": 5, "p99": 9})}, logical))

    assert [name for name, _ in statistics.lines()] == ["bootstrap"]
    assert line(statistics, "bootstrap")["requests"] == 3


def test_a_text_that_cannot_be_read_is_passed_over() -> None:
    statistics = Statistics()
    for broken in ("", "{", '{"msg_cnt": "many"}', "[]"):
        statistics.take(broken)

    assert (statistics.unread, statistics.lines()) == (4, [])


def test_an_end_of_a_connection_is_counted_whether_or_not_librdkafka_counts_it() -> None:
    """It forgets its count with a broker that it forgets, as when a cluster of one restarts."""
    statistics = Statistics()

    def disconnects(now_us: int, *brokers: dict[str, Any]) -> int:
        statistics.take(text("one", *brokers, now_us=now_us))
        return line(statistics, "1")["disconnects"]

    assert disconnects(1_000_000, broker(1, stateage=500_000)) == 0
    assert disconnects(2_000_000, broker(1, stateage=1_500_000)) == 0
    assert disconnects(3_000_000, broker(1, state="DOWN", stateage=10)) == 1  # It ended.
    assert disconnects(4_000_000, broker(1, stateage=500_000)) == 1
    assert disconnects(5_000_000, broker(1, stateage=100)) == 2  # It ended and began again meanwhile.
    assert disconnects(6_000_000, broker(1, stateage=10, disconnects=3)) == 5  # librdkafka knows better.
    assert disconnects(7_000_000) == 6  # The broker is forgotten.
    assert disconnects(8_000_000, broker(1, stateage=10, disconnects=0)) == 6


def test_a_bootstrap_server_that_becomes_a_broker_keeps_its_connection() -> None:
    statistics = Statistics()
    statistics.take(text("one", broker(-1, tx=1)))
    statistics.take(text("one", broker(1, tx=2)))

    assert line(statistics, "bootstrap")["disconnects"] == line(statistics, "1")["disconnects"] == 0


def test_a_sum_that_begins_again_is_added_up() -> None:
    statistics = Statistics()
    statistics.take(text("one", broker(1, tx=10)))
    statistics.take(text("one", broker(1, tx=4)))

    assert line(statistics, "1")["requests"] == 14
