"""Which librdkafka properties are refused because they break a promise.

Place: beside config.kafka.settings.
Rules: a property that would make an acked event lossy, late, doubled or out of order is refused by the name that the
user wrote, with the reason and what to do. All others pass.
Not here: our defaults, and what librdkafka itself thinks of a property (config.kafka.settings).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


class RefusedProperty(NamedTuple):
    """A property that cannot be used, or, as a warning, has no effect: its name as written, why, and what to do. Never
    its value if that is a secret."""

    name: str
    reason: str
    hint: str
    is_warning: bool = False

    def __str__(self) -> str:
        return f"sink.kafka.{self.name}: {self.reason}" + (f"; {self.hint}" if self.hint else "")


def broken_promises(properties: Properties) -> list[RefusedProperty]:
    """What our promises have against ``properties``. Looks at nothing else: no broker, no librdkafka."""
    problems = _doubles(properties)
    for name, value in properties.items():
        canonical = ALIASES.get(name, name)
        refusal = _REFUSALS.get(canonical) or _refusal_by_form(canonical)
        found = refusal(text_of(value)) if refusal else None
        if found:
            problems.append(RefusedProperty(name, *found))
    if not any(text_of(properties.get(name, "")).strip() for name in ("bootstrap.servers", "metadata.broker.list")):
        problems.append(
            RefusedProperty("bootstrap.servers", "no broker is named", "write host:port, several with commas")
        )
    return problems


def text_of(value: Value) -> str:
    """The value as librdkafka reads it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _doubles(properties: Properties) -> list[RefusedProperty]:
    return [
        RefusedProperty(alias, f"is another name of {name}, which is set too", "keep one of them")
        for alias, name in ALIASES.items()
        if alias in properties and name in properties
    ]


# A refusal: from the value to (reason, hint), or None when this value is fine.
_Found = tuple[str, str] | None
_Refusal = Callable[[str], _Found]


def _always(reason: str, hint: str = "remove it") -> _Refusal:
    return lambda value: (reason, hint)


def _only(allowed: tuple[str, ...], reason: str, hint: str = "remove it") -> _Refusal:
    return lambda value: None if value.strip().lower() in allowed else (reason, hint)


def _unless(banned: Callable[[float], bool], reason: str, hint: str = "remove it") -> _Refusal:
    def refusal(value: str) -> _Found:
        try:
            return (reason, hint) if banned(float(value)) else None
        except ValueError:
            return None  # Not a number: librdkafka says so itself, in its own words.

    return refusal


_TRUE: Final = ("true", "t", "1")
_FALSE: Final = ("false", "f", "0")
_LATEST_MS: Final = int((DEADLINE_S - MARGIN_S) * 1000)

_REFUSALS: Final[Mapping[str, _Refusal]] = {
    "acks": _only(("all", "-1"), "an event counts as kept only when all in-sync replicas have it"),
    "enable.idempotence": _only(_TRUE, "without it a retry can double events and change their order"),
    "message.timeout.ms": _unless(
        lambda ms: not 0 < ms <= _LATEST_MS,
        "an event could be delivered after its sender was told that it failed",
        f"use 1 to {_LATEST_MS}; 0 means for ever",
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
    "queue.buffering.max.messages": _always("the sink has its own bound", "set sink.max_outstanding"),
    "queue.buffering.max.kbytes": _always("the sink has its own bound", "set sink.max_outstanding_bytes"),
    "plugin.library.paths": _always("it loads code into the server"),
    "logger": _always("the server's own log is used", "set log.level"),
    "log.queue": _always("the server serves librdkafka's log itself"),
    "enabled_events": _always("the server serves librdkafka's events itself"),
    "interceptors": _always("it loads code into the server"),
    "on_delivery": _always("a callback cannot be given in a settings file"),
    "opaque": _always("a callback cannot be given in a settings file"),
    "default.topic.config": _always("it was given up", "write its properties beside the others"),
    "default_topic_conf": _always("it was given up", "write its properties beside the others"),
}


def _refusal_by_form(name: str) -> _Refusal | None:
    if name.endswith(("_cb", "_callback", "_callback_data")):
        return _always("a callback cannot be given in a settings file")
    if name.startswith("test.mock."):
        return _always("a mock cluster lives in this process and keeps nothing")
    return None
