"""Check that the service could write where its settings say, and that its disk has room for the spool.

Place: commands.check → HERE.
Rules: nothing is made or written, and the user who checks is taken for the user of the service. ``serve`` does not ask:
what it cannot write ends its workers with the same reason, and commands such as ``validate`` write nothing.
Not here: what happens when a disk fails later (sink.spool.writer, sink.sqlite.upkeep).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from server.config.framework.document import dotted
from server.config.framework.finding import Finding, Level
from server.config.urls import urls_of
from server.sink.kind import kind_of

if TYPE_CHECKING:
    from server.config.load import Loaded

_HINT = "name a directory that the service may write, or check as the user of the service"


class _Wanted(NamedTuple):
    """A directory that the service writes, and what happens if it cannot."""

    setting: tuple[str, ...]
    text: str
    level: Level
    without: str


def check(loaded: Loaded) -> list[Finding]:
    """Return a finding for each directory that cannot be written, and one for a spool that its disk cannot hold."""
    found = [_finding(loaded, one, fault) for one in _wanted(loaded) if (fault := _fault(loaded.path(one.text)))]
    if loaded.config.sink.wants_spool:
        found += _room(loaded)
    return found


def _wanted(loaded: Loaded) -> Iterator[_Wanted]:
    config = loaded.config
    if config.sink.wants_spool:
        yield _Wanted(("spool", "path"), config.spool.path, "error", "no worker could start")
    for setting, path in kind_of(config.sink).directories(config.sink):
        yield _Wanted(("sink", *setting), path, "error", "no worker could start")
    if urls_of((*config.streams.sources, *config.schemas.base_uris, config.auth.jwt.keys or "")):
        yield _Wanted(("fetch", "path"), config.fetch.path, "error", "nothing that is at a URL could be kept")
    if config.canary.enabled:
        yield _Wanted(("canary", "path"), config.canary.path, "error", "no canary could be sent")
    if config.plausibility.enabled:
        without = "what is usual for streams would be learned again after each restart"
        yield _Wanted(("plausibility", "path"), config.plausibility.path, "error", without)
    if config.schemas.prepared_path:
        without = "every start would prepare all schemas again"
        yield _Wanted(("schemas", "prepared_path"), config.schemas.prepared_path, "warning", without)


def _finding(loaded: Loaded, wanted: _Wanted, fault: str) -> Finding:
    file, line = loaded.origin(*wanted.setting)
    reason = f"{fault}, so {wanted.without}"
    return Finding(level=wanted.level, file=file, line=line, key=dotted(wanted.setting), reason=reason, hint=_HINT)


def _fault(directory: Path) -> str:
    """Return why files in the directory could not be written, or an empty text. It may have to be made."""
    there = _nearest(directory)
    if not there.is_dir():
        return f"{there} is not a directory"
    if not os.access(there, os.W_OK | os.X_OK):
        return f"{there} cannot be written by this user"
    if there != directory:
        return ""
    locked = (path for path in sorted(there.iterdir()) if path.is_file() and not os.access(path, os.W_OK))
    file = next(locked, None)
    return "" if file is None else f"{file} cannot be written by this user"


def _room(loaded: Loaded) -> list[Finding]:
    """Compare the limit of the spool with the room on its disk. Bytes that the spool holds already count as room."""
    spool, directory = loaded.config.spool, loaded.path(loaded.config.spool.path)
    there = _nearest(directory)
    disk = os.statvfs(there)
    held = sum(path.stat().st_size for path in directory.glob("spool-*.db")) if directory.is_dir() else 0
    room = disk.f_bavail * disk.f_frsize + held
    if spool.max_bytes <= room:
        return []
    path = ("spool", "max_bytes")
    file, line = loaded.origin(*path)
    reason = f"{spool.max_bytes} is more than the {room} bytes that the disk of {there} has for it"
    hint = "lower it, or make room: events are refused once the disk is full, before the spool counts as full"
    return [Finding(level="warning", file=file, line=line, key=dotted(path), reason=reason, hint=hint)]


def _nearest(path: Path) -> Path:
    """Return the path, or the nearest above it that exists."""
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    return path
