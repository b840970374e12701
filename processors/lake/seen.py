"""Events that have landed already: the IDs of events in open hours, and rows behind the offsets.

Place: landing → HERE → tables.
Rules: two events of one hour with the same ``meta.id`` are one event. The IDs of closed hours are forgotten, and those
of the oldest hour first if there are too many: `--compact` finds the duplicates that were let through.
Not here: what a duplicate is counted as (landing).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pyiceberg.expressions import And, EqualTo, GreaterThanOrEqual, NotIn, Or

from processors.lake import tables
from processors.lake.tables import ROLE

HOUR_US: Final = 3_600_000_000

Ids = dict[int, set[str]]


class Seen:
    """IDs by the number of their hour since 1970."""

    def __init__(self, most: int, ids: Ids) -> None:
        self._most = most
        self._ids = ids
        self._count = sum(map(len, ids.values()))

    def is_repeated(self, hour: int, identity: object) -> bool:
        """Whether the hour has had this ID; from now on it has. An event without an ID is like no other."""
        if not isinstance(identity, str):
            return False
        ids = self._ids.setdefault(hour, set())
        if identity in ids:
            return True
        ids.add(identity)
        self._count += 1
        if self._count > self._most and len(self._ids) > 1:
            self._forget(min(self._ids))
        return False

    def retract(self, hour: int, identity: object) -> None:
        """Forget one ID: its event was rejected, so that the next one with it is no duplicate of a row."""
        if isinstance(identity, str) and identity in self._ids.get(hour, ()):
            self._ids[hour].remove(identity)
            self._count -= 1

    def forget_before(self, hour: int) -> None:
        """Forget the hours that are closed."""
        for old in [one for one in self._ids if one < hour]:
            self._forget(old)

    def _forget(self, hour: int) -> None:
        self._count -= len(self._ids.pop(hour))


def meta_ids(found: Iterable[Any], since_ms: int, most: int) -> Ids:
    """Return the IDs of the rows from a time on, by hour."""
    ids: Ids = {}
    for table in found:
        if "meta.id" not in table.schema().column_names:
            continue
        is_open = GreaterThanOrEqual("_timestamp", since_ms * 1000)
        rows = tables.scan(table, ("_timestamp", "meta.id"), is_open, most)
        hours = rows.column("_timestamp").cast("int64").to_pylist()
        for at, meta in zip(hours, rows.column("meta").to_pylist(), strict=True):
            if meta is not None and meta["id"] is not None:
                ids.setdefault(at // HOUR_US, set()).add(meta["id"])
    return ids


def landed_behind(found: list[Any], offsets: Mapping[str, int]) -> dict[tuple[str, int], str]:
    """Return the rows that were committed and are behind the offsets, with the role of their table: those of a commit
    that was not finished. A stream with one table has none."""
    if len(found) < 2 and offsets:
        return {}
    behind: Any = None
    for name, offset in offsets.items():
        one = And(EqualTo("_partition", name), GreaterThanOrEqual("_offset", offset))
        behind = one if behind is None else Or(behind, one)
    if behind is not None:
        behind = Or(behind, NotIn("_partition", tuple(offsets)))
    landed: dict[tuple[str, int], str] = {}
    for table in found:
        rows = tables.scan(table, ("_partition", "_offset"), behind)
        places = zip(rows.column("_partition").to_pylist(), rows.column("_offset").to_pylist(), strict=True)
        landed |= dict.fromkeys(places, table.properties[ROLE])
    return landed
