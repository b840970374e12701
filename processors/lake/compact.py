"""Merge the files of each closed hour into one, and drop its duplicates for good.

Place: command → HERE → tables.
Rules: a merge is one commit that replaces exactly the rows it has read; if another commit came in between, it reads
again. Of several rows with one ``meta.id`` in an hour, the one that was read first stays. The offsets are kept, and the
summary counts the rows that were dropped. An hour with one file is left alone.
Not here: hours that are open, retention (expire).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
from msgspec import Struct
from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.expressions import And, GreaterThanOrEqual, LessThan

from processors.lake.head import COMPACTED
from processors.lake.landing import HOUR_MS
from processors.lake.seen import HOUR_US
from processors.lake.tables import CLOSED, MOST_TRIES, count_in, head_in, kept
from server.errors import PenstockError


class Merged(Struct, frozen=True):
    """One hour of one table, as the number of the hour since 1970."""

    table: str
    hour: int
    files: int
    rows: int
    dropped: int


def compacted(table: Any, before_commit: Callable[[], None] = lambda: None) -> Iterator[Merged]:
    """Merge every closed hour of a table that has several files. Raises PenstockError if others are always first."""
    closed = int(table.properties.get(CLOSED, 0)) // HOUR_MS
    for hour in sorted(hour for hour, files in _files(table).items() if hour < closed and files > 1):
        yield _merge(table, hour, before_commit)


def _files(table: Any) -> Counter[int]:
    return Counter(task.file.partition[0] for task in table.scan().plan_files())


def _merge(table: Any, hour: int, before_commit: Callable[[], None]) -> Merged:
    begin = GreaterThanOrEqual("_timestamp", hour * HOUR_US)
    is_of_hour = And(begin, LessThan("_timestamp", (hour + 1) * HOUR_US))
    for _ in range(MOST_TRIES):
        files = _files(table)[hour]
        rows = table.scan(row_filter=is_of_hour).to_arrow()
        single = _without_duplicates(rows)
        dropped = rows.num_rows - single.num_rows
        summary = kept(table, head_in(table)) | {COMPACTED: str(count_in(table, COMPACTED) + dropped)}
        before_commit()
        try:
            with table.transaction() as change:
                change.overwrite(single, overwrite_filter=is_of_hour, snapshot_properties=summary)
        except (CommitFailedException, ValidationException):
            table.refresh()
            continue
        return Merged(table.name()[-1], hour, files, single.num_rows, dropped)
    raise PenstockError(f"the hour {hour} of {table.name()[-1]} cannot be merged: others commit all the time")


def _without_duplicates(rows: Any) -> Any:
    order = [("_ingested_at", "ascending"), ("_partition", "ascending"), ("_offset", "ascending")]
    rows = rows.sort_by(order)
    if "meta" not in rows.column_names or not pa.types.is_struct(rows.schema.field("meta").type):
        return rows
    seen: set[str] = set()
    single = []
    for meta in rows.column("meta").to_pylist():
        identity = meta.get("id") if meta is not None else None
        single.append(identity is None or identity not in seen)
        if identity is not None:
            seen.add(identity)
    return rows.filter(pa.array(single, pa.bool_()))
