"""Open the sink of the intake for reading, at the offsets of the tables.

Place: run → HERE → the inputs that page_change has too.
Rules: a partition is read from the least offset of the streams that it can hold; each stream passes over what it has.
Of the properties of the intake's producer, those that a consumer needs as well are taken over.
Not here: what becomes of a record (landing).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from processors.lake.catalog import Catalog
from processors.lake.landing import Landing
from processors.lake.settings import LakeSettings
from processors.page_change.embedded.clients import check as check_properties
from processors.page_change.embedded.inputs import Input
from processors.page_change.embedded.kafka_input import KafkaInput
from processors.page_change.embedded.sqlite_input import SqliteInput
from processors.page_change.embedded.stop import Stop
from server.config.kafka.consumers import reaching
from server.errors import SettingsError

NAME: Final = "penstock-lake"  # By which the brokers know the consumer.


class Streams:
    """The streams that are written, and which of them a partition can hold."""

    def __init__(self, landings: Mapping[str, Landing], by_topic: Mapping[str, list[Landing]], *, is_kafka: bool):
        """``landings`` are by stream. In Kafka a partition belongs to a topic; a database holds all topics."""
        self.landings = landings
        self.by_topic = by_topic
        self._is_kafka = is_kafka

    def of(self, partition: str) -> list[Landing]:
        """Return the streams that a partition can hold."""
        if self._is_kafka:
            return self.by_topic.get(partition.rpartition("/")[0], [])
        return list(self.landings.values())

    def positions(self) -> dict[str, int]:
        """Return where reading begins."""
        names = {name for landing in self.landings.values() for name in landing.head.offsets}
        return {name: min((one.head.offsets.get(name, 0) for one in self.of(name)), default=0) for name in names}


def open_input(settings: LakeSettings, catalog: Catalog, streams: Streams, stop: Stop) -> Input:
    """Open the sink. Raises SettingsError, PenstockError, and GivenUpError if ``stop`` is asked for before a broker has
    answered."""
    sink = catalog.generation.config.sink
    topics, positions = frozenset(streams.by_topic), streams.positions()
    if sink.kind == "sqlite":
        check_properties(settings.kafka)
        return SqliteInput(catalog.generation.data_dir / sink.sqlite.path, topics, positions, has_identities=False)
    if sink.kind == "kafka":
        own = {"group.id": NAME, "client.id": NAME, **settings.kafka}
        return KafkaInput(reaching(sink.kafka, own), topics, positions, stop, has_identities=False)
    raise SettingsError(f"sink.kind is {sink.kind}: it keeps nothing that could be read")
