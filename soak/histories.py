"""Tell what became of single events, so that a violation can be found again in the logs.

Place: soak.verdict → HERE → the report.
Rule: an event has one line: its identity, when it was sent and answered and how, and every copy with its partition,
offset and time of reading.
Not here: whether that was right (soak.verdict).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from soak.clients import Sent
from soak.topic_reader import StoredRecord

Identity = tuple[int, int]


def identify(event: dict[str, Any]) -> Identity | None:
    """Return the identity in ``meta.request_id``; the service's own error events have another form."""
    client, _, number = str(event.get("meta", {}).get("request_id", "")).partition("/")
    return (int(client), int(number)) if client.isdigit() and number.isdigit() else None


def tell_histories(
    examples: Iterable[Identity], events: Mapping[Identity, Sent], read: Iterable[StoredRecord]
) -> Iterator[str]:
    """Yield a line for each example."""
    copies: dict[Identity, list[StoredRecord]] = {identity: [] for identity in examples}
    for record in read:
        identity = identify(record.event)
        if identity in copies:
            copies[identity].append(record)
    for identity, records in copies.items():
        one = events.get(identity)
        told = "never sent" if one is None else _tell_answer(one)
        yield f"{identity} {told}; {', '.join(map(_tell_copy, records)) or 'never read'}"


def _tell_answer(one: Sent) -> str:
    kind = "hasty" if one.is_hasty else "guaranteed"
    answer = f"{one.status or 'not answered'}{f' {one.durability}' if one.durability else ''}"
    return f"{kind}, sent {_clock(one.sent_at)}, {answer} {_clock(one.answered_at)} by {one.worker}"


def _tell_copy(record: StoredRecord) -> str:
    topic, partition = record.place
    return f"{topic}/{partition} offset {record.offset} read {_clock(record.read_at)}"


def _clock(at: float) -> str:
    return f"{time.strftime('%H:%M:%S', time.localtime(at))}.{int(at % 1 * 1000):03d}"
