"""Measure the cost of hostile texts under patterns that are known to be slow, by the engine that runs each.

Place: `python -m bench patterns`; tests/harness/redos.py is the table, validators.regex.pattern chooses the engine.
Rule: CPU time of one search, in this process; a pattern that is refused (danger) is not run.
Not here: the verdicts (tests/validators/regex/test_pattern_cost.py).
"""

from __future__ import annotations

import re
import time

from tests.harness.redos import ATTACKS
from validators.regex import pattern

LIMIT_MS = 50


def run(_arguments: list[str]) -> int:
    """Print a row for each pattern, with texts of 8,192 and of 1,000,000 characters."""
    worst = 0.0
    print(f"{'pattern':44} {'engine':>8} {'8 kB ms':>8} {'1 MB ms':>8}")
    for text, attack in ATTACKS:
        reason = pattern.danger(text)
        if reason is not None:
            print(f"{text[:44]:44} refused: {reason}")
            continue
        matcher = pattern.compiled(text)
        engine = "re" if isinstance(matcher, re.Pattern) else "RE2"
        times = [_search_ms(matcher, attack(size)) for size in (8_192, 1_000_000)]
        worst = max(worst, *times)
        print(f"{text[:44]:44} {engine:>8} {times[0]:8.3f} {times[1]:8.3f}")
    print(f"worst: {worst:.1f} ms")
    return 0 if worst < LIMIT_MS else 1


def _search_ms(matcher: pattern.Matcher, text: str) -> float:
    start = time.process_time_ns()
    matcher.search(text)
    return (time.process_time_ns() - start) / 1e6
