"""Collect what is wrong with an event, within bounds.

Place: invalid notes here what it finds.
Rules:
1. At most ``MAX_PROBLEMS`` problems of ``MAX_PROBLEM_BYTES``, found in ``MAX_STEPS`` steps; then ``EnoughError``.
2. What failed in a trial (a branch of anyOf) is taken back when the trial passes, or when the walk ends inside it.
3. What fails in silence (inside not and if) is no problem of the event.
Not here: what is wrong (invalid).
"""

from __future__ import annotations

from typing import Any

import msgspec

from validators.words.violation import Violation, cut

MAX_PROBLEMS = 100
MAX_PROBLEM_BYTES = 65_536
MAX_STEPS = 30_000  # Some 0.06 s: a refused event may not cost a worker more, however large it is.

_SHORT = frozenset({"format", "maximum", "minimum", "pattern", "required", "type"})
"""What these say beside path and place is said in the message too, and a character takes at most 6 bytes in JSON."""

_encode = msgspec.json.Encoder().encode


class EnoughError(Exception):
    """The bound on problems or steps is reached."""


class Notes:
    """The problems so far. ``silent`` counts the conditions that are being tried in silence."""

    def __init__(self) -> None:
        self.problems: list[Violation] = []
        self.silent = 0
        self._sizes: list[int] = []  # Of as many of them as were asked for.
        self._bytes = 0
        self._most_bytes = 0  # More than all problems so far can have, taken back or not.
        self._steps = 0
        self._trials = 0
        self._certain = 0  # Problems that were there before the outermost trial began.

    def fail(self, keyword: str, path: str, place: str, message: str, params: dict[str, Any] | None = None) -> bool:
        """Note a problem. Always False: the value did not pass."""
        if self.silent:
            return False
        if self.problems and self._is_full():
            if self._trials:
                return False
            raise EnoughError
        path = cut(path)
        if keyword in _SHORT:
            self._most_bytes += 12 * (len(path) + len(place) + len(message)) + 300
        else:
            self._most_bytes = MAX_PROBLEM_BYTES
        self.problems.append(Violation(keyword, path, place, {} if params is None else params, message))
        return False

    def _is_full(self) -> bool:
        """Whether there is no room for one more. Problems are measured only when there may be none: 0.7 µs each."""
        if len(self.problems) >= MAX_PROBLEMS or self._most_bytes < MAX_PROBLEM_BYTES:
            return len(self.problems) >= MAX_PROBLEMS
        for problem in self.problems[len(self._sizes) :]:
            self._sizes.append(len(_encode(problem)))
            self._bytes += self._sizes[-1]
        return self._bytes >= MAX_PROBLEM_BYTES

    def step(self) -> None:
        """Count one schema applied to one value."""
        self._steps += 1
        if self._steps > MAX_STEPS:
            if self._trials:
                self._take_back(self._certain)
            raise EnoughError

    def begin_trial(self) -> int:
        """Begin to try a schema that may fail. Returns what ``end_trial`` wants back."""
        if self._trials == 0:
            self._certain = len(self.problems)
        self._trials += 1
        return len(self.problems)

    def end_trial(self, count: int, passed: bool) -> bool:
        """End the trial; when it passed, what failed in it is forgotten. Returns ``passed``."""
        self._trials -= 1
        if passed:
            self._take_back(count)
        return passed

    def _take_back(self, count: int) -> None:
        del self.problems[count:]
        self._bytes -= sum(self._sizes[count:])
        del self._sizes[count:]
