"""The position of a client in all partitions of its topics, and its text, which is the ``id`` of every event.

Place: start makes one; group and client advance it; frames write its text; ask reads the text that a client sends back.
Rules: ``offset`` is that of the next event, as in Kafka's own committed offsets and as KafkaSSE writes it.
``timestamp`` is the largest of all events sent from the partition. On another cluster, where offsets mean nothing,
reading begins at the first event that is as late or later: in a log of the same order that is at most the event with
this timestamp, which was sent, so nothing is left out, however the timestamps run. The cluster is named once. A text
that would be too long for a header has the compact form.
``log`` is the identity of the log that an offset belongs to, because a topic that is made again may grow past the
offset of the old one. The first entry of a topic names it, and so do those whose log is another one. A text without it
says nothing about logs, as those of other servers and of older versions.
Not here: what is there to be read (sources), what happens when a position is gone (start, client).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from eventstreams.record import Place, Record

# Servers and proxies refuse headers of more than 8 kB; some begin at 4.
COMPACT_FROM_BYTES: Final = 3_500
MOST_BYTES: Final = 65_536
END: Final = -1  # KafkaSSE's offset of a partition of which nothing was sent.

_COMPACT: Final = re.compile(
    r"c1\.([A-Za-z0-9_=+/-]*)((?:;[A-Za-z0-9._-]{1,249}(?:=[A-Za-z0-9_-]{1,64})?/[0-9:@,-]+)+)"
)
_PART: Final = re.compile(r"(\d{1,9}):(-1|\d{1,19})(?:@(\d{1,15}))?")
_MOST: Final = (1 << 63) - 1


class PositionError(ValueError):
    """A text is no position. ``str()`` says why."""


class Entry(msgspec.Struct, frozen=True):
    """A partition as a client names it; ``offset`` None: only its timestamp counts. ``log`` "": it names none."""

    topic: str
    partition: int
    offset: int | None = None
    timestamp: int | None = None
    log: str = ""


class Parsed(msgspec.Struct, frozen=True):
    """A text that was read. ``cluster`` "": it names none, as those of other servers."""

    entries: tuple[Entry, ...]
    cluster: str = ""


class Positions:
    """One position. ``mark`` grows with every step, so that two moments can be told apart."""

    __slots__ = ("_cluster", "_entries", "_text", "_told_logs", "logs", "mark", "next", "timestamps")

    def __init__(
        self, cluster: str, starts: Mapping[Place, tuple[int, int | None]], logs: Mapping[Place, str] | None = None
    ) -> None:
        """``starts``: the next offset of each place, and the timestamp up to which everything counts as sent.
        ``logs``: the identities of their logs, as far as they are known."""
        self._cluster = cluster
        self.next: dict[Place, int] = {}
        self.timestamps: dict[Place, int | None] = {}
        self.logs: dict[Place, str] = {}
        self._told_logs: dict[Place, str] = {}
        self._entries: dict[Place, str] = {}
        self._text: bytes | None = None
        self.mark = len(starts)
        for place, (self.next[place], self.timestamps[place]) in sorted(starts.items()):
            self.logs[place] = "" if logs is None else logs.get(place, "")
        self._tell_logs()

    def put(self, place: Place, offset: int, timestamp: int | None, log: str | None = None) -> None:
        """Set one place, or add it. ``log`` None: its log is the same as before."""
        if log is not None or place not in self.logs:
            self.logs[place] = log or ""
            self._tell_logs()
        self.next[place] = offset
        self.timestamps[place] = timestamp
        self._entries.pop(place, None)
        self._text = None
        self.mark += 1

    def _tell_logs(self) -> None:
        """Work out again which entries name their log."""
        self._told_logs.clear()
        first: dict[str, str] = {}
        for place, log in self.logs.items():
            if log != first.get(place[0], ""):
                self._told_logs[place] = log
            first.setdefault(place[0], log)
        self._entries.clear()

    def advance(self, record: Record) -> None:
        """Note that this record was sent, or passed over."""
        place = record.place
        before = self.timestamps.get(place)
        self.put(place, record.offset + 1, record.timestamp_ms if before is None else max(before, record.timestamp_ms))

    def reach(self, place: Place, offset: int) -> None:
        """Note that there is nothing before this offset that was not sent."""
        if offset > self.next[place]:
            self.put(place, offset, self.timestamps[place])

    def copy(self) -> Positions:
        """Return another object at the same position."""
        starts = {place: (offset, self.timestamps[place]) for place, offset in self.next.items()}
        return Positions(self._cluster, starts, self.logs)

    def text(self) -> bytes:
        """Return the text of this position."""
        if self._text is None:
            text = self._json()
            self._text = (text if len(text) < COMPACT_FROM_BYTES else self._compact()).encode()
        return self._text

    def _json(self) -> str:
        entries = self._entries
        for place, offset in self.next.items():
            if place not in entries:
                timestamp, log = self.timestamps[place], self._told_logs.get(place)
                entries[place] = (
                    f'{{"topic":"{place[0]}","partition":{place[1]},"offset":{offset}'
                    + ("" if timestamp is None else f',"timestamp":{timestamp}')
                    + ("}" if log is None else f',"log":"{log}"}}')
                )
        joined = ",".join(map(entries.__getitem__, self.next))
        if not joined or not self._cluster:
            return f"[{joined}]"
        end = joined.index("}")
        return f'[{joined[:end]},"cluster":"{self._cluster}"{joined[end:]}]'

    def _compact(self) -> str:
        by_topic: dict[str, list[str]] = {}
        for (topic, partition), offset in self.next.items():
            timestamp = self.timestamps[topic, partition]
            text = f"{partition}:{offset}" + ("" if timestamp is None else f"@{timestamp}")
            log = self.logs[topic, partition]
            by_topic.setdefault(f"{topic}={log}" if log else topic, []).append(text)
        return f"c1.{self._cluster}" + "".join(f";{topic}/{','.join(parts)}" for topic, parts in by_topic.items())


def is_other(log: str, now: str) -> bool:
    """Whether a log is surely another one by now."""
    return bool(log and now) and log != now


def parse(text: str) -> Parsed:
    """Read a position: a JSON array of ``{topic, partition, offset|timestamp, log}``, or the compact form. Raises
    PositionError."""
    if len(text) > MOST_BYTES:
        raise PositionError(f"is longer than {MOST_BYTES} bytes")
    if text.startswith("c1."):
        return _parse_compact(text)
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise PositionError("is not JSON") from None
    if not isinstance(found, list):
        raise PositionError("is not an array")
    cluster = next(
        (one["cluster"] for one in found if isinstance(one, dict) and isinstance(one.get("cluster"), str)), ""
    )
    first: dict[str, str] = {}
    return Parsed(tuple(_once(_entry(one, first) for one in found)), cluster)


def _entry(one: Any, first_logs: dict[str, str]) -> Entry:
    """Return an entry; ``first_logs`` are those of the first entries of topics, for entries that name none."""
    if not isinstance(one, dict) or not isinstance(one.get("topic"), str):
        raise PositionError("has an entry without a topic")
    partition, offset, timestamp = one.get("partition"), one.get("offset"), one.get("timestamp")
    if not isinstance(partition, int) or not _is_number(partition, 0):
        raise PositionError(f"has an entry of topic {one['topic'][:249]} without a partition")
    if offset is not None and not _is_number(offset, END):
        raise PositionError("has an offset that is not a whole number")
    if timestamp is not None and not _is_number(timestamp, 0):
        raise PositionError("has a timestamp that is not a whole number of milliseconds")
    if offset is None and timestamp is None:
        raise PositionError("has an entry with neither offset nor timestamp")
    topic, log = one["topic"], one.get("log")
    if log is not None and not isinstance(log, str):
        raise PositionError("has a log that is not a text")
    first = first_logs.setdefault(topic, log or "")
    return Entry(topic, partition, offset, timestamp, first if log is None else log)


def _is_number(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= _MOST


def _parse_compact(text: str) -> Parsed:
    found = _COMPACT.fullmatch(text)
    if found is None:
        raise PositionError("is not in the compact form: c1.CLUSTER;TOPIC=LOG/PARTITION:OFFSET@TIMESTAMP,…;…")
    entries = []
    for group in found[2][1:].split(";"):
        name, _, parts = group.partition("/")
        topic, _, log = name.partition("=")
        for part in parts.split(","):
            one = _PART.fullmatch(part)
            if one is None or int(one[2]) > _MOST:
                raise PositionError(f"is not in the compact form: {part[:80]!r} is not PARTITION:OFFSET@TIMESTAMP")
            entries.append(Entry(topic, int(one[1]), int(one[2]), int(one[3]) if one[3] else None, log))
    return Parsed(tuple(_once(entries)), found[1])


def _once(entries: Iterable[Entry]) -> Iterable[Entry]:
    seen: set[Place] = set()
    for entry in entries:
        if (entry.topic, entry.partition) in seen:
            raise PositionError("names a partition twice")
        seen.add((entry.topic, entry.partition))
        yield entry
