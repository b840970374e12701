"""A spool in memory, for tests of intake.delivery: the test says what its disk does and which keys it lets go of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


class FakeSpool:
    """Takes everything, or nothing; ``settle`` tells what became of it, ``let_go`` that everything was delivered.

    ``kept`` are (number, stream, value, on_kept, is_owed), ``doubts`` what the delivery has said of older events that
    may still come, ``told`` what it has said of its sink.
    """

    def __init__(self) -> None:
        self.kept: list[Any] = []
        self.awaited: list[bool] = []
        self.is_full = False
        self.is_broken = False
        self.is_shedding = False
        self.seconds_left = 60.0
        self.number = self.front = 0
        self.keys: set[tuple[str, bytes]] = set()
        self.doubts: list[float] = []
        self.told: list[tuple[bool, int]] = []
        self._unsettled: list[tuple[Any, Any]] = []
        self._laps = 0

    def has_room(self, size: int) -> bool:
        return not (self.is_full or self.is_broken)

    def put(self, number: int, stream: str, record: Any, on_kept: Any, *, is_owed: bool, is_awaited: bool) -> bool:
        if not self.has_room(0) and not is_owed:
            return False
        self.kept.append((number, stream, record.value, on_kept, is_owed))
        self.awaited.append(is_awaited)
        self._unsettled.append((record, on_kept))
        if record.key is not None:
            self.keys.add((record.topic, record.key))
        return True

    def take_back(self, below: float) -> Sequence[tuple[Any, object]]:
        taken = [one for one in self._unsettled if one[0].key is None or one[0].number < below]
        self._unsettled = [one for one in self._unsettled if one not in taken]
        return sorted(taken, key=lambda one: one[0].number)

    def withdraw(self, is_unwanted: Callable[[Any], bool]) -> Sequence[Any]:
        unwanted = [record for record, _ in self._unsettled if is_unwanted(record)]
        self._unsettled = [one for one in self._unsettled if one[0] not in unwanted]
        return unwanted

    def front_on_disk(self) -> int:
        return self.front

    def doubt(self, until_s: float) -> None:
        self.doubts.append(until_s)

    @property
    def is_doubtful(self) -> bool:
        return bool(self.doubts and self.doubts[-1])

    def tell(self, *, is_away: bool, acked: int) -> None:
        self.told.append((is_away, acked))

    def is_usable(self) -> bool:
        return not self.is_broken

    def waiting(self) -> int:
        return len(self._unsettled)

    def last_put(self) -> int:
        return len(self.kept)

    def is_on_disk(self, seq: int) -> bool:
        return len(self.kept) - len(self._unsettled) >= seq

    def waits(self) -> bool:
        return bool(self.keys or self._unsettled)

    def holds(self, topic: str, key: bytes) -> bool:
        return (topic, key) in self.keys

    def done(self, topic: str) -> object:
        return self._laps

    def catch_up_s(self) -> float:
        return self.seconds_left

    def sheds(self) -> bool:
        return self.is_shedding

    def newest(self) -> int:
        return self.number

    def settle(self, outcome: str | None = None, most: int | None = None) -> None:
        """Tell what became of the events that are not on disk yet, of the first ``most`` of them."""
        unsettled, self._unsettled = self._unsettled[:most], self._unsettled[len(self._unsettled[:most]) :]
        for _, on_kept in unsettled:
            on_kept(outcome)

    def let_go(self) -> None:
        """Everything has left: keys are free."""
        self.keys.clear()
        self._laps += 1
