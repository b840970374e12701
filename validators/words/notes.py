"""Collect the violations of an event, within limits.

Place: invalid → HERE.
Rules:
1. At most ``MAX_PROBLEMS`` problems of ``MAX_PROBLEM_BYTES`` are noted, in ``MAX_STEPS`` steps; then ``EnoughError`` is
   raised.
2. Problems of a trial (a branch of anyOf) are taken back when the trial passes, or when the walk ends inside it.
3. A failure in silence (inside not and if) is no problem of the event.
4. Schemas are applied inside one another up to ``MAX_DEPTH``; then ``RecursionError`` is raised, as by the interpreter.
Not here: what is wrong (invalid).
"""

from __future__ import annotations

from typing import Any

import msgspec

from validators.words.violation import Violation, cut

MAX_PROBLEMS = 100
MAX_PROBLEM_BYTES = 65_536
MAX_STEPS = 30_000  # These take some 0.06 s: a refused event of any size may not cost a worker more.
# Schemas inside one another, each of which takes three calls or more. Compiled code has no limit of its own: it would
# use up the stack. Interpreted, the limit of Python may be reached before.
MAX_DEPTH = 320
STEPS_OF_WALK = 4  # A step of the walk, 2 µs, takes so many of those that validators.steps counts.

_SHORT = frozenset({"format", "maximum", "minimum", "pattern", "required", "type"})
"""Keywords whose params only repeat the message. This bounds a problem's size: a character takes at most 6 bytes in
JSON."""

_encode = msgspec.json.Encoder().encode


class EnoughError(Exception):
    """The limit of problems or steps is reached."""


class Notes:
    """The problems so far, and the steps; ``most`` are allowed. ``silent`` counts the conditions that are being tried
    in silence."""

    def __init__(self, most: int | None = None) -> None:
        self._most = MAX_STEPS if most is None else most
        self.problems: list[Violation] = []
        self.silent = 0
        self._sizes: list[int] = []  # The sizes of the first problems, as far as they were measured.
        self._bytes = 0
        self._most_bytes = 0  # An upper bound on the bytes of all problems so far, taken back or not.
        self.steps = 0
        self._depth = 0
        self._trials = 0
        self._certain = 0  # How many problems there were before the outermost trial began.

    def fail(self, keyword: str, path: str, place: str, message: str, params: dict[str, Any] | None = None) -> bool:
        """Note a problem. Returns False, because the value did not pass."""
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
        """Whether there is no room for one more problem. Measuring takes 0.7 µs for each problem, so they are only
        measured when the upper bound reaches the limit."""
        if len(self.problems) >= MAX_PROBLEMS or self._most_bytes < MAX_PROBLEM_BYTES:
            return len(self.problems) >= MAX_PROBLEMS
        for problem in self.problems[len(self._sizes) :]:
            self._sizes.append(len(_encode(problem)))
            self._bytes += self._sizes[-1]
        return self._bytes >= MAX_PROBLEM_BYTES

    def enter(self) -> None:
        """Count one schema applied to one value, inside those that are being applied. Raises RecursionError."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise RecursionError
        self.step()

    def leave(self) -> None:
        """End what ``enter`` began."""
        self._depth -= 1

    def step(self, count: int = 1) -> None:
        """Count one step, or further ones of a schema that takes longer (steps)."""
        self.steps += count
        if self.steps > self._most:
            if self._trials:
                self._take_back(self._certain)
            raise EnoughError

    def begin_trial(self) -> int:
        """Begin to try a schema that may fail. Returns the count to pass to ``end_trial``."""
        if self._trials == 0:
            self._certain = len(self.problems)
        self._trials += 1
        return len(self.problems)

    def end_trial(self, count: int, passed: bool) -> bool:
        """End a trial; when it passed, take back its problems. Returns ``passed``."""
        self._trials -= 1
        if passed:
            self._take_back(count)
        return passed

    def _take_back(self, count: int) -> None:
        del self.problems[count:]
        self._bytes -= sum(self._sizes[count:])
        del self._sizes[count:]
