"""Judge accepted events by the expectations of their schema (``x-expect``), which refuse nothing.

Place: intake.background.checks → HERE → validators of single expectations.
Rules: accepted events alone are judged, as they are stored. Expectations are compiled for the first event that is
judged by them, unless the start has done so; the log says why one cannot be used, and the others are used. No
expectation takes another one's share: each has its own bound for one event.
Not here: how expectations are written (validators.expectations), alarms (intake.background.alarms).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from server.intake.background.counts import JUDGED, SKIPPED, WORSE, CheckCounts
from server.log import Limited

if TYPE_CHECKING:
    from server.intake.background.sampler import Check
    from server.schemas.repository import Expectations

# How often schemas of expectations may judge a value of one event in one go, which takes some 2 ms: 80 `multipleOf` in
# an `anyOf` take 15 µs for each value.
MOST_STEPS: Final = 10_000
STEP_NS: Final = 2_000  # A search that may take so long, in the worst text, counts as a step.

_limited = Limited(logging.getLogger("intake"))


class _Rule(NamedTuple):
    """One expectation, with the numbers of its line."""

    name: str
    check: Callable[[bytes], object]
    size: int
    search_ns: int
    numbers: list[int]

    def steps(self, values: int, size: int) -> int:
        """Return the most steps for an event of so many values and bytes."""
        return self.size * values + self.search_ns * size // STEP_NS


class ExpectationCheck:
    """The expectations of the events of one schema in one stream. Those of an event with many values are judged in
    several goes, because nothing interrupts one and other requests wait for it; an expectation for which the values
    alone are too many does not judge the event, and the others do."""

    __slots__ = ("_compile", "_counts", "_most_bytes", "_most_values", "_rules", "_uri", "rate")

    def __init__(self, rate: float, uri: str, compile_all: Callable[[], Expectations], counts: CheckCounts) -> None:
        self.rate = rate
        self._uri = uri
        self._compile = compile_all
        self._counts = counts
        self._rules: list[_Rule] | None = None
        self._most_values = self._most_bytes = 0

    def judge(self, value: bytes, is_refused: bool) -> Check | None:
        """Count the event for each expectation, and those that it fails."""
        if is_refused:
            return None
        if self._rules is None:
            self._rules = self._compiled()
        values = value.count(b",") + value.count(b"[") + value.count(b"{")  # No fewer than its values.
        rules = self._rules
        if values > self._most_values or len(value) > self._most_bytes:
            rules = [rule for rule in rules if rule.steps(values, len(value)) <= MOST_STEPS]
            for rule in self._rules:
                rule.numbers[SKIPPED] += rule.steps(values, len(value)) > MOST_STEPS
        if not rules:
            self.skip()
            return None
        return _Judgement(self.rate, self._counts, rules, values).judge(value, is_refused)

    def skip(self) -> None:
        self._counts.numbers[SKIPPED] += 1

    def _compiled(self) -> list[_Rule]:
        found = self._compile()
        for fault in found.faults:
            where = f"{self._uri}{fault.pointer}"
            _limited.warning(where, "the expectation %s judges no events: %s", where, fault.reason)
        rules = [
            _Rule(each.name, each.check, each.size, each.search_ns, self._counts.of(each.name)) for each in found.usable
        ]
        self._most_values = MOST_STEPS // 2 // max((rule.size for rule in rules), default=1)
        self._most_bytes = (
            MOST_STEPS // 2 * STEP_NS // max((rule.search_ns for rule in rules if rule.search_ns), default=1)
        )
        return rules


class _Judgement:
    """The judgement of one event, or the rest of it."""

    __slots__ = ("_at", "_counts", "_is_odd", "_rules", "_values", "rate")

    def __init__(self, rate: float, counts: CheckCounts, rules: list[_Rule], values: int) -> None:
        self.rate = rate
        self._counts = counts
        self._rules = rules
        self._values = values
        self._at = 0
        self._is_odd = False

    def judge(self, value: bytes, is_refused: bool) -> Check | None:
        """Judge the event by as many expectations as one go may take, and by one at least."""
        counts, steps = self._counts, 0
        counts.numbers[JUDGED] += self._at == 0
        for rule in self._rules[self._at :]:
            steps += rule.steps(self._values, len(value))
            if steps > MOST_STEPS:
                return self
            self._at += 1
            rule.numbers[JUDGED] += 1
            if rule.check(value) is not None:
                counts.numbers[WORSE] += not self._is_odd
                self._is_odd = True
                counts.broken(rule.name, value)
        return None

    def skip(self) -> None:
        """Count the expectations that are left: the event itself counts as judged."""
        for rule in self._rules[self._at :]:
            rule.numbers[SKIPPED] += 1
