"""Count the findings of checks in the background, by stream, check and rule, with an example of each.

Place: intake.background.checks → HERE; worker.measures reads the lines on the beat, server.admin reads the examples.
Rules: names of streams are declared ones, and rules come from schemas, so that no text of a client is in a name. The
number of rules of one check is limited; the rest is counted as one. An example of a finding is replaced at most once in
``EXAMPLE_EVERY_S``, because masking an event takes longer than judging it.
Not here: the memory that they lie in (shared.lines, shared.examples), metrics (metrics.background_metrics).
"""

from __future__ import annotations

import time
from collections.abc import Callable, ItemsView
from typing import Final, NamedTuple

from server.shared.lines import OTHERS
from server.shared.scoreboard import CHECK_CELLS, CHECK_NAME_BYTES

EXAMPLE_EVERY_S: Final = 10.0
MOST_RULES: Final = 64
SHADOW: Final = "shadow"
EXPECT: Final = "expect"

# The cells of a line. The line of a check counts JUDGED and SKIPPED events of its stream, and those whose verdict
# would change, or that fail an expectation (WORSE); the line of one of its rules counts the events that broke it as
# WORSE. An expectation is a rule whose line counts the events that it JUDGED, too, and those that it SKIPPED by itself.
JUDGED, WORSE, BETTER, SKIPPED = range(CHECK_CELLS)


class CheckName(NamedTuple):
    """The subject of a line. ``kind`` is SHADOW or EXPECT; ``version`` that of the shadow schema, and empty for
    expectations, which versions have in common; an empty ``rule`` stands for the check as a whole."""

    stream: str
    kind: str
    version: str
    rule: str = ""

    def line(self) -> str:
        """Return the name of the line: it fits, and is read by ``parsed``."""
        room = CHECK_NAME_BYTES - len(self.stream) - len(self.kind) - len(self.version) - 3
        return "\t".join((*self[:3], self.rule.encode()[:room].decode("utf-8", "ignore")))


TIME: Final = CheckName("", "time", "")  # Its line counts microseconds that checks have taken, as JUDGED.

Keep = Callable[[str, bytes, int], None]  # Keeps an example: name of the finding, event, milliseconds since 1970.


def parsed(line: str) -> CheckName | None:
    """Return the subject of a line; None for the line of those without room."""
    parts = line.split("\t", 3)
    return CheckName(*parts) if len(parts) == 4 else None


class CheckCounts:
    """The counts of one check: its own line, and one for each rule that was broken."""

    __slots__ = ("_all", "_due_s", "_rules", "name", "numbers")

    def __init__(self, name: CheckName, everything: AllCheckCounts) -> None:
        self.name = name
        self._all = everything
        self.numbers = everything.line(name)
        self._rules: dict[str, list[int]] = {}
        self._due_s: dict[str, float] = {}

    def of(self, rule: str) -> list[int]:
        """Return the numbers of a rule."""
        found = self._rules.get(rule)
        if found is None:
            if len(self._rules) >= MOST_RULES:
                rule = OTHERS
            found = self._rules.get(rule)
            if found is None:
                found = self._rules[rule] = self._all.line(self.name._replace(rule=rule))
        return found

    def broken(self, rule: str, value: bytes) -> None:
        """Count an event that breaks a rule, and keep it as the example if none was kept lately."""
        self.of(rule)[WORSE] += 1
        keep = self._all.keep
        if keep is None:
            return
        rule = rule if rule in self._rules else OTHERS
        now_s = time.monotonic()
        if now_s >= self._due_s.get(rule, 0.0):
            self._due_s[rule] = now_s + EXAMPLE_EVERY_S
            keep(self.name._replace(rule=rule).line(), value, time.time_ns() // 1_000_000)


class AllCheckCounts:
    """The lines of a worker. ``keep`` None: no examples are kept."""

    def __init__(self, keep: Keep | None = None) -> None:
        self.keep = keep
        self._lines: dict[str, list[int]] = {}
        self._checks: dict[CheckName, CheckCounts] = {}

    def of(self, name: CheckName) -> CheckCounts:
        """Return the counts of a check. They stay when routes are made again."""
        found = self._checks.get(name)
        if found is None:
            found = self._checks[name] = CheckCounts(name, self)
        return found

    def line(self, name: CheckName) -> list[int]:
        """Return the numbers of a line; it is added if it is new."""
        return self._lines.setdefault(name.line(), [0] * CHECK_CELLS)

    def lines(self) -> ItemsView[str, list[int]]:
        """Return all lines, in the order in which they were added."""
        return self._lines.items()
