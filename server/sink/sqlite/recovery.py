"""Copy the readable rows of a damaged database of the embedded sink into a new one, which `penstock events` reads.

Place: sink.sqlite.upkeep → HERE, on its background thread, while the service continues with a new database.
Rules: the damaged file stays; at most its first page is repaired (sink.salvage). The recovered file gets its name when
it is whole: an interrupted recovery begins again at the next start. Only the worker that holds ``events-N.lock``
recovers ``events-N.broken-…``.
Not here: noticing damage (sink.sqlite.upkeep), reading rows past the damage (sink.salvage).
"""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

from server.sink.salvage import MOST_ID, Salvage, transaction
from server.sink.sqlite.file import SCHEMA, SUFFIX, VERSION

_COLUMNS: Final = "id, stored_ns, topic, key, timestamp_ms, headers, value"
_KINDS: Final = (int, int, bytes, (bytes, type(None)), int, bytes, bytes)  # TEXT is read as bytes.
_KEEP: Final = """
INSERT OR IGNORE INTO event VALUES (
    ?, ?, CAST(? AS TEXT), CAST(? AS TEXT), ?, CAST(? AS TEXT), CAST(? AS TEXT)
)
"""

_ASIDE: Final = re.compile(r"\.broken-\d+T\d+Z(-\d+)?$")  # Neither their logs nor saved first pages match.

_logger = logging.getLogger("sink.sqlite")


def unrecovered(directory: Path, stem: str) -> list[Path]:
    """Return the databases that were set aside and not recovered yet; ``stem`` is that of their former names."""
    asides = (path for path in directory.glob(f"{stem}.broken-*") if _ASIDE.search(path.name))
    return sorted(aside for aside in asides if not _recovered(aside).exists())


def recover(aside: Path, is_stopped: Callable[[], bool]) -> int:
    """Copy the readable rows, and log their number. Returns it, or -1 if it was stopped. Raises sqlite3.Error or
    OSError if the copy cannot be written."""
    recovered = _recovered(aside)
    part = recovered.with_suffix(".part")
    for leftover in (part, part.with_name(part.name + "-journal")):
        leftover.unlink(missing_ok=True)
    salvage = Salvage(aside, SCHEMA, _COLUMNS, _KINDS, text_factory=bytes, keeps_all=True)
    try:
        count = _copy(salvage, part, is_stopped)
    except BaseException:
        part.unlink(missing_ok=True)  # The disk may be full.
        raise
    if count < 0:
        return count
    part.rename(recovered)
    lost = "; ".join(_shown(first, last) for first, last in salvage.gaps[:10])
    _logger.error(
        "%d events of the damaged database %s are recovered in %s; not readable: %s",
        *(count, aside, recovered, lost or "nothing known"),
    )
    return count


def _shown(first: int, last: int) -> str:
    return f"everything from id {first} on" if last == MOST_ID else f"ids {first} to {last}"


def _copy(salvage: Salvage, part: Path, is_stopped: Callable[[], bool]) -> int:
    count = 0
    with closing(sqlite3.connect(part, isolation_level=None, check_same_thread=False)) as database:
        database.execute(SCHEMA)
        database.execute(f"PRAGMA user_version = {VERSION}")
        for rows in salvage.batches():
            if is_stopped():
                return -1
            with transaction(database):
                database.executemany(_KEEP, rows)
            count += len(rows)
    return count


def _recovered(aside: Path) -> Path:
    return aside.with_name(aside.name.replace(".broken-", ".recovered-") + SUFFIX)
