"""Stand-ins that more than one folder of tests needs. Each is as plain as what it stands for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Message:
    """A record for a sink (sink.base.Record) that is no event."""

    topic: str
    value: bytes
    key: bytes | None
    timestamp_ms: int
    headers: list[tuple[str, bytes]]
    pending: object = None
