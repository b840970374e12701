"""Which producer sends a topic: each sends a share of them.

Place: sink.kafka asks for each record, and makes the producers → HERE.
Rules: librdkafka looks through all partitions it has ever sent to, whenever one of them has something to send or an
answer comes; over a thousand topics that is most of the cost of an event. So there is one more producer for every
TOPICS_EACH topics, up to a limit, and each looks through its own alone. A topic stays with its producer, so that
records of a key keep their order. The next producer is made when a quarter of a share is left, since its first ack
takes half a second.
Not here: topics whose records are sent one by one (sink.kafka.alone), what is done to all producers (sink.kafka).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final
from zlib import crc32

from server.errors import BootError
from server.log import Limited
from server.sink.kafka.client.contract import Produce, Producer

TOPICS_EACH: Final = 128
MOST_REMEMBERED: Final = 10_000  # Names of streams may come from clients, where a pattern declares them.

_limited = Limited(logging.getLogger("sink.kafka"))


class Shares(dict[str, Produce]):
    """How to produce to each topic that is in use. ``make`` makes one more producer; there are ``most``, of which
    ``first`` is there from the beginning. An item may be set to something else, and deleted again."""

    def __init__(self, first: Producer, make: Callable[[], Producer], most: int) -> None:
        super().__init__()
        self.producers = [first]
        self._make = make
        self._most = most
        self._home: dict[str, Produce] = {}

    def __missing__(self, topic: str) -> Produce:
        produce = self._home.get(topic)
        if produce is None:
            if len(self._home) >= MOST_REMEMBERED:
                return self._produce_of(topic, crc32(topic.encode(errors="replace")))
            produce = self._home[topic] = self._assign(topic, len(self._home))
        self[topic] = produce
        return produce

    def _assign(self, topic: str, number: int) -> Produce:  # cold: once for each topic
        wanted = min(self._most, (number + TOPICS_EACH // 4) // TOPICS_EACH + 1)
        try:
            while len(self.producers) < wanted:
                self.producers.append(self._make())
        except BootError as failed:  # There is no thread or no memory left: the others send these topics too.
            _limited.warning("share", "cannot make a producer for more topics: %s", failed)
        at = number // TOPICS_EACH
        return self._produce_of(topic, at if at < len(self.producers) else number)

    def _produce_of(self, topic: str, number: int) -> Produce:
        return self.producers[number % len(self.producers)].topic(topic)
