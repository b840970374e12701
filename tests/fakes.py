"""Stand-ins that more than one folder of tests needs. Each is as plain as what it stands for."""

from __future__ import annotations

from server.record import Record


class Message(Record):
    """A record that is not an event, for tests of sinks. ``awaited``: whether somebody waits for its outcome."""

    awaited = False

    def is_awaited(self) -> bool:
        return self.awaited

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Message) and self._parts() == other._parts()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Message{self._parts()}"

    def _parts(self) -> tuple[object, ...]:
        return self.topic, self.value, self.key, self.timestamp_ms, self.headers
