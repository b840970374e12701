"""Whether a Kafka broker answers, and if not, whether it is silent or has told us to wait.

Place: sink.kafka reports librdkafka's callbacks HERE, and asks HERE before it takes a record.
Rules: librdkafka's "all brokers are down" is only a hint: a broker that closes idle connections causes it too
(librdkafka's INTRODUCTION.md, "Connection close"; error 1 of rdkafka.h, RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN). So a
broker is asked first, on a thread, and counts as away only if it does not answer. A broker whose quota is used up
answers at once, says for how long it will not read (KIP-219), and is silent until then: it is not away.
Not here: the records meanwhile (intake.delivery), the producer (sink.kafka).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from confluent_kafka import KafkaError

from server.log import Limited

# If records are out and no ack has come for this long, no broker answers. It is longer than a leader election, and at
# most half of ``message.timeout.ms``: acks of time-outs come too, and would be taken for answers.
SILENCE_S = 3.0  # Not Final: see TURN_S in server.timing.turns.
PROBE_S: Final = 1.0  # Time for a connection with its handshakes, and one answer.
# Time from the end of one probe to the next, while no broker answers. Not Final, as above.
PROBE_EVERY_S = 0.5
# A quota that throttles us for longer than this closes the sink until it is over: librdkafka goes on sending, each
# request waits for those before it, and a record that times out and is sent again counts against the quota once more.
THROTTLE_S: Final = 1.0

_logger = logging.getLogger("sink.kafka")
_limited = Limited(_logger)


class Contact:
    """The state of contact with the brokers. ``is_away``: no broker answers, as far as is known; ``is_throttled``: a
    quota throttles us; ``is_shut``: one of the two. ``ask`` returns whether a broker answers, and may take PROBE_S."""

    def __init__(self, servers: str, message_timeout_s: float, ask: Callable[[], bool]) -> None:
        self._servers = servers
        self._silence_s = min(SILENCE_S, message_timeout_s / 2)
        self._ask = ask
        self._is_doubtful = False
        self._is_asking = False
        self._ask_at = 0.0
        self._heard_at = 0.0
        self._throttled_until = 0.0
        self.is_away = False
        self.is_throttled = False
        self.is_shut = False

    def open(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.hear()

    def hear(self) -> None:
        """Restart the measure of silence: a broker has answered, or no record is out that it could answer."""
        self._heard_at = max(self._heard_at, self._loop.time())

    def on_error(self, error: KafkaError) -> None:
        """Take an error that is not fatal, from ``poll``. librdkafka has logged it already."""
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._is_doubtful = True

    def on_throttle(self, throttle_s: float, broker: int) -> None:
        """Take a throttle event, from ``poll``: a broker announces that it will be silent for this time."""
        if throttle_s <= 0:
            return
        self._throttled_until = max(self._throttled_until, self._loop.time() + throttle_s)
        self._heard_at = max(self._heard_at, self._throttled_until)
        if throttle_s < THROTTLE_S:
            return
        self.is_throttled = self.is_shut = True
        _limited.warning(
            "throttle",
            "Kafka broker %s limits this service by a quota and accepts nothing for %.1f s; raise its "
            "producer_byte_rate or request_percentage, or send less",
            broker,
            throttle_s,
        )

    def look(self, now: float, *, is_idle: bool) -> None:
        """Notice a silence and the end of an announced one, and ask in case of doubt. Called once a tick."""
        if is_idle:
            self.hear()
        elif not self.is_away and now - self._heard_at > self._silence_s:
            self.lose("Kafka at %s has not answered for %g s", self._silence_s)
        if self.is_throttled and now >= self._throttled_until:
            self.is_throttled = False
            self.is_shut = self.is_away
        if self._is_asking or not (self._is_doubtful or (self.is_away and now >= self._ask_at)):
            return
        self._ask_at = now + PROBE_EVERY_S
        asking = self._loop.run_in_executor(None, self._ask)  # It raises if no thread can be started.
        self._is_doubtful = False
        self._is_asking = True
        asking.add_done_callback(self._on_asked)

    def lose(self, message: str, *args: object) -> None:
        """Note that no broker answers: no record is taken until one does."""
        self.is_away = self.is_shut = True
        self._ask_at = 0.0
        _limited.warning("away", message, self._servers, *args)

    def _on_asked(self, asked: asyncio.Future[bool]) -> None:
        self._is_asking = False
        self._ask_at = self._loop.time() + PROBE_EVERY_S
        if asked.cancelled():
            return
        if not asked.result():
            if not self.is_away:
                self.lose("no Kafka broker answers at %s: none within %g s", PROBE_S)
        elif self.is_away:
            self.is_away = False
            self.is_shut = self.is_throttled
            self._heard_at = self._loop.time()  # The records that are out get the full time again.
            _logger.warning("Kafka at %s answers again", self._servers)
