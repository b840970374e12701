"""Make the readers and the live reader of the place where the sink of the settings stores events.

Place: worker → HERE → sources.kafka, sources.sqlite.
Rule: a sink that stores nothing has no consumers, and the start says so.
Not here: reading (sources).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from eventstreams.sources.base import Reader, Tail
from eventstreams.sources.sqlite import SqliteReader, SqliteTail
from server.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path

    from server.config.settings import Config


READABLE: Final = ("kafka", "sqlite")


def check(config: Config) -> None:
    """Raise SettingsError if the sink of the settings stores nothing that could be read."""
    if config.sink.kind not in READABLE:
        kinds = " and ".join(READABLE)
        raise SettingsError(f"sink.kind: {config.sink.kind} stores no events: EventStreams reads those of {kinds}")


def make_source(config: Config, base_dir: Path) -> tuple[Callable[[], Reader], Tail]:
    """Return a function that makes a reader, and the live reader. ``check`` has passed."""
    sink = config.sink
    if sink.kind == "sqlite":
        directory = base_dir / sink.sqlite.path
        return lambda: SqliteReader(directory), SqliteTail(directory)
    from eventstreams.sources.kafka import KafkaReader, KafkaTail, consumer_properties
    from server.sink.kafka.topic_ids import TopicIds

    properties = consumer_properties(sink.kafka, config.eventstreams.kafka)
    topic_ids = TopicIds(properties)
    return lambda: KafkaReader(properties, topic_ids), KafkaTail(properties)
