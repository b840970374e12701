"""Tables of Iceberg: find, make, widen and append, in any catalogue that pyiceberg knows.

Place: landing, compact, views → HERE → pyiceberg.
Rules: an append, the summary of its snapshot and the properties of its table are one commit. A commit that another one
has overtaken is made again on top of it, unless that one was of another writer of the same stream. Columns are added
and never dropped or narrowed.
Not here: which rows (landing), types of columns (arrow).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError, ValidationError
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.transforms import HourTransform
from sqlalchemy import URL

from processors.lake.faults import of_settings
from processors.lake.head import COMPACTED, EXPIRED, PREFIX, Head, head_of
from processors.lake.settings import LakeSettings
from processors.wrong import WrongSettingError
from server.errors import PenstockError, SettingsError
from server.sink.spool import claim

CLOSED: Final = PREFIX + "closed_through"
STREAM: Final = PREFIX + "stream"
ROLE: Final = PREFIX + "role"
SCHEMA: Final = PREFIX + "schema"
MOST_TRIES: Final = 20
BUSY_S: Final = "60"  # Commits to the embedded catalogue wait so long for those of others.
_PROPERTIES: Final = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    # measured: bench lake, 3.3 → 2.7 µs and 145 → 123 bytes per event: with the default of 2 MiB, columns of texts that
    # are all different fill dictionaries for nothing.
    "write.parquet.dict-size-bytes": "65536",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    "commit.retry.num-retries": "0",  # Before it tries again, ``append`` looks at whose commit was first.
}

Table = Any  # Of pyiceberg, which is in requirements of its own.


class Lake:
    """The tables of one namespace."""

    def __init__(self, settings: LakeSettings, base_dir: Path, *, is_writer: bool) -> None:
        """Open the catalogue. A writer locks the directory. Raises SettingsError if another one has it, or if the
        catalogue cannot be opened."""
        root = base_dir / settings.path
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._lock = claim.take(root / "lake") if is_writer else None
        except OSError as error:
            raise WrongSettingError("path", f"the directory {root} cannot be used: {error.strerror}") from error
        if is_writer and self._lock is None:
            raise SettingsError(f"{root} is in use by another process")
        self._namespace = settings.namespace
        try:
            properties = settings.catalog or _embedded(root.absolute())
            with of_settings():
                self._catalog = load_catalog("penstock", **properties)
                self._catalog.create_namespace_if_not_exists(self._namespace)
        except SettingsError:
            self._unlock()
            raise

    def tables(self) -> list[Table]:
        """Return all tables of ours, by name."""
        names = sorted(self._catalog.list_tables(self._namespace))
        found = [self._catalog.load_table(name) for name in names]
        return [table for table in found if STREAM in table.properties]

    def make(self, name: str, schema: Any, properties: Mapping[str, str]) -> Table:
        """Make a table, partitioned by the hours of its events. Raises PenstockError if another stream has it."""
        try:
            found = self._catalog.load_table((self._namespace, name))
        except NoSuchTableError:
            found = None
        if found is not None:
            raise _taken(name, found, properties)
        made = self._catalog.create_table_transaction(
            (self._namespace, name), schema, properties={**_PROPERTIES, **properties}
        )
        with made, made.update_spec() as spec:
            spec.add_field("_timestamp", HourTransform(), "_hour")
        return self._catalog.load_table((self._namespace, name))

    def close(self) -> None:
        """Release the lock."""
        self._catalog.close()
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)


def _embedded(root: Path) -> dict[str, str]:
    """Return the properties of a catalogue in SQLite. Raises SettingsError for a directory that pyiceberg, which takes
    locations for URLs, would take for another one."""
    if not set("#?").isdisjoint(str(root)):
        raise WrongSettingError("path", f"the directory {root} has a # or ?: set path to another one")
    uri = URL.create("sqlite", database=f"{root}/catalog.db", query={"timeout": BUSY_S})
    return {"type": "sql", "uri": str(uri), "warehouse": f"file://{root}/warehouse"}


def _taken(name: str, found: Table, properties: Mapping[str, str]) -> PenstockError:
    stream = found.properties.get(STREAM)
    if stream is None:
        return PenstockError(f"there is a table {name} that penstock lake has not made")
    if stream == properties[STREAM] and found.properties.get(ROLE) == properties[ROLE]:
        return PenstockError(f"another process has made the table {name} of the stream {stream}")
    return PenstockError(f"the table {name} belongs to the stream {stream!r}")


def widen(table: Table, schema: Any, uri: str) -> None:
    """Add the columns that a table does not have. Raises PenstockError if a column would change its type."""
    before = table.schema()
    try:
        with table.transaction() as change:
            with change.update_schema() as update:
                update.union_by_name(schema)
            change.set_properties({SCHEMA: uri})
    except (ValidationError, ValueError) as error:
        raise PenstockError(f"the table {'.'.join(table.name())} cannot take the columns of {uri}: {error}") from error
    if not set(before.column_names) <= set(table.schema().column_names):
        raise PenstockError(f"the table {'.'.join(table.name())} lost columns")


def head_in(table: Table) -> Head | None:
    """Return what the newest snapshot of ours says."""
    snapshot = table.current_snapshot()
    while snapshot is not None:
        if (found := head_of(snapshot.summary.additional_properties)) is not None:
            return found
        snapshot = table.snapshot_by_id(snapshot.parent_snapshot_id) if snapshot.parent_snapshot_id else None
    return None


def append(table: Table, rows: Any, head: Head | None, properties: Mapping[str, str]) -> None:
    """Append rows and set properties, in one commit. ``head`` None: the table keeps the one that it has.

    Raises PenstockError if another writer was here.
    """
    before = head_in(table)
    for _ in range(MOST_TRIES):
        summary = kept(table, head or before)
        try:
            with table.transaction() as change:
                if properties:
                    change.set_properties(dict(properties))
                change.append(rows, snapshot_properties=summary)
        except CommitFailedException:
            table.refresh()
            now = head_in(table)
            if (now.offsets if now else None) != (before.offsets if before else None):
                raise PenstockError(f"another process writes the table {'.'.join(table.name())}") from None
            continue
        return
    raise PenstockError(f"the table {'.'.join(table.name())} cannot be committed to: others are always first")


def kept(table: Table, head: Head | None) -> dict[str, str]:
    """Return the summary that the next snapshot has to have: the head, and the rows that are gone."""
    gone = {name: str(count_in(table, name)) for name in (COMPACTED, EXPIRED)}
    return (head.as_summary() if head is not None else {}) | gone


def count_in(table: Table, name: str) -> int:
    """Return how many rows of a table are gone: by merges (COMPACTED), or with their hours (EXPIRED)."""
    snapshot = table.current_snapshot()
    return 0 if snapshot is None else int(snapshot.summary.additional_properties.get(name, 0))


def set_properties(table: Table, properties: Mapping[str, str]) -> None:
    """Set properties without a snapshot."""
    for attempt in range(MOST_TRIES):
        try:
            with table.transaction() as change:
                change.set_properties(dict(properties))
        except CommitFailedException:
            if attempt == MOST_TRIES - 1:
                raise
            table.refresh()
            continue
        return


def no_rows(table: Table) -> Any:
    """Return a table of Arrow without rows, for a snapshot that only says how far was read."""
    return pa.Table.from_pylist([], schema=table.schema().as_arrow())


def scan(table: Table, columns: tuple[str, ...], row_filter: Any = None, limit: int | None = None) -> Any:
    """Return columns of the rows, as a table of Arrow."""
    return table.scan(row_filter=row_filter or AlwaysTrue(), selected_fields=columns, limit=limit).to_arrow()
