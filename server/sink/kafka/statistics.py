"""Read librdkafka's statistics about itself and each broker, every ``statistics.interval.ms``.

Place: sink.kafka gives the text, from ``poll`` → HERE → server.worker.measures.
Rules: only the part before the topics is read, which is small however many topics there are. librdkafka's sums restart
with each producer, so growth is added up here and outlives a replaced producer. A text that cannot be read is ignored:
statistics never cost an event. Brokers are identified by their number; the configured bootstrap servers, which have
none, share one line.
Not here: the service's own counts (intake.books.tally), names for readers (metrics.sink_metrics).
"""

from __future__ import annotations

from typing import Final

import msgspec

# In the order of a line's numbers (scoreboard.Kinds.brokers): sums, then gauges.
SUMS: Final = ("requests", "bytes", "errors", "retries", "timeouts", "disconnects")
GAUGES: Final = ("is_up", "rtt_us", "rtt_p99_us", "throttle_ms", "queued", "waiting")

BOOTSTRAP: Final = "bootstrap"


class _Window(msgspec.Struct):
    avg: int = 0
    p99: int = 0


class _Broker(msgspec.Struct):
    """The names are librdkafka's (STATISTICS.md)."""

    nodeid: int = -1
    state: str = ""
    outbuf_msg_cnt: int = 0
    waitresp_msg_cnt: int = 0
    tx: int = 0
    txbytes: int = 0
    txerrs: int = 0
    txretries: int = 0
    req_timeouts: int = 0
    disconnects: int = 0
    rtt: _Window = msgspec.field(default_factory=_Window)
    throttle: _Window = msgspec.field(default_factory=_Window)


class _Head(msgspec.Struct):
    name: str = ""
    msg_cnt: int = 0
    msg_size: int = 0
    brokers: dict[str, _Broker] = msgspec.field(default_factory=dict)


_decode = msgspec.json.Decoder(_Head).decode


class Statistics:
    """The newest statistics. ``unread`` counts texts that could not be read."""

    def __init__(self) -> None:
        self.events = 0
        self.bytes = 0
        self.unread = 0
        self._brokers: dict[str, list[int]] = {}
        self._before: dict[tuple[str, str], list[int]] = {}  # librdkafka's last sums, by producer and broker.

    def take(self, text: str) -> None:
        """Take over the statistics of a producer. Called from ``poll``."""
        end = text.find('"topics":')
        head = text[:end].rstrip(" ,\n") + "}" if end >= 0 else text
        try:
            said = _decode(head)
        except msgspec.MsgspecError:
            self.unread += 1
            return
        self.events, self.bytes = said.msg_cnt, said.msg_size
        fresh: dict[str, list[int]] = {}
        for name, broker in said.brokers.items():
            if broker.nodeid < 0 and not broker.tx and not broker.txerrs and broker.state != "UP":
                continue  # One of librdkafka's own logical brokers, which never connect.
            number = str(broker.nodeid) if broker.nodeid >= 0 else BOOTSTRAP
            line = self._brokers.setdefault(number, [0] * (len(SUMS) + len(GAUGES)))
            self._add(line, (said.name, name), broker)
            _merge(fresh.setdefault(number, [0] * len(GAUGES)), broker)
        self._before = {key: sums for key, sums in self._before.items() if key[0] == said.name}
        for number, line in self._brokers.items():
            line[len(SUMS) :] = fresh.get(number, [0] * len(GAUGES))

    def lines(self) -> list[tuple[str, list[int]]]:
        """Return a line for each broker: its number, and its values in the order of SUMS and GAUGES."""
        return list(self._brokers.items())

    def _add(self, line: list[int], key: tuple[str, str], broker: _Broker) -> None:
        sums = [
            broker.tx, broker.txbytes, broker.txerrs, broker.txretries, broker.req_timeouts, broker.disconnects,
        ]  # fmt: skip
        before = self._before.get(key, [0] * len(SUMS))
        self._before[key] = sums
        for at, (new, old) in enumerate(zip(sums, before, strict=True)):
            line[at] += max(0, new - old)


def _merge(gauges: list[int], broker: _Broker) -> None:
    """Merge the connections to one broker: the highest of times, the sum of queues."""
    is_up, rtt_us, rtt_p99_us, throttle_ms, queued, waiting = gauges
    gauges[:] = [
        max(is_up, broker.state == "UP"),
        max(rtt_us, broker.rtt.avg),
        max(rtt_p99_us, broker.rtt.p99),
        max(throttle_ms, broker.throttle.avg),
        queued + broker.outbuf_msg_cnt,
        waiting + broker.waitresp_msg_cnt,
    ]
