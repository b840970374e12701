"""Make the sink that the settings name, and its spool.

Place: worker → HERE → a Sink, after the fork.
Rule: only the sink that is used is imported; SQLite users need no librdkafka.
Not here: how each kind is made (its kind.py), opening it (the worker), the rules for its settings (server.config).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from server.config.settings import Config
from server.config.sink_settings import SinkSettings
from server.sink.base import Sink
from server.sink.kind import kind_of

if TYPE_CHECKING:
    from server.sink.spool.spool import Spool


def make(settings: SinkSettings, base_dir: Path, settle_s: float = 5.0) -> Sink:
    """Make a sink of ``settings.kind``, not yet open. Relative paths are relative to ``base_dir``. A sink without a
    setting for it settles events that a request waits for within ``settle_s``. Raises SettingsError."""
    return kind_of(settings).make(settings, base_dir, settle_s)


def make_spool(config: Config, base_dir: Path, workers: int) -> Spool | None:
    """Make this worker's spool; None if the sink is a local disk or memory, where a spool would not help."""
    if not config.sink.wants_spool:
        return None
    from server.sink.spool.spool import Spool

    return Spool(base_dir / config.spool.path, max_bytes=config.spool.max_bytes // max(1, workers))
