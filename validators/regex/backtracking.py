"""Compute an upper bound on the cost of a backtracking search from the form of an expression alone.

Place: HERE → ecma262, which adds up the parts as it reads them.
Rules:
1. Costs are upper bounds, in steps of a backtracking matcher on a text of a given length. They may be far too high but
   never too low: an expression that is called cheap is cheap on every text.
2. A part has a cost (steps to try it in every way that it can match) and ways (how often the rest after it is tried).
Source: the tree of choices that ``re`` walks; bench/patterns.py compares the bounds with measured times.
Not here: reading expressions (ecma262), what is done with an expensive one (pattern).
"""

from __future__ import annotations

import math
from typing import NamedTuple

TEXT = 8_192.0  # An unbounded repetition is taken to repeat so often.
MAX_STEPS = 32  # Steps per character of a cheap search. A step is 5 to 10 ns, so such a text takes 2 ms at most.


class Cost(NamedTuple):
    """The steps and ways of one part."""

    steps: float
    ways: float


NOTHING = Cost(0.0, 1.0)
ONE = Cost(1.0, 1.0)  # The cost of a character, a class or an assertion.
BACK_REFERENCE = Cost(TEXT, 1.0)


def then(first: Cost, second: Cost) -> Cost:
    """Return the cost of one part after another."""
    return Cost(first.steps + first.ways * second.steps, first.ways * second.ways)


def either(first: Cost, second: Cost) -> Cost:
    """Return the cost of two alternatives."""
    return Cost(first.steps + second.steps, first.ways + second.ways)


def repeated(part: Cost, low: float, high: float, longest: float = TEXT) -> Cost:
    """Return the cost of a part under a quantifier, in a text of at most ``longest`` characters."""
    if high == math.inf:
        high = longest + low
    if part.ways == 1:
        return Cost(part.steps * high + 1, high - low + 1)
    if high * math.log2(part.ways) > 64:
        return Cost(math.inf, math.inf)
    ways = (part.ways ** (high + 1) - part.ways**low) / (part.ways - 1)
    return Cost(part.steps * (part.ways**high - 1) / (part.ways - 1) + 1, ways)


def per_character(whole: Cost, longest: float = TEXT, *, is_anchored: bool) -> float:
    """Return the most steps of a search for each character. Without an anchor it starts at every one."""
    return whole.steps / longest if is_anchored else whole.steps
