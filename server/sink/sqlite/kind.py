"""SQLite as a kind of sink.

Place: sink.kind → HERE → sink.sqlite.sink, in the worker; sink.sqlite.reader, for `penstock events`.
Rule: a database that cannot be read at all is an error that names its directory.
Not here: the sink (sink.sqlite.sink), reading around damage (sink.sqlite.reader).
"""

from __future__ import annotations

from pathlib import Path

from server.config.sink_settings import SinkSettings
from server.errors import PenstockError
from server.sink.base import Sink
from server.sink.kind import Kind, Reading
from server.sink.watch import Tail, Watch


def _make(settings: SinkSettings, base_dir: Path, settle_s: float) -> Sink:
    from server.sink.sqlite.sink import SqliteSink

    return SqliteSink(
        base_dir / settings.sqlite.path,
        max_outstanding=settings.max_outstanding,
        max_outstanding_bytes=settings.max_outstanding_bytes,
        settle_s=settle_s,
    )


def _describe(settings: SinkSettings, base_dir: Path) -> str:
    return f"SQLite in {base_dir / settings.sqlite.path}"


def _read(settings: SinkSettings, base_dir: Path, reading: Reading) -> None:
    import sqlite3

    from server.sink.sqlite.reader import read

    directory = base_dir / settings.sqlite.path
    if not directory.is_dir():
        reading.say(f"nothing has been stored in {directory} yet")
    try:
        read(
            directory,
            reading.stream,
            reading.follow,
            reading.out,
            stream_fields=reading.stream_fields,
            on_unread=reading.on_unread,
            on_none=reading.on_none,
        )
    except sqlite3.Error as failed:
        raise PenstockError(f"cannot read the events in {directory}: {failed}") from failed


def _directories(settings: SinkSettings) -> list[tuple[tuple[str, ...], str]]:
    return [(("sqlite", "path"), settings.sqlite.path)]


def _watch(settings: SinkSettings, base_dir: Path) -> Watch:
    from server.sink.sqlite.watch import SqliteWatch

    return SqliteWatch(base_dir / settings.sqlite.path)


def _tail(settings: SinkSettings, base_dir: Path) -> Tail:
    from server.sink.sqlite.tail import SqliteTail

    return SqliteTail(base_dir / settings.sqlite.path)


KIND = Kind(make=_make, describe=_describe, read=_read, directories=_directories, watch=_watch, tail=_tail)
