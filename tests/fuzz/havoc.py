"""Change bytes at random and hand them to a target, within bounds of time and memory that are the run's own.

Place: __main__ runs it by the clock; test_fuzz runs it by count.
Rule: an input is made of its number alone, so a failure is seen again by that number.
Not here: what is checked (target); fuzzing that looks at coverage (coverage).
"""

from __future__ import annotations

import resource
import signal
import time
from collections.abc import Callable, Sequence
from random import Random
from types import FrameType
from typing import NamedTuple, Protocol

from tests.validators.mutations import TOKENS

MAX_CPU_S = 1.0  # Of one input of at most MAX_BYTES. An ordinary one takes 0.0001.
MAX_BYTES = 65_536
MAX_GROWN_KB = 300_000  # Of the process, over what it had after its first inputs.
_PUNCTUATION = [
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b'"',
    b"\\",
    b"\\u",
    b" ",
    b"\n",
    b"\x00",
    b"\xff",
    b"e",
    b"-",
    b".",
]


class Fuzzed(Protocol):
    """Whatever is handed bytes: it raises for what must not happen."""

    seeds: list[bytes]

    def run(self, raw: bytes) -> None:
        """Hand them over."""


class HungError(Exception):
    """An input took more CPU than it may."""


class Failure(NamedTuple):
    """The number of an input, the input, and what became of it."""

    number: int
    raw: bytes
    what: str

    def __str__(self) -> str:
        return f"input {self.number}: {self.what}\n  {self.raw[:1_000]!r}"


def made(number: int, seeds: Sequence[bytes]) -> bytes:
    """The input of this number."""
    rng = Random(number)
    raw = bytearray(rng.choice(seeds))
    for _ in range(1 << rng.randrange(5)):
        at, to = sorted((rng.randrange(len(raw) + 1), rng.randrange(len(raw) + 1)))
        kind = rng.randrange(8)
        if kind == 0:
            raw[at:at] = rng.choice(TOKENS)
        elif kind == 1:
            raw[at:to] = rng.choice(TOKENS)
        elif kind == 2:
            raw[at:at] = rng.choice(_PUNCTUATION)
        elif kind == 3 and raw:
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        elif kind == 4:
            del raw[at : at + rng.randrange(1, 9)]
        elif kind == 5:
            raw[at:at] = raw[at:to]
        elif kind == 6:
            other = rng.choice(seeds)
            raw[at:] = other[rng.randrange(len(other)) :]
        elif rng.random() < 0.05:  # Long and deep ones are rare: they take a hundred times as long.
            raw[at:to] = raw[at : at + 64] * rng.choice([10, 100, 1_000])
    return bytes(raw[:MAX_BYTES])


def run(target: Fuzzed, first: int, is_over: Callable[[int], bool]) -> tuple[int, list[Failure]]:
    """Hand over the inputs from number ``first`` on, until ``is_over`` of the next one. Returns it, and what failed."""
    failures: list[Failure] = []
    number = first
    before = signal.signal(signal.SIGPROF, _stop)
    peak_kb = 0
    try:
        while not is_over(number) and len(failures) < 20:
            raw = made(number, target.seeds)
            what = _trouble(target, raw)
            if number == first + 1_000:
                peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            elif peak_kb and resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > peak_kb + MAX_GROWN_KB:
                what, peak_kb = f"the process grew by more than {MAX_GROWN_KB} kB", 0
            if what:
                failures.append(Failure(number, raw, what))
            number += 1
    finally:
        signal.signal(signal.SIGPROF, before)
    return number, failures


def _trouble(target: Fuzzed, raw: bytes) -> str | None:
    start = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, 10 * MAX_CPU_S)
    try:
        target.run(raw)
    except (AssertionError, HungError, ArithmeticError, LookupError, TypeError, ValueError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}"[:2_000]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    spent_s = time.process_time() - start
    return f"took {spent_s:.1f} s of CPU" if spent_s > MAX_CPU_S else None


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise HungError(f"more than {10 * MAX_CPU_S} s of CPU")
