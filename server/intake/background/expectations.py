"""Judge accepted events by the expectations of their schema (``x-expect``), which refuse nothing.

Place: intake.background.checks → HERE → validators of single expectations.
Rules: accepted events alone are judged, as they are stored. Expectations are compiled for the first event that is
judged by them, unless the start has done so; the log says why one cannot be used, and the others are used.
Not here: how expectations are written (validators.expectations), alarms (intake.background.alarms).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from server.intake.background.counts import JUDGED, SKIPPED, WORSE, CheckCounts
from server.log import Limited

if TYPE_CHECKING:
    from server.schemas.repository import Expectations

# How often a schema of an expectation may judge a value of one event: 15 µs each for 80 `multipleOf` in an `anyOf`.
MOST_STEPS: Final = 10_000

_limited = Limited(logging.getLogger("intake"))

_Rules = list[tuple[str, Callable[[bytes], object], list[int]]]


class ExpectationCheck:
    """The expectations of the events of one schema in one stream. An event with very many values is skipped: nothing
    interrupts a judgement, and other requests wait for it."""

    __slots__ = ("_compile", "_counts", "_most_values", "_rules", "_uri", "rate")

    def __init__(self, rate: float, uri: str, compile_all: Callable[[], Expectations], counts: CheckCounts) -> None:
        self.rate = rate
        self._uri = uri
        self._compile = compile_all
        self._counts = counts
        self._rules: _Rules | None = None
        self._most_values = 0

    def judge(self, value: bytes, is_refused: bool) -> None:
        """Count the event for each expectation, and those that it fails."""
        if is_refused:
            return
        if self._rules is None:
            self._rules = self._compiled()
        counts = self._counts
        if value.count(b",") + value.count(b"[") + value.count(b"{") > self._most_values:  # No fewer than its values.
            self.skip()
            return
        counts.numbers[JUDGED] += 1
        is_odd = False
        for name, check, numbers in self._rules:
            numbers[JUDGED] += 1
            if check(value) is not None:
                is_odd = True
                counts.broken(name, value)
        counts.numbers[WORSE] += is_odd

    def skip(self) -> None:
        self._counts.numbers[SKIPPED] += 1

    def _compiled(self) -> _Rules:
        found = self._compile()
        for fault in found.faults:
            where = f"{self._uri}{fault.pointer}"
            _limited.warning(where, "the expectation %s judges no events: %s", where, fault.reason)
        self._most_values = MOST_STEPS // max(1, sum(each.size for each in found.usable))
        return [(each.name, each.check, self._counts.of(each.name)) for each in found.usable]
