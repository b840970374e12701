"""Turn the bounds of numbers into bounds that msgspec compares exactly.

Place: HERE → structs, kinds.
Rule: every number within the result lies within the schema's bounds. None: there is no such result.
Not here: numbers of events (msgspec, json_values).
"""

from __future__ import annotations

import math
from typing import Any

LOWEST, HIGHEST = -(2**63), 2**63 - 1  # msgspec holds integer bounds as int64, but compares larger values correctly.


def of_integers(schema: dict[str, Any]) -> dict[str, float] | None:
    """Return ``ge``, ``le`` and ``multiple_of`` for integers."""
    lows = [math.floor(bound) + 1 if strict else math.ceil(bound) for bound, strict in _bounds(schema, "Minimum")]
    highs = [math.ceil(bound) - 1 if strict else math.floor(bound) for bound, strict in _bounds(schema, "Maximum")]
    limits: dict[str, float] = {}
    step = schema.get("multipleOf")
    if step is not None:
        if step != int(step) or step > HIGHEST:
            return None
        limits["multiple_of"] = int(step)
        lows.append(LOWEST)  # Integers beyond int64 would not be divided exactly.
        highs.append(HIGHEST)
    if lows:
        limits["ge"] = max(LOWEST, *lows)
    if highs:
        limits["le"] = min(HIGHEST, *highs)
    return limits if limits.get("ge", LOWEST) <= HIGHEST and limits.get("le", HIGHEST) >= LOWEST else None


def of_floats(schema: dict[str, Any]) -> dict[str, float]:
    """Return ``ge`` and ``le`` for doubles. Raises OverflowError for a bound that no double can hold."""
    limits: dict[str, float] = {}
    lows = [_inside(bound, strict, math.inf) for bound, strict in _bounds(schema, "Minimum")]
    highs = [_inside(bound, strict, -math.inf) for bound, strict in _bounds(schema, "Maximum")]
    if lows:
        limits["ge"] = max(lows)
    if highs:
        limits["le"] = min(highs)
    return limits


def _inside(bound: float, strict: bool, towards: float) -> float:
    """Return the double nearest to a bound that satisfies it. Python compares integers and floats exactly."""
    nearest = float(bound)
    is_outside = nearest < bound if towards > 0 else nearest > bound
    return math.nextafter(nearest, towards) if is_outside or (strict and nearest == bound) else nearest


def _bounds(schema: dict[str, Any], end: str) -> list[tuple[float, bool]]:
    """Return each bound at one end, and whether it is exclusive; draft-04 marks that with true or false."""
    limit, exclusive = schema.get(end.lower()), schema.get(f"exclusive{end}")
    if isinstance(exclusive, bool):
        return [] if limit is None else [(limit, exclusive)]
    return [(bound, strict) for bound, strict in ((limit, False), (exclusive, True)) if bound is not None]
