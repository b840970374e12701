"""Tell what a change of declarations would do: which streams are new or gone, and how events of the rest would change.

Place: two snapshots (catalog.snapshot) → HERE → ``penstock check --diff``.
Rule: ``is_breaking`` says that today's senders or readers would notice: events would be refused, or go to another topic
or partition. Changed settings of other programs (clients, consumers) are listed, but break nothing here.
Not here: whether the new declarations are valid (catalog.check_streams).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from server.catalog.snapshot import Snapshot
from server.catalog.stream import Stream
from server.catalog.topics import effective

_WHY = {
    "topic": "events go to other topics: readers must follow",
    "key": "a key change breaks partitioning: events of one key will be in two partitions, out of order",
    "schema_title": "events of the old title are refused",
    "service": "the service that took its events refuses them",
    "enabled": "its events are refused, or accepted again",
}


class Change(Struct, frozen=True):
    """One difference; ``text`` names the old value, the new value and the consequence."""

    stream: str
    text: str
    is_breaking: bool


def changes(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    """Yield all changes, in the order of the old declarations and then for new streams."""
    for name in old.names():
        before, after = old.declared(name), new.declared(name)
        if before is not None and after is None:
            yield _gone(name, new)
        elif before is not None and after is not None and before != after:
            yield from _changed(name, before, after)
    for name in new.names():
        if old.declared(name) is None:
            yield Change(name, "is new", is_breaking=False)


def _gone(name: str, new: Snapshot) -> Change:
    taker = new.find(name)
    if taker is not None:
        return Change(name, f"is gone; its events now go to {taker.declared}", is_breaking=True)
    return Change(name, "is gone: its events are refused with unknown_stream", is_breaking=True)


def _changed(name: str, before: Stream, after: Stream) -> Iterator[Change]:
    pairs: dict[str, tuple[Any, Any]] = {
        "topic": (before.topic, after.topic),
        "key": (_key(before), _key(after)),
        "schema_title": (before.schema_title, after.schema_title),
        "service": (before.service, after.service),
        "enabled": (before.enabled, after.enabled),
    }
    for what, (was, is_now) in pairs.items():
        if was != is_now:
            yield Change(name, f"{what}: {_shown(was)} → {_shown(is_now)}: {_WHY[what]}", is_breaking=True)
    was_topics, topics = effective(before.settings, name), effective(after.settings, name)
    if was_topics != topics:
        text = f"topics for readers: {', '.join(was_topics)} → {', '.join(topics)}"
        yield Change(name, text, is_breaking=before.topic != after.topic)
    told = {"schema_title", "topics", "topic_prefixes", "message_key_fields", "destination_event_service"}
    for path, was, is_now in _leaves(before.settings, after.settings, ()):
        if path[0] not in told:
            yield Change(name, f"{'.'.join(path)}: {_shown(was)} → {_shown(is_now)}", is_breaking=False)


def _key(stream: Stream) -> str | None:
    return ", ".join(f"{key}: {'.'.join(path)}" for key, path in stream.key_fields) or None


_ABSENT = object()


def _leaves(before: Any, after: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Yield the values below two maps that differ, with their paths."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys((*before, *after)):
            yield from _leaves(before.get(name, _ABSENT), after.get(name, _ABSENT), (*path, name))
    elif before is _ABSENT or after is _ABSENT or before != after or type(before) is not type(after):
        yield path, before, after


def _shown(value: Any) -> str:
    if value is _ABSENT:
        return "absent"
    return {None: "none", True: "true", False: "false"}.get(value, value) if _is_plain(value) else str(value)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool)
