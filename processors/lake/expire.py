"""Drop old hours, old snapshots, and the files that no snapshot has.

Place: command → HERE → tables.
Rules: an hour is dropped whole, and its rows are counted in the summary. The newest snapshot that says how far was read
is never dropped, however old it is. A file is deleted only if it is older than the snapshots that are kept and neither
a snapshot nor the table's metadata names it: so files of a commit that runs now stay, and those that a killed process
left go. Files are listed before the snapshots are read, so that a commit in between can only add names.
Not here: merging (compact).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct
from pyarrow import fs
from pyiceberg.exceptions import CommitFailedException, ValidationException
from pyiceberg.expressions import LessThan

from processors.lake.head import EXPIRED, head_of
from processors.lake.landing import HOUR_MS
from processors.lake.seen import HOUR_US
from processors.lake.tables import MOST_TRIES, count_in, head_in, kept
from server.errors import PenstockError

DAY_MS: Final = 24 * HOUR_MS


class Expired(Struct, frozen=True):
    """The rows, snapshots and files of one table that were dropped."""

    table: str
    rows: int
    snapshots: int
    files: int


def expired(table: Any, keep_days: float, keep_snapshots_h: float, now_ms: int) -> Expired:
    """Drop what is older than that; 0 days keep every hour. Raises PenstockError if others are always first."""
    rows = _drop_hours(table, (now_ms - round(keep_days * DAY_MS)) // HOUR_MS) if keep_days else 0
    before_ms = now_ms - round(keep_snapshots_h * HOUR_MS)
    snapshots = _drop_snapshots(table, before_ms)
    return Expired(table.name()[-1], rows, snapshots, _delete_files(table, before_ms))


def _drop_hours(table: Any, hour: int) -> int:
    """Drop the rows of all hours before one, as a number since 1970. Returns how many."""
    is_old = LessThan("_timestamp", hour * HOUR_US)
    for _ in range(MOST_TRIES):
        files = [task.file for task in table.scan().plan_files()]
        dropped: int = sum(file.record_count for file in files if file.partition[0] < hour)
        if not dropped:
            return 0
        summary = kept(table, head_in(table)) | {EXPIRED: str(count_in(table, EXPIRED) + dropped)}
        try:
            with table.transaction() as change:
                change.delete(is_old, snapshot_properties=summary)
        except (CommitFailedException, ValidationException):
            table.refresh()
            continue
        return dropped
    raise PenstockError(f"hours of {table.name()[-1]} cannot be dropped: others commit all the time")


def _drop_snapshots(table: Any, before_ms: int) -> int:
    for _ in range(MOST_TRIES):
        needed = set(_back_to_head(table))
        old = [
            snapshot.snapshot_id
            for snapshot in table.snapshots()
            if snapshot.timestamp_ms < before_ms and snapshot.snapshot_id not in needed
        ]
        named = {reference.snapshot_id for reference in table.metadata.refs.values()}
        old = [one for one in old if one not in named]
        if not old:
            return 0
        try:
            table.maintenance.expire_snapshots().by_ids(old).commit()
        except CommitFailedException:
            table.refresh()
            continue
        table.refresh()
        return len(old)
    raise PenstockError(f"snapshots of {table.name()[-1]} cannot be dropped: others commit all the time")


def _back_to_head(table: Any) -> Iterator[int]:
    """Yield the newest snapshots, back to the one that says how far was read."""
    snapshot = table.current_snapshot()
    while snapshot is not None:
        yield snapshot.snapshot_id
        if head_of(snapshot.summary.additional_properties) is not None:
            return
        snapshot = table.snapshot_by_id(snapshot.parent_snapshot_id) if snapshot.parent_snapshot_id else None


def _delete_files(table: Any, before_ms: int) -> int:
    scheme, netloc, root = table.io.parse_location(table.location())
    system = table.io.fs_by_scheme(scheme, netloc)
    listed = system.get_file_info(fs.FileSelector(root, recursive=True, allow_not_found=True))
    old = [one.path for one in listed if one.type == fs.FileType.File and one.mtime.timestamp() * 1000 < before_ms]
    table.refresh()
    named = {table.io.parse_location(location)[2] for location in _locations(table)}
    unused = [path for path in old if path not in named]
    for path in unused:
        system.delete_file(path)
    return len(unused)


def _locations(table: Any) -> Iterator[str]:
    """Yield every file that the table names."""
    yield table.metadata_location
    metadata = table.metadata
    yield from (entry.metadata_file for entry in metadata.metadata_log)
    yield from (file.statistics_path for file in (*metadata.statistics, *metadata.partition_statistics))
    read: set[str] = set()
    for snapshot in table.snapshots():
        yield snapshot.manifest_list
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path in read:
                continue
            read.add(manifest.manifest_path)
            yield manifest.manifest_path
            yield from (entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io))
