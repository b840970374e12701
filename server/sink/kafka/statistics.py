"""Read librdkafka's statistics about itself and each broker, every ``statistics.interval.ms``.

Place: sink.kafka gives the text, from ``poll`` → HERE → server.worker.measures.
Rules: only the part before the topics is read, which is small however many topics there are. librdkafka's sums restart
with each producer, and with each broker that it forgets and learns of again, as when a broker restarts. So growth is
added up here, and ends of connections are also found by the state of the broker. A text that cannot be read is ignored:
statistics never cost an event. Brokers are identified by their number; the configured bootstrap servers, which have
none, share one line.
Not here: the service's own counts (intake.books.tally), names for readers (metrics.sink_metrics).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

# In the order of a line's numbers (scoreboard.Kinds.brokers): sums, then gauges.
SUMS: Final = ("requests", "bytes", "errors", "retries", "timeouts", "disconnects")
GAUGES: Final = ("is_up", "rtt_us", "rtt_p99_us", "throttle_ms", "queued", "waiting")

_HIGHEST: Final = {len(SUMS) + GAUGES.index(name) for name in ("is_up", "rtt_us", "rtt_p99_us", "throttle_ms")}
_DISCONNECTS: Final = SUMS.index("disconnects")
_UP: Final = "UP"
_SLACK_US: Final = 1_000  # The age of a state is read some time after the clock.

BOOTSTRAP: Final = "bootstrap"


class _Window(msgspec.Struct):
    avg: int = 0
    p99: int = 0


class _Broker(msgspec.Struct):
    """The names are librdkafka's (STATISTICS.md)."""

    nodeid: int = -1
    state: str = ""
    stateage: int = 0
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
    ts: int = 0  # Monotonic, in microseconds.
    msg_cnt: int = 0
    msg_size: int = 0
    brokers: dict[str, _Broker] = msgspec.field(default_factory=dict)


class _Known(msgspec.Struct):
    """The last that librdkafka said of a connection. ``up_since_us``: None while there is none."""

    number: str
    sums: list[int]
    up_since_us: int | None = None


_decode = msgspec.json.Decoder(_Head).decode


class Statistics:
    """The newest statistics. ``unread`` counts texts that could not be read."""

    def __init__(self) -> None:
        self.events = 0
        self.bytes = 0
        self.unread = 0
        self._brokers: dict[str, list[int]] = {}
        self._known: dict[tuple[str, str], _Known] = {}  # By producer and broker, as librdkafka names them.

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
        known: dict[tuple[str, str], _Known] = {}
        for name, broker in said.brokers.items():
            if broker.nodeid < 0 and not broker.tx and not broker.txerrs and broker.state != _UP:
                continue  # One of librdkafka's own logical brokers, which never connect.
            number = str(broker.nodeid) if broker.nodeid >= 0 else BOOTSTRAP
            line = self._brokers.setdefault(number, [0] * (len(SUMS) + len(GAUGES)))
            up_since_us = said.ts - broker.stateage if broker.state == _UP else None
            known[said.name, name] = now = _Known(number, _sums(broker), up_since_us)
            _add(line, self._known.get((said.name, name)), now)
            _merge(fresh.setdefault(number, [0] * len(GAUGES)), broker)
        for key, old in self._known.items():
            if key[0] == said.name and key not in known and old.up_since_us is not None and old.number != BOOTSTRAP:
                self._brokers[old.number][_DISCONNECTS] += 1  # A bootstrap server is only renamed.
        self._known = known
        for number, line in self._brokers.items():
            line[len(SUMS) :] = fresh.get(number, [0] * len(GAUGES))

    def lines(self) -> list[tuple[str, list[int]]]:
        """Return a line for each broker: its number, and its values in the order of SUMS and GAUGES."""
        return list(self._brokers.items())


def merged(parts: Iterable[Statistics]) -> list[tuple[str, list[int]]]:
    """The lines of several producers together: one for each broker."""
    found: dict[str, list[int]] = {}
    for name, values in (line for part in parts for line in part.lines()):
        line = found.setdefault(name, [0] * len(values))
        for at, value in enumerate(values):
            line[at] = max(line[at], value) if at in _HIGHEST else line[at] + value
    return list(found.items())


def _sums(broker: _Broker) -> list[int]:
    return [broker.tx, broker.txbytes, broker.txerrs, broker.txretries, broker.req_timeouts, broker.disconnects]


def _add(line: list[int], old: _Known | None, now: _Known) -> None:
    """Add the growth of each sum. A sum that has become smaller began again at 0."""
    before = old.sums if old is not None else [0] * len(SUMS)
    growth = [new - last if new >= last else new for new, last in zip(now.sums, before, strict=True)]
    if old is not None and old.up_since_us is not None and not growth[_DISCONNECTS]:
        is_same = now.up_since_us is not None and now.up_since_us <= old.up_since_us + _SLACK_US
        growth[_DISCONNECTS] = int(not is_same)
    for at, count in enumerate(growth):
        line[at] += count


def _merge(gauges: list[int], broker: _Broker) -> None:
    """Merge the connections to one broker: the highest of times, the sum of queues."""
    is_up, rtt_us, rtt_p99_us, throttle_ms, queued, waiting = gauges
    gauges[:] = [
        max(is_up, broker.state == _UP),
        max(rtt_us, broker.rtt.avg),
        max(rtt_p99_us, broker.rtt.p99),
        max(throttle_ms, broker.throttle.avg),
        queued + broker.outbuf_msg_cnt,
        waiting + broker.waitresp_msg_cnt,
    ]
