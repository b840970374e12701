"""Chaos: answers that a test session orders for its next requests, so that clients can be tested against failures.

Place: console.checks.sessions writes rules in the admin process → HERE, shared memory → console.copying.tap (workers).
Rules:
1. Only requests that carry the identity of the session are touched, and only in development.
2. Each rule serves a number of requests over all workers. A lock that processes exclude each other with guards the
counts; only requests of a session with rules take it.
Not here: how a request is disturbed (console.copying.disturbance).
"""

from __future__ import annotations

import fcntl
import mmap
import os
from typing import Final, Literal

import msgspec

TEXT_BYTES: Final = 65_536
MAX_RULES: Final = 512
_NUMBER, _SIZE, _COUNTS = 0, 1, 2

Kind = Literal["status", "delay", "close_before", "close_after", "partial"]


class Rule(msgspec.Struct, frozen=True):
    """One order. ``kind`` status: answer with ``status`` and do not take the events; delay: answer ``delay_ms`` later;
    close_before: close before the events are taken; close_after: take them and close without an answer; partial: answer
    207, as if the events at ``indexes`` had failed with ``queue_full``; the others are taken. ``times`` is the number
    of requests that it serves, ``after`` the number of requests that pass before."""

    kind: Kind
    times: int = 1
    after: int = 0
    status: int = 503
    retry_after_s: int = 1
    delay_ms: int = 0
    indexes: list[int] = []


class SharedRules:
    """The rules of all sessions. One process writes them, all workers read."""

    def __init__(self) -> None:
        self._cells = memoryview(mmap.mmap(-1, (_COUNTS + 2 * MAX_RULES) * 8)).cast("q")
        self._text = mmap.mmap(-1, TEXT_BYTES)
        self._lock = os.memfd_create("penstock-chaos")
        self._read_number = 0
        self._rules: dict[str, list[tuple[int, Rule]]] = {}

    def publish(self, rules: dict[str, list[Rule]]) -> bool:
        """Replace all rules, and count all of them from the start. Returns whether there is room for them."""
        numbered: dict[str, list[tuple[int, Rule]]] = {}
        count = 0
        for test, each in rules.items():
            numbered[test] = [(count + at, rule) for at, rule in enumerate(each)]
            count += len(each)
        text = msgspec.json.encode(numbered)
        if count > MAX_RULES or len(text) > TEXT_BYTES:
            return False
        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            self._text[: len(text)] = text
            self._cells[_SIZE] = len(text)
            for pairs in numbered.values():
                for place, rule in pairs:
                    self._cells[_COUNTS + 2 * place] = rule.after
                    self._cells[_COUNTS + 2 * place + 1] = rule.times
            self._cells[_NUMBER] += 1
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)
        return True

    @property
    def has_any(self) -> bool:
        """Whether any session has rules."""
        return self._cells[_SIZE] > 2  # ``{}`` is two bytes long.

    def take(self, test: str) -> Rule | None:
        """Return the rule that the next request of a session obeys, and count it."""
        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            if self._cells[_NUMBER] != self._read_number:
                self._read_number = self._cells[_NUMBER]
                text = self._text[: self._cells[_SIZE]]
                self._rules = msgspec.json.decode(text, type=dict[str, list[tuple[int, Rule]]])
            for place, rule in self._rules.get(test, []):
                at = _COUNTS + 2 * place
                if self._cells[at + 1] <= 0:
                    continue
                if self._cells[at] > 0:
                    self._cells[at] -= 1
                    return None
                self._cells[at + 1] -= 1
                return rule
            return None
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the lock's descriptor."""
        os.close(self._lock)
