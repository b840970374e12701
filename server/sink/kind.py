"""One kind of sink: all that the rest of the program may ask of it without opening it.

Place: boot, commands.events, sink.make → HERE → server/sink/<kind>/kind.py.
Rules: nothing outside ``server/sink`` asks which kind it is. A kind's ``kind.py`` is imported by the master too, which
has no broker client: what makes or reads a sink imports its modules when it is called.
Not here: the list of kinds and what other settings have to know of them (config.sink_settings), the contract of an
open sink (sink.base).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from server.config.framework.breach import Breach
from server.config.sink_settings import SinkSettings
from server.sink.base import Sink


class Reading(Struct, frozen=True):
    """Which of the kept events are read, and where they are written.

    ``stream`` None: all. ``stream_fields`` are the paths in an event that may name its stream. ``follow``: new events
    too, until interrupted. ``say`` tells people something; ``on_unread`` says what damage keeps from being read.
    """

    stream: str | None
    stream_fields: Sequence[str]
    follow: bool
    out: BinaryIO
    say: Callable[[str], None]
    on_unread: Callable[[str], None]


class Kind(Struct, frozen=True):
    """Paths that are relative are relative to ``base_dir``.

    ``make(settings, base_dir, settle_s)`` makes a sink, not yet open, in the worker; raises SettingsError.
    ``describe(settings, base_dir)`` says where events go, for the log; it holds no secret.
    ``read(settings, base_dir, reading)`` writes what is kept, one JSON object a line; raises SettingsError, which says
    how else to read it, or PenstockError.
    ``check(settings)`` finds what is wrong with the settings beyond what ``server.config`` sees, without a broker.
    ``files_state(settings)`` changes when files change that the settings name and that only a new worker reads again.
    """

    make: Callable[[SinkSettings, Path, float], Sink]
    describe: Callable[[SinkSettings, Path], str]
    read: Callable[[SinkSettings, Path, Reading], None]
    check: Callable[[SinkSettings], list[Breach]] = lambda settings: []
    files_state: Callable[[SinkSettings], str] = lambda settings: ""


def kind_of(settings: SinkSettings) -> Kind:
    """The kind that the settings name: ``KIND`` in the ``kind.py`` of the folder with its name. No other is imported.

    By name, because config.sink_settings is the list already; a test looks that each kind in it has its folder.
    """
    kind: Kind = import_module(f"server.sink.{settings.kind}.kind").KIND
    return kind
