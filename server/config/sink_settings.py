"""The settings of sinks, and the facts about each kind that other settings depend on.

Place: HERE → config.settings; server.sink.kind knows the rest of a kind.
Rules: ``SINK_KINDS`` is the one list of kinds. Each of them has a folder of its name in ``server/sink``.
Not here: which properties of Kafka are allowed (config.kafka), how a sink works (server.sink).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

from server.config.framework.section import Bytes, Count, Section, Text, says
from server.config.kafka.rules import Value
from server.config.kafka.secrets import is_secret
from server.config.kafka.settings import EXPIRY_S, most_message_bytes, settle_s

_SQLITE_SHARE_OF_ANSWER: Final = 0.7  # A guaranteed event waits this long for a database that is locked or full.


class Sqlite(Section, frozen=True):
    """The embedded sink: a directory of databases, one for each worker that writes."""

    path: Annotated[Text, says("Directory of the databases; it is made when absent.")] = "var/events"


class SinkSettings(Section, frozen=True):
    """The destination of events.

    There are two ways to keep a secret out of the settings file: ``PENSTOCK_SINK__KAFKA__SASL_PASSWORD`` in the
    environment, or ``kafka_files: {sasl.password: /run/secrets/kafka}``, whose content, without the
    line end, becomes the value.
    """

    kind: Annotated[
        Literal["kafka", "memory", "sqlite"], says("`memory` loses everything when the process ends and is for tests.")
    ] = "kafka"
    topic_prefix: Annotated[
        str,
        Meta(pattern=r"^[A-Za-z0-9._-]{0,200}$"),
        says("Prefix that makes a topic of a stream's name, unless the stream's `topic_prefixes` is null."),
    ] = ""
    kafka: Annotated[
        dict[Text, Value],
        says(
            "librdkafka properties, passed through; those that would break a delivery guarantee, or can never "
            "authenticate, are refused. Paths are relative to the settings file; HUP reads changed certificates."
        ),
    ] = field(default_factory=lambda: {"bootstrap.servers": "127.0.0.1:9092"})
    kafka_files: Annotated[
        dict[Text, Text], says("librdkafka properties whose values are read from files: passwords and keys.")
    ] = field(default_factory=dict)
    sqlite: Annotated[Sqlite, says("The embedded sink.")] = field(default_factory=Sqlite)
    max_outstanding: Annotated[
        Count, says("Most events of one worker that wait for their ack; above it new requests get 503.")
    ] = 50_000
    max_outstanding_bytes: Annotated[Bytes, says("Most bytes of the events of one worker that wait for their ack.")] = (
        67_108_864
    )

    kafka_headers: Annotated[
        list[Literal["content-type", "schema-uri"]],
        says(
            "Headers of every record, in this order; none: `[]`. A consumer that is sure of JSON needs no "
            "`content-type`, one that reads `$schema` no `schema-uri`. Both cost 6 % of the CPU of a batch of 100."
        ),
    ] = field(default_factory=lambda: ["content-type", "schema-uri"])
    max_producers: Annotated[
        int,
        Meta(ge=1, le=32),
        says(
            "Most Kafka producers of one worker, which makes one for each 128 topics in use: an event costs more CPU "
            "the more topics its producer has. Each has connections to the brokers, and all but the first together "
            "may hold `max_outstanding_bytes` once more."
        ),
    ] = 8

    @property
    def wants_spool(self) -> bool:
        """Whether events wait on the local disk while this sink is away."""
        return SINK_KINDS[self.kind].wants_spool

    def __repr__(self) -> str:
        """Like the repr of any struct, but with secrets masked: a log line or a traceback must not show them."""
        kafka = {name: "***" if is_secret(name) else value for name, value in self.kafka.items()}
        shown = {name: getattr(self, name) for name in self.__struct_fields__} | {"kafka": kafka}
        return f"SinkSettings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"


class SpoolSettings(Section, frozen=True):
    """The spool keeps accepted events while Kafka is away. The other sinks need none."""

    path: Annotated[
        Text, says("Directory of the spool, on a local disk; it is made when absent. Each worker has a database in it.")
    ] = "var/spool"
    max_bytes: Annotated[
        Bytes,
        says(
            "Most bytes of events that wait on disk, over all workers; each worker has an equal share. A quarter is "
            "kept for events that were accepted already; when the rest is full, new ones are refused."
        ),
    ] = 1_073_741_824
    on_broker_down: Annotated[
        Literal["refuse", "spool"],
        says(
            "Treatment of guaranteed events while no broker answers: `refuse` answers 503; `spool` spools them and "
            "answers 202 with `X-Durability: spool`. Hasty ones are always spooled. A stream's "
            "`producers.eventgate.on_broker_down` overrides this for all of its events, hasty ones too."
        ),
    ] = "refuse"
    replay_per_s: Annotated[
        float,
        Meta(gt=0, le=1_000_000),
        says(
            "Most spooled events a second that a host gives to the broker when it is back. With less than come in "
            "meanwhile for keys that wait, the spool does not become empty."
        ),
    ] = 1_000_000.0
    when_behind: Annotated[
        Literal["refuse", "spool"],
        says(
            "Treatment of hasty events of keys that wait in the spool, when it hardly shrinks although the broker is "
            "back: `refuse` answers 503 until it has been replayed; `spool` spools them as long as there is room."
        ),
    ] = "refuse"


class SinkRules(Struct, frozen=True):
    """The facts about a kind of sink that other settings depend on.

    ``settle_s(sink, answer_s)`` returns the time within which it settles an event that a request waits for, if HTTP
    answers within ``answer_s``. ``settled_by`` names the settings that decide it; empty: it follows ``answer_s``.
    ``most_message_bytes(sink)`` is the largest message that it takes, and ``limited_by`` the setting that says so.
    ``wants_spool``: whether events wait on the local disk while the sink is away. ``can_be_read``: whether other
    processes can read what it stores.
    """

    settle_s: Callable[[SinkSettings, float], float] = lambda sink, answer_s: 0.0
    settled_by: str = ""
    most_message_bytes: Callable[[SinkSettings], int] = lambda sink: 1 << 62
    limited_by: str = ""
    wants_spool: bool = False
    can_be_read: bool = True


SINK_KINDS: Final[Mapping[str, SinkRules]] = {
    "kafka": SinkRules(
        settle_s=lambda sink, answer_s: settle_s(sink.kafka),
        settled_by=f"Kafka settles an event: sink.kafka.message.timeout.ms and {EXPIRY_S:g} s",
        most_message_bytes=lambda sink: most_message_bytes(sink.kafka),
        limited_by="sink.kafka, message.max.bytes",
        wants_spool=True,
    ),
    "memory": SinkRules(can_be_read=False),
    "sqlite": SinkRules(settle_s=lambda sink, answer_s: _SQLITE_SHARE_OF_ANSWER * answer_s),
}
