"""Memory as a kind of sink.

Place: sink.kind → HERE → sink.memory.sink, in the worker.
Rule: it stores nothing, and says so.
Not here: the sink (sink.memory.sink).
"""

from __future__ import annotations

from pathlib import Path

from server.config.sink_settings import SinkSettings
from server.errors import SettingsError
from server.sink.base import Sink
from server.sink.kind import Kind, Reading


def _make(settings: SinkSettings, _base_dir: Path, _settle_s: float) -> Sink:
    from server.sink.memory.sink import MemorySink

    return MemorySink(max_outstanding=settings.max_outstanding)


def _describe(_settings: SinkSettings, _base_dir: Path) -> str:
    return "memory: they are lost when the process ends"


def _read(_settings: SinkSettings, _base_dir: Path, _reading: Reading) -> None:
    raise SettingsError("sink.kind is memory, which keeps nothing to read: set sink.kind: sqlite")


KIND = Kind(make=_make, describe=_describe, read=_read)
