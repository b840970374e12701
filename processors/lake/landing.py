"""One stream on its way into its tables: judge each event, gather rows, commit them with the offsets.

Place: run → HERE → tables; seen tells what has landed before.
Rules: an event that was read becomes a row, or is a canary, a duplicate or rejected, and is counted as that. A commit
writes the tables one after another, and the last one carries the offsets. After a kill between two of them, the rows
behind the offsets are known by ``_partition`` and ``_offset``, and are not written again. When the columns of a table
grow, what was gathered before is committed first.
Not here: reading (run), when to commit (run), the form of rows (convert, arrow).
"""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec
import pyarrow as pa
from msgspec import Struct

from processors.lake import arrow, tables
from processors.lake.catalog import Catalog, title_of
from processors.lake.convert import Convert, Extra, UnfitError, converter
from processors.lake.head import newest
from processors.lake.naming import table_name
from processors.lake.seen import Seen, landed_behind, meta_ids
from processors.lake.tables import CLOSED, ROLE, SCHEMA, STREAM, Lake
from processors.page_change.embedded.inputs import Read
from server.catalog.stream import Stream

PACK: Final = 5_000  # Rows as Python objects take some 5 kB each, and a tenth of that in Arrow.
PACK_BYTES: Final = 64 << 20  # Of events. An array of Arrow cannot hold 2 GiB of text.
MOST_URIS: Final = 1_000
HOUR_MS: Final = 3_600_000
# Record times from the year 1 to 9999: Kafka takes any number from producers, and readers take no others.
LEAST_MS: Final = -62_135_596_800_000
MOST_MS: Final = 253_402_300_799_999
CANARY: Final = "canary"
TOO_DEEP: Final = "it is nested too deeply"

_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


class Target(Struct, eq=False):
    """A table with the rows that wait for a commit. ``raws`` are the events of ``rows``; ``major`` None: rejected."""

    major: int | None
    uri: str
    schema: Any
    convert: Convert | None
    table: Any
    rows: list[arrow.Row]
    raws: list[bytes]
    packed: list[Any]
    raw_bytes: int = 0  # Of ``raws``.


class Landing:
    """One stream. ``siblings`` are other streams in the same topics, whose events are not this one's."""

    def __init__(
        self, stream: Stream, siblings: frozenset[str], catalog: Catalog, lake: Lake, found: list[Any], most_ids: int
    ) -> None:
        """``found`` are the tables that the stream has."""
        self.name = stream.name
        self._title = stream.schema_title
        self._siblings = siblings
        self._catalog = catalog
        self._lake = lake
        self._found = {table.properties[ROLE]: table for table in found}
        self.head = newest([head for table in found if (head := tables.head_in(table)) is not None])
        self.closed_through = max((int(table.properties.get(CLOSED, 0)) for table in found), default=0)
        self._landed = landed_behind(found, self.head.offsets)
        events = [table for role, table in self._found.items() if role != "rejected"]
        self._seen = Seen(most_ids, meta_ids(events, self.closed_through, most_ids))
        self._targets: dict[int | None, Target] = {}
        self._by_uri: dict[object, Target | str] = {}
        self._consumed_before = self.head.consumed
        self._now_us = time.time_ns() // 1_000
        self.gathered_bytes = 0

    def take(self, partition: str, read: Read) -> None:
        """Take one record of one of the stream's topics. Records that were committed before are passed over."""
        if read.offset < self.head.offsets.get(partition, 0):
            return
        event, reason = _decoded(read.value)
        meta = event.get("meta") if event is not None else None
        meta = meta if meta.__class__ is dict else {}
        if meta.get("stream") in self._siblings:
            return
        self.head.consumed += 1
        if self._landed and (kind := self._landed.get((partition, read.offset))) is not None:
            if kind == "rejected":
                self.head.rejected += 1
            else:
                self.head.rows += 1
                self._seen.is_repeated(read.at // HOUR_MS, meta.get("id"))  # Its duplicates come after it.
        elif event is None:
            self._reject(partition, read, reason)
        elif meta.get("domain") == CANARY:
            self.head.canaries += 1
        elif meta.get("stream") != self.name:
            self._reject(partition, read, f"meta.stream is not {self.name}")
        elif not LEAST_MS <= read.at <= MOST_MS:
            self._reject(partition, read, f"the time of the record, {read.at} ms, is in no calendar")
        elif self._seen.is_repeated(read.at // HOUR_MS, meta.get("id")):
            self.head.duplicates += 1
        elif (fault := self._unfit(partition, read, event)) is not None:
            self._seen.retract(read.at // HOUR_MS, meta.get("id"))
            self._reject(partition, read, fault)

    def note(self, partition: str, position: int) -> None:
        """Note how far a partition was read."""
        self.head.offsets[partition] = max(position, self.head.offsets.get(partition, 0))

    def commit(self, closed_through: int) -> bool:
        """Commit what was gathered, and the hours that are closed: all before ``closed_through``, in milliseconds.
        Returns whether there was something to commit."""
        self._now_us = time.time_ns() // 1_000
        for target in list(self._targets.values()):
            self._pack(target)  # Rows that do not fit are rejected, and are among those of the last target.
        if (rejected := self._targets.get(None)) is not None:
            self._pack(rejected)
        is_closing = closed_through > self.closed_through and bool(self._found or self.head.consumed)
        if self.head.consumed == self._consumed_before and not is_closing:
            return False
        properties = {CLOSED: str(max(closed_through, self.closed_through))} if is_closing else {}
        self._write(properties)
        self._consumed_before = self.head.consumed
        self.gathered_bytes = 0
        if is_closing:
            self.closed_through = closed_through
            self._seen.forget_before(closed_through // HOUR_MS)
        return True

    def _write(self, properties: dict[str, str]) -> None:
        waiting = [target for target in self._targets.values() if target.packed]
        waiting.sort(key=lambda target: -1 if target.major is None else target.major)
        last = waiting.pop() if waiting else None
        for target in waiting:
            tables.append(self._table(target), pa.concat_tables(target.packed), None, properties)
            target.packed = []
        table = self._table(last) if last is not None else self._any_table()
        rows = pa.concat_tables(last.packed) if last is not None else tables.no_rows(table)
        others = [found for found in self._found.values() if found.name() != table.name()]
        for other in others if properties else ():
            tables.set_properties(other, properties)
        tables.append(table, rows, self.head, properties)
        if last is not None:
            last.packed = []
        self._landed = {}

    def _unfit(self, partition: str, read: Read, event: dict[str, Any]) -> str | None:
        """Gather the row of an event. Returns why it fits no table, or None."""
        uri = event.get("$schema")
        target = self._by_uri.get(uri) if uri.__class__ is str else None
        if target is None:
            target = self._look_up(uri)
        if isinstance(target, str):
            return target
        extra: Extra = {}
        assert target.convert is not None
        try:
            row = target.convert(event, extra)
            if extra:
                row["_extra"] = _encode(extra).decode()
        except UnfitError as error:
            return str(error)
        except RecursionError:
            return TOO_DEEP
        row |= _place(partition, read, self._now_us)
        self._gather(target, row, read.value)
        return None

    def _reject(self, partition: str, read: Read, reason: str) -> None:
        target = self._targets.get(None)
        if target is None:
            target = self._targets[None] = Target(None, "", arrow.REJECTED, None, None, [], [], [])
        row = _place(partition, read, self._now_us) | {"reason": reason, "value": read.value}
        if not LEAST_MS <= read.at <= MOST_MS:
            row["_timestamp"] = self._now_us
        self._gather(target, row, read.value)

    def _gather(self, target: Target, row: arrow.Row, raw: bytes) -> None:
        target.rows.append(row)
        target.raws.append(raw)
        self.gathered_bytes += len(raw)
        target.raw_bytes += len(raw)
        if len(target.rows) >= PACK or target.raw_bytes >= PACK_BYTES:
            self._pack(target)

    def _pack(self, target: Target) -> None:
        """Turn rows into a table of Arrow; those that do not fit are rejected."""
        if not target.rows:
            return
        rows, raws, target.rows, target.raws, target.raw_bytes = target.rows, target.raws, [], [], 0
        packed, unfit = arrow.table_of(rows, target.schema)
        if target.major is None:
            self.head.rejected += packed.num_rows
        else:
            self.head.rows += packed.num_rows
        if packed.num_rows:
            target.packed.append(packed)
        for number, reason in unfit:
            row = rows[number]
            read = Read(raws[number], row["_timestamp"] // 1000, row["_offset"], row["_topic"])
            if (meta := row.get("meta")).__class__ is dict:
                self._seen.retract(read.at // HOUR_MS, meta.get("id"))
            self._reject(row["_partition"], read, reason)

    def _look_up(self, uri: object) -> Target | str:
        """Return the target of a schema, or why there is none."""
        title, major, version = title_of(uri)
        found: Target | str
        if not title or title != self._title:
            found = f"$schema is not one of {self._title}"
        else:
            self._catalog.knows(f"/{title}/{version}")
            found = self._target(title, major)
        if len(self._by_uri) < MOST_URIS:
            self._by_uri[uri] = found
        return found

    def _target(self, title: str, major: int) -> Target | str:
        latest = self._catalog.latest(title, major)
        if latest is None:
            return f"there is no schema of {title} with the major version {major}"
        uri, columns = latest
        target = self._targets.get(major)
        if target is not None and target.uri == uri:
            return target
        if target is not None:
            self.commit(0)  # Everything that was gathered has the columns from before.
        table = self._found.get(str(major))
        schema = arrow.schema_of(columns)
        if table is not None and table.properties.get(SCHEMA) != uri:
            tables.widen(table, schema, uri)
        self._by_uri = {known: one for known, one in self._by_uri.items() if one is not target}
        self._targets[major] = Target(major, uri, schema, converter(columns), table, [], [], [])
        return self._targets[major]

    def _table(self, target: Target) -> Any:
        if target.table is None:
            role = "rejected" if target.major is None else str(target.major)
            properties = {STREAM: self.name, ROLE: role} | ({SCHEMA: target.uri} if target.uri else {})
            target.table = self._found.get(role)
            if target.table is None:
                name = table_name(self.name, target.major)
                target.table = self._lake.make(name, target.schema, properties)
            self._found[role] = target.table
        return target.table

    def _any_table(self) -> Any:
        """Return a table for a snapshot without rows: one of events if there can be one."""
        roles = sorted(self._found.keys() - {"rejected"}, key=int)
        if roles:
            return self._found[roles[-1]]
        assert self._title is not None
        for major in reversed(self._catalog.majors(self._title)):
            if not isinstance(target := self._target(self._title, major), str):
                return self._table(target)
        return self._table(Target(None, "", arrow.REJECTED, None, None, [], [], []))


def _decoded(value: bytes) -> tuple[dict[str, Any] | None, str]:
    try:
        event = _decode(value)
    except ValueError as error:  # Of bytes that are not UTF-8 msgspec raises no error of its own.
        return None, f"it is no JSON: {error}"[:300]
    except RecursionError:
        return None, TOO_DEEP
    return (event, "") if event.__class__ is dict else (None, "it is no JSON object")


def _place(partition: str, read: Read, now_us: int) -> arrow.Row:
    return {
        "_topic": read.topic,
        "_partition": partition,
        "_offset": read.offset,
        "_timestamp": read.at * 1000,
        "_ingested_at": now_us,
    }
