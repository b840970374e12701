"""server.sink.kafka.contact: who is away, who was only disconnected, and who has told us to wait."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from confluent_kafka import KafkaError

from server.log import Limited
from server.sink.kafka.contact import PROBE_EVERY_S, SILENCE_S, THROTTLE_S, Contact

ALL_DOWN = KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down")
LONG_S = THROTTLE_S * 10


class Asked:
    """Answers as it is told, when it is told."""

    def __init__(self) -> None:
        self.count = 0
        self.answer = True
        self.may_answer = threading.Event()
        self.may_answer.set()

    def __call__(self) -> bool:
        self.count += 1
        assert self.may_answer.wait(60)
        return self.answer


@pytest.fixture(autouse=True)
def unlimited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of another test a moment ago keeps none of these back."""
    monkeypatch.setattr("server.sink.kafka.contact._limited", Limited(logging.getLogger("sink.kafka")))


def run(test: Callable[[Contact, Asked], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        asked = Asked()
        contact = Contact("b:9092", 6.0, asked)
        contact.open()
        async with asyncio.timeout(60):
            await test(contact, asked)

    asyncio.run(whole())


def now() -> float:
    return asyncio.get_running_loop().time()


async def answered(contact: Contact) -> None:
    while contact._is_asking:
        await asyncio.sleep(0)


def test_that_all_brokers_are_down_is_no_verdict_before_one_was_asked(caplog: pytest.LogCaptureFixture) -> None:
    """rdkafka.h and INTRODUCTION.md: the error is informational, the client connects again by itself."""

    async def test(contact: Contact, asked: Asked) -> None:
        asked.may_answer.clear()
        contact.on_error(ALL_DOWN)
        contact.look(now(), is_idle=True)
        contact.look(now(), is_idle=True)
        assert not contact.is_shut
        asked.may_answer.set()
        await answered(contact)
        contact.look(now(), is_idle=True)
        assert not contact.is_shut
        assert asked.count == 1

    run(test)

    assert caplog.messages == []


def test_brokers_that_do_not_answer_when_asked_are_away_until_they_do(caplog: pytest.LogCaptureFixture) -> None:
    async def test(contact: Contact, asked: Asked) -> None:
        asked.answer = False
        contact.on_error(ALL_DOWN)
        contact.look(now(), is_idle=True)
        await answered(contact)
        assert (contact.is_away, contact.is_shut) == (True, True)
        asked.answer = True
        contact.look(now() + PROBE_EVERY_S + 1, is_idle=True)
        await answered(contact)
        assert (contact.is_away, contact.is_shut) == (False, False)

    with caplog.at_level(logging.WARNING, "sink.kafka"):
        run(test)

    assert [message.partition(":")[0] for message in caplog.messages] == [
        "no Kafka broker answers at b",
        "Kafka at b",
    ]


def test_other_errors_raise_no_doubt() -> None:
    async def test(contact: Contact, asked: Asked) -> None:
        contact.on_error(KafkaError(KafkaError._TRANSPORT, "Disconnected"))
        contact.look(now(), is_idle=True)
        assert asked.count == 0

    run(test)


def test_the_silence_that_a_quota_announces_is_not_an_absence(caplog: pytest.LogCaptureFixture) -> None:
    """KIP-219: the broker answers at once, says for how long it will not read, and reads nothing until then."""

    async def test(contact: Contact, asked: Asked) -> None:
        contact.on_throttle(LONG_S, 1)
        began = now()
        contact.look(began + SILENCE_S + 1, is_idle=False)
        assert (contact.is_away, contact.is_throttled, contact.is_shut) == (False, True, True)
        contact.look(began + LONG_S + 1, is_idle=False)
        assert (contact.is_away, contact.is_throttled, contact.is_shut) == (False, False, False)
        assert asked.count == 0
        contact.look(began + LONG_S + SILENCE_S + 1, is_idle=False)
        assert (contact.is_away, contact.is_throttled) == (True, False)
        await answered(contact)

    with caplog.at_level(logging.WARNING, "sink.kafka"):
        run(test)

    assert caplog.messages[0].startswith("Kafka broker 1 limits this service by a quota and accepts nothing for 10.0 s")


def test_a_short_wait_for_a_quota_closes_nothing() -> None:
    async def test(contact: Contact, asked: Asked) -> None:
        contact.on_throttle(THROTTLE_S / 2, 1)
        contact.on_throttle(0.0, 1)
        assert not contact.is_shut

    run(test)


def test_a_broker_that_is_found_again_still_has_its_quota() -> None:
    async def test(contact: Contact, asked: Asked) -> None:
        contact.lose("no Kafka broker answers at %s: %s", "imitated")
        contact.on_throttle(LONG_S, 1)
        contact.look(now(), is_idle=True)
        await answered(contact)
        assert (contact.is_away, contact.is_throttled, contact.is_shut) == (False, True, True)

    run(test)
