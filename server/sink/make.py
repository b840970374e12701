"""Make the sink that the settings name.

Place: worker → HERE → a Sink, after the fork.
Rules: only the sink that is used is imported; SQLite users need no librdkafka. A promise that the settings would break
is refused here too, whoever forgot to check them.
Not here: opening it (the worker), what its settings may be (config.settings, config.kafka.rules).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from server.config.kafka.rules import broken_promises
from server.config.settings import Config, SinkSettings
from server.errors import SettingsError
from server.sink.base import Sink

if TYPE_CHECKING:
    from server.sink.spool.spool import Spool


def make(settings: SinkSettings, base_dir: Path, settle_s: float = 5.0) -> Sink:
    """A sink of ``settings.kind``, not yet open. Relative paths are relative to ``base_dir``. SQLite settles
    what somebody waits for within ``settle_s``; Kafka has a setting of its own. Raises SettingsError."""
    if settings.kind == "kafka":
        if problems := broken_promises(settings.kafka):
            raise SettingsError("\n".join(map(str, problems)))
        from server.sink.kafka.producer import KafkaSink

        return KafkaSink(
            settings.kafka,
            max_outstanding=settings.max_outstanding,
            max_outstanding_bytes=settings.max_outstanding_bytes,
        )
    if settings.kind == "sqlite":
        from server.sink.sqlite.sink import SqliteSink

        return SqliteSink(
            base_dir / settings.sqlite.path,
            max_outstanding=settings.max_outstanding,
            max_outstanding_bytes=settings.max_outstanding_bytes,
            settle_s=settle_s,
        )
    from server.sink.memory.sink import MemorySink

    return MemorySink(max_outstanding=settings.max_outstanding)


def make_spool(config: Config, base_dir: Path, workers: int) -> Spool | None:
    """This worker's spool; None where the sink is a local disk or nothing at all, and one more would not help."""
    if config.sink.kind != "kafka":
        return None
    from server.sink.spool.spool import Spool

    return Spool(base_dir / config.spool.path, max_bytes=config.spool.max_bytes // max(1, workers))
