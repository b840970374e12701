"""The orders of test sessions: how their requests are served, and chaos, which tests clients against failures.

Place: console.checks.sessions writes rules in the admin process → HERE, shared memory → console.copying.tap (workers).
Rules:
1. Only requests that carry the identity of the session are touched, and only in development.
2. Each rule serves a number of requests over all workers. A lock that processes exclude each other with guards the
counts; only requests of a session with rules take it. They go on counting while other sessions come and go.
3. The memory outlives a generation: a reload ends no session, and a dry one never begins to send.
Not here: how a request is disturbed (console.copying.disturbance).
"""

from __future__ import annotations

import fcntl
import mmap
import os
import zlib
from typing import Annotated, Final, Literal

import msgspec

TEXT_BYTES: Final = 262_144
KEPT_BYTES: Final = 1_048_576
MAX_RULES: Final = 512
MAX_REQUESTS: Final = 1_000_000  # Of one rule.
MAX_SECONDS: Final = 3_600
_NUMBER, _SIZE, _KEPT, _COUNTS = 0, 1, 2, 3

Kind = Literal["status", "delay", "slow_read", "close_before", "close_after", "partial"]


class Rule(msgspec.Struct, frozen=True):
    """One order. ``kind`` is one of:

    status: answer with ``status`` and do not take the events; delay: answer ``delay_ms`` later; slow_read: take the
    events ``delay_ms`` later, as if the request came in slowly; close_before: close before the events are taken;
    close_after: take them and close without an answer; partial: answer 207, as if the events at ``indexes`` had failed
    with ``queue_full``; the others are taken.

    ``times`` is the number of requests that it serves, ``after`` the number of requests that pass before. Of those that
    it serves it disturbs a ``share``, chosen by ``seed``: the same seed chooses the same ones again.
    """

    kind: Kind
    times: Annotated[int, msgspec.Meta(ge=0, le=MAX_REQUESTS)] = 1
    after: Annotated[int, msgspec.Meta(ge=0, le=MAX_REQUESTS)] = 0
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] = 503
    retry_after_s: Annotated[int, msgspec.Meta(ge=0, le=MAX_SECONDS)] = 1
    delay_ms: Annotated[int, msgspec.Meta(ge=0, le=MAX_SECONDS * 1000)] = 0
    indexes: list[Annotated[int, msgspec.Meta(ge=0)]] = []
    share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    seed: int = 0

    def chooses(self, number: int) -> bool:
        """Whether the request of this number, among those that the rule serves, is disturbed."""
        return self.share >= 1 or zlib.crc32(f"{self.seed}:{number}".encode()) < self.share * (1 << 32)


class Orders(msgspec.Struct, frozen=True):
    """All orders of one session. ``is_dry``: its events are not sent, and answered as if they were; ``is_verbose``:
    answers say in plain words what is wrong, also those of hasty requests."""

    rules: list[Rule] = []
    is_dry: bool = False
    is_verbose: bool = False


class _Numbered(msgspec.Struct, frozen=True):
    """Orders as they are shared: each rule with the place of its counts."""

    rules: list[tuple[int, Rule]]
    is_dry: bool
    is_verbose: bool


NONE: Final = _Numbered([], is_dry=False, is_verbose=False)


class SharedRules:
    """The orders of all sessions. One process writes them, all workers read."""

    def __init__(self) -> None:
        self._cells = memoryview(mmap.mmap(-1, (_COUNTS + 2 * MAX_RULES) * 8)).cast("q")
        self._text = mmap.mmap(-1, TEXT_BYTES)
        self._kept = mmap.mmap(-1, KEPT_BYTES)
        self._lock = os.memfd_create("penstock-chaos")
        self._read_number = 0
        self._orders: dict[str, _Numbered] = {}
        self._published: dict[str, tuple[list[Rule], list[int]]] = {}  # Rules, and the places of their counts.

    def keep(self, text: bytes) -> None:
        """Keep a text for the next process that publishes; nothing if it is too long."""
        text = text if len(text) <= KEPT_BYTES else b""
        self._kept[: len(text)] = text
        self._cells[_KEPT] = len(text)

    def kept(self) -> bytes:
        """Return the text that was kept; b"" for none."""
        return self._kept[: self._cells[_KEPT]]

    def go_on(self, chaos: dict[str, list[Rule]]) -> None:
        """Go on with the counts of rules that an earlier process has published."""
        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            self._read()
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)
        for test, rules in chaos.items():
            numbered = self._orders.get(test, NONE).rules
            if [rule for _, rule in numbered] == rules:
                self._published[test] = (rules, [place for place, _ in numbered])

    def publish(self, orders: dict[str, Orders]) -> bool:
        """Replace all orders. The same list of rules as before goes on with its counts; others begin. Returns whether
        there is room for them."""
        numbered: dict[str, _Numbered] = {}
        count = 0
        for test, each in orders.items():
            pairs = [(count + at, rule) for at, rule in enumerate(each.rules)]
            numbered[test] = _Numbered(pairs, each.is_dry, each.is_verbose)
            count += len(pairs)
        text = msgspec.json.encode(numbered)
        if count > MAX_RULES or len(text) > TEXT_BYTES:
            return False
        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            left = {test: self._left(test, each.rules) for test, each in orders.items()}
            self._text[: len(text)] = text
            self._cells[_SIZE] = len(text)
            for test, each_numbered in numbered.items():
                for (place, _), (after, times) in zip(each_numbered.rules, left[test], strict=True):
                    self._cells[_COUNTS + 2 * place] = after
                    self._cells[_COUNTS + 2 * place + 1] = times
            self._cells[_NUMBER] += 1
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)
        self._published = {
            test: (orders[test].rules, [place for place, _ in each.rules]) for test, each in numbered.items()
        }
        return True

    def _left(self, test: str, rules: list[Rule]) -> list[tuple[int, int]]:
        """Return how many requests each rule still passes over, and serves."""
        before, places = self._published.get(test, (None, []))
        if before is not rules:
            return [(rule.after, rule.times) for rule in rules]
        return [(self._cells[_COUNTS + 2 * place], self._cells[_COUNTS + 2 * place + 1]) for place in places]

    @property
    def has_any(self) -> bool:
        """Whether any session has orders."""
        return self._cells[_SIZE] > 2  # ``{}`` is two bytes long.

    def take(self, test: str) -> tuple[Rule | None, bool, bool]:
        """Return the rule that the next request of a session obeys, and count it; and whether the session is dry, and
        verbose."""
        fcntl.lockf(self._lock, fcntl.LOCK_EX)
        try:
            self._read()
            orders = self._orders.get(test, NONE)
            return self._next(orders), orders.is_dry, orders.is_verbose
        finally:
            fcntl.lockf(self._lock, fcntl.LOCK_UN)

    def _read(self) -> None:
        if self._cells[_NUMBER] != self._read_number:
            self._read_number = self._cells[_NUMBER]
            text = self._text[: self._cells[_SIZE]]
            self._orders = msgspec.json.decode(text, type=dict[str, _Numbered])

    def _next(self, orders: _Numbered) -> Rule | None:
        for place, rule in orders.rules:
            at = _COUNTS + 2 * place
            if self._cells[at + 1] <= 0:
                continue
            if self._cells[at] > 0:
                self._cells[at] -= 1
                return None
            self._cells[at + 1] -= 1
            return rule if rule.chooses(rule.times - self._cells[at + 1]) else None
        return None

    def close(self) -> None:
        """Close the lock's descriptor."""
        os.close(self._lock)
