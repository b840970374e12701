"""The librdkafka properties that are refused because they would break a promise.

Place: config.kafka.settings → HERE.
Rules: a property that would make an acked event lossy, late, doubled or out of order is refused by the name that the
user wrote, with the reason and what to do. All others pass.
Not here: the service's defaults, and librdkafka's own checks of a property (config.kafka.settings).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

Value = str | int | float | bool
Properties = Mapping[str, Value]

# A client that asked for a guarantee is told the outcome within this time. A record that librdkafka may still send
# later than that would be delivered after its sender was told that it failed. librdkafka looks for expired messages
# once a second, hence the margin.
DEADLINE_S: Final = 10.0
MARGIN_S: Final = 2.0

# Aliases that librdkafka documents. One name each, so that a user's alias replaces our default instead of racing it.
ALIASES: Final[Mapping[str, str]] = {
    "request.required.acks": "acks",
    "metadata.broker.list": "bootstrap.servers",
    "queue.buffering.max.ms": "linger.ms",
    "delivery.timeout.ms": "message.timeout.ms",
    "retries": "message.send.max.retries",
    "max.in.flight": "max.in.flight.requests.per.connection",
    "compression.type": "compression.codec",
    "sasl.mechanism": "sasl.mechanisms",
    "sasl.oauthbearer.client.credentials.client.id": "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.credentials.client.secret": "sasl.oauthbearer.client.secret",
}

# librdkafka accepts its properties of a topic with ``topic.`` before their names as well: ``topic.acks`` is ``acks``.
# Every other name that begins so is a property of its own (``topic.metadata.refresh.interval.ms``) or unknown. Source:
# rd_kafka_topic_conf_set in rdkafka_conf.c, release 2.16.
TOPIC_PREFIX: Final = "topic."
OF_TOPICS: Final = frozenset(
    """
    acks request.required.acks request.timeout.ms message.timeout.ms delivery.timeout.ms queuing.strategy
    produce.offset.report partitioner partitioner_cb msg_order_cmp opaque compression.codec compression.type
    compression.level auto.commit.enable enable.auto.commit auto.commit.interval.ms auto.offset.reset offset.store.path
    offset.store.sync.interval.ms offset.store.method consume.callback.max.messages
    """.split()  # noqa: SIM905 - a name a line would fill a screen
)


def canonical(name: str) -> str:
    """Return the one name of a property: without ``topic.``, and not an alias. An unknown name is unchanged."""
    bare = name.removeprefix(TOPIC_PREFIX)
    return ALIASES.get(bare, bare) if bare in OF_TOPICS else ALIASES.get(name, name)


class RefusedProperty(NamedTuple):
    """A property that cannot be used, or, as a warning, has no effect: its name as written ("": librdkafka does not say
    which), why, and what to do. Never its value if that is a secret."""

    name: str
    reason: str
    hint: str
    is_warning: bool = False

    def __str__(self) -> str:
        place = f"sink.kafka.{self.name}" if self.name else "sink.kafka"
        return f"{place}: {self.reason}" + (f"; {self.hint}" if self.hint else "")


def broken_promises(properties: Properties) -> list[RefusedProperty]:
    """Return which of ``properties`` would break a promise of the service. Uses no broker and no librdkafka."""
    problems = list(_doubles(properties))
    for name, value in properties.items():
        refusal = _REFUSALS.get(canonical(name)) or _refusal_by_form(canonical(name))
        found = refusal(text_of(value)) if refusal else None
        if found:
            problems.append(RefusedProperty(name, *found))
    if not any(text_of(properties.get(name, "")).strip() for name in ("bootstrap.servers", "metadata.broker.list")):
        problems.append(RefusedProperty("bootstrap.servers", "no broker is named", _WRITE_BROKERS))
    return problems


def text_of(value: Value) -> str:
    """Return the value as librdkafka reads it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _doubles(properties: Properties) -> Iterator[RefusedProperty]:
    written: dict[str, list[str]] = {}
    for name in properties:
        written.setdefault(canonical(name), []).append(name)
    for one, names in written.items():
        kept = one if one in names else names[0]
        for name in names:
            if name != kept:
                yield RefusedProperty(name, f"is another name of {kept}, which is set too", "keep one of them")


# A check of one property: from the value to (reason, hint), or None when the value is allowed.
_Found = tuple[str, str] | None
_Refusal = Callable[[str], _Found]


def _always(reason: str, hint: str = "remove it") -> _Refusal:
    return lambda value: (reason, hint)


def _only(allowed: tuple[str, ...], reason: str, hint: str = "remove it") -> _Refusal:
    return lambda value: None if value.strip().lower() in allowed else (reason, hint)


# librdkafka reads numbers by C's strtol: 0x10 is 16, 010 is 8, 1e3 and 1_000 are 1, 5ms is 5, and 4294967296 is 0.
_READ_DIFFERENTLY: Final = re.compile(r"\s*[-+]?[0-9]")
_PLAIN: Final = re.compile(r"\s*-?(0|[1-9][0-9]*)(\.[0-9]*)?\s*")
_WRITE_BROKERS: Final = "write host:port, several with commas"
_INT_MAX: Final = (1 << 31) - 1


def _unless(banned: Callable[[float], bool], reason: str, hint: str = "remove it") -> _Refusal:
    def refusal(value: str) -> _Found:
        if not _PLAIN.fullmatch(value):
            if _READ_DIFFERENTLY.match(value):
                return "is not a plain decimal number, and librdkafka would read another one", "write its digits alone"
            return None  # Not a number: librdkafka reports that itself, in its own words.
        if banned(float(value)):
            return reason, hint
        return ("is larger than librdkafka can hold", "use a smaller one") if float(value) > _INT_MAX else None

    return refusal


_TRUE: Final = ("true", "t", "1")
_FALSE: Final = ("false", "f", "0")
_LATEST_MS: Final = int((DEADLINE_S - MARGIN_S) * 1000)

# [protocol://]host[:port], where an address of IPv6 stands in brackets (rd_kafka_brokers_add0 of librdkafka 2.16).
_BROKER: Final = re.compile(r"(\w+://)?(\[[0-9A-Fa-f:.%\w]+\]|[^\s:\[\]/]+)(:(?P<port>[0-9]{1,5}))?")


def _brokers(value: str) -> _Found:
    given = [entry for one in value.split(",") if (entry := one.strip())]
    if value.strip() and not given:
        return "no broker is named", _WRITE_BROKERS
    for entry in given:
        found = _BROKER.fullmatch(entry)
        if found is None or not 0 < int(found["port"] or 1) < 1 << 16:
            return f"{entry!r} is no host, or no host:port", _WRITE_BROKERS
    return None


_REFUSALS: Final[Mapping[str, _Refusal]] = {
    "bootstrap.servers": _brokers,
    "log_level": _unless(lambda level: not 0 <= level <= 7, "is no level of syslog", "use 0 to 7; 6 is the default"),
    "acks": _only(("all", "-1"), "an event counts as kept only when all in-sync replicas have it"),
    "enable.idempotence": _only(_TRUE, "without it a retry can double events and change their order"),
    "message.timeout.ms": _unless(
        lambda ms: not 1 <= ms <= _LATEST_MS,
        "an event could be delivered after its sender was told that it failed",
        f"use 1 to {_LATEST_MS}; 0 means forever",
    ),
    "message.send.max.retries": _unless(lambda n: n < 1, "without retries a leader election loses events"),
    "max.in.flight.requests.per.connection": _unless(
        lambda n: n > 5, "an idempotent producer keeps order with at most 5", "use 1 to 5"
    ),
    "partitioner": _only(
        ("consistent", "consistent_random", "murmur2", "murmur2_random", "fnv1a", "fnv1a_random"),
        "events of one key would go to several partitions and lose their order",
        "use one that looks at the key, such as murmur2_random",
    ),
    "queuing.strategy": _only(("fifo",), "events of one key would overtake one another"),
    "api.version.request": _only(_TRUE, "headers and timestamps are dropped when the broker's version is not asked"),
    "delivery.report.only.error": _only(_FALSE, "every event needs its ack"),
    "enable.gapless.guarantee": _only(_FALSE, "one late event would stop the producer and fail all others"),
    "transactional.id": _always("events are not sent in transactions, and nothing would ever commit one"),
    "queue.buffering.max.messages": _always("the sink has its own limit", "set sink.max_outstanding"),
    "queue.buffering.max.kbytes": _always("the sink has its own limit", "set sink.max_outstanding_bytes"),
    "plugin.library.paths": _always("it loads code into the server"),
    "logger": _always("the server's own log is used", "set log.level"),
    "log.queue": _always("the server serves librdkafka's log itself"),
    "enabled_events": _always("the server serves librdkafka's events itself"),
    "interceptors": _always("it loads code into the server"),
    "on_delivery": _always("a callback cannot be given in a settings file"),
    "opaque": _always("a callback cannot be given in a settings file"),
    "default.topic.config": _always("librdkafka has removed it", "write its properties next to the others"),
    "default_topic_conf": _always("librdkafka has removed it", "write its properties next to the others"),
}


# Properties with whole numbers, by the end of their names, and those that librdkafka reads as fractions, by strtod.
_NUMBERS: Final = re.compile(r".*\.(ms|bytes|kbytes|messages|size|fails|level)")
_FRACTIONS: Final = ("linger.ms",)


def _refusal_by_form(name: str) -> _Refusal | None:
    if _NUMBERS.fullmatch(name) and ALIASES.get(name, name) not in _FRACTIONS:
        return _unless(lambda _: False, "")
    if name.endswith(("_cb", "_callback", "_callback_data")):
        return _always("a callback cannot be given in a settings file")
    if name.startswith("test.mock."):
        return _always("a mock cluster lives in this process and keeps nothing")
    return None
