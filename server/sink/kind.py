"""One kind of sink: the questions that the rest of the program may ask about it without opening it.

Place: boot, commands.events, sink.make → HERE → server/sink/<kind>/kind.py.
Rules: nothing outside ``server/sink`` asks which kind it is. A kind's ``kind.py`` is imported by the master too, which
has no broker client: functions that make or read a sink import its modules when they are called.
Not here: the list of kinds and the facts that other settings need about them (config.sink_settings), the contract of an
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
from server.sink.watch import Tail, Watch


class Reading(Struct, frozen=True):
    """The choice of stored events to read, and the place to write them to.

    ``stream`` None: all. ``topics`` are read by a kind that has too much to read it all, from ``since_ms`` on.
    ``stream_fields`` are the paths in an event that may name its stream. ``follow``: new events too, until interrupted.
    ``say`` prints a message; ``on_unread`` is called with each part that damage keeps from being read; ``on_none`` with
    the topics of the stored events, if none of them is of ``stream`` at the first look.
    """

    stream: str | None
    stream_fields: Sequence[str]
    follow: bool
    out: BinaryIO
    say: Callable[[str], None]
    on_unread: Callable[[str], None]
    on_none: Callable[[list[str]], None]
    topics: Sequence[str] = ()
    since_ms: int = 0


class Kind(Struct, frozen=True):
    """A kind of sink.

    Relative paths are relative to ``base_dir``. ``make(settings, base_dir, settle_s)`` makes a sink, not yet open, in
    the worker; raises SettingsError. ``describe(settings, base_dir)`` says where events go, for the log; it holds no
    secret. ``read(settings, base_dir, reading)`` writes the stored events, one JSON object per line; raises
    SettingsError, which says how else to read them, or PenstockError. ``check(settings)`` finds faults in the settings
    beyond the checks of ``server.config``, without a broker. ``files_state(settings)`` changes when a file changes that
    the settings name and that only a new worker reads again. ``directories(settings)`` are those that the sink writes:
    the setting below ``sink``, and its value. ``watch(settings, base_dir)`` finds one event again, and ``tail`` reads
    the newest ones, in another process (server.sink.watch); None: the kind stores nothing that could be read.
    ``reads_topics``: ``read`` wants to be told topics. ``make_alone(settings, name, settle_s)`` makes a sink whose
    ``open`` ends every other one of this name, wherever it lives, so that what is stored afterwards is known; None:
    ``make`` will do, where a process that has ended can have nothing under way.
    """

    make: Callable[[SinkSettings, Path, float], Sink]
    describe: Callable[[SinkSettings, Path], str]
    read: Callable[[SinkSettings, Path, Reading], None]
    check: Callable[[SinkSettings], list[Breach]] = lambda settings: []
    files_state: Callable[[SinkSettings], str] = lambda settings: ""
    directories: Callable[[SinkSettings], list[tuple[tuple[str, ...], str]]] = lambda settings: []
    watch: Callable[[SinkSettings, Path], Watch] | None = None
    tail: Callable[[SinkSettings, Path], Tail] | None = None
    reads_topics: bool = False
    make_alone: Callable[[SinkSettings, str, float], Sink] | None = None


def kind_of(settings: SinkSettings) -> Kind:
    """Return the kind that the settings name: ``KIND`` in the ``kind.py`` of the folder with its name. No other is
    imported.

    It is found by name, because config.sink_settings is the list already; a test checks that each kind in it has its
    folder.
    """
    kind: Kind = import_module(f"server.sink.{settings.kind}.kind").KIND
    return kind
