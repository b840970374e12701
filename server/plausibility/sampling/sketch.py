"""Put the values of one field into a bounded number of bins, and compare two sets of them.

Place: plausibility.sampling.drift → HERE.
Rules: pure, and bounded: a field has at most some hundred bins. No value is kept: a text is a keyed hash of 48 bits
while the field has few different ones, and in any case its length; a number is its order of magnitude, in steps of a
fourth of an octave. Values of one bin are not told apart.
Not here: which fields are looked at, and when a difference is a signal (plausibility.sampling.drift).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any, Final

FEW: Final = 20  # A field with more different texts than these is none of a few values.
STEPS: Final = 4  # Steps for a factor of two.
_LARGEST: Final = 1 << 64  # Numbers beyond it share a step.
_MOST_STEPS: Final = 64 * STEPS + 1
MISSING: Final = "-"

Bins = dict[str, float]


def bins_of(value: Any, salt: bytes) -> tuple[str, ...]:
    """Return the bins of a value: at most one of each kind, which is its first letter.

    ``-`` missing or null, ``v`` one of a few values, ``n`` size of a number, ``l`` length of a text or list.
    """
    if value is None:
        return (MISSING,)
    if isinstance(value, bool):
        return (f"v{value}",)
    if isinstance(value, int | float):
        return (f"n{_step(value)}",)
    if isinstance(value, str):
        digest = hashlib.blake2b(value.encode("utf-8", "replace"), digest_size=6, key=salt).hexdigest()
        return f"v{digest}", f"l{_step(len(value))}"
    return (f"l{_step(len(value))}",)


def kind_of(bins: Mapping[str, float], kind: str) -> Bins:
    """Return the bins of one kind."""
    return {name: number for name, number in bins.items() if name[0] == kind}


def coarse(bins: Mapping[str, float]) -> Bins:
    """Return the bins with steps of a whole octave, so that chance fills them alike."""
    found: Bins = {}
    for name, number in bins.items():
        at = f"{name[0]}{int(name[1:]) // STEPS}" if name[0] in "nl" else name
        found[at] = found.get(at, 0.0) + number
    return found


def drift(usual: Mapping[str, float], now: Mapping[str, float]) -> float:
    """Return the population stability index of two sets of bins: Σ (p − q) · ln(p / q) over the shares of all bins.

    Below 0.1 nothing has changed; above 0.25 most people would call it a change.
    """
    before, after = sum(usual.values()), sum(now.values())
    if not before or not after:
        return 0.0
    score = 0.0
    for name in usual.keys() | now.keys():
        # Half an event on either side keeps the ratio finite, and chance at bins of few events small.
        p = (usual.get(name, 0.0) + 0.5) / (before + 0.5)
        q = (now.get(name, 0.0) + 0.5) / (after + 0.5)
        score += (q - p) * math.log(q / p)
    return score


def quantile(bins: Mapping[str, float], share: float) -> float | None:
    """Return the value below which so many of the numbers or lengths are, to the middle of its step."""
    steps = sorted((int(name[1:]), number) for name, number in bins.items())
    left = share * sum(number for _, number in steps)
    for step, number in steps:
        left -= number
        if left <= 0:
            return _value(step)
    return None


def _step(number: float) -> int:
    """Return the signed step of a number; those between -1 and 1 share the step 0."""
    size = abs(number)
    if size < 1:
        return 0
    step = 1 + int(STEPS * math.log2(size)) if size < _LARGEST else _MOST_STEPS
    return step if number > 0 else -step


def _value(step: int) -> float:
    if step == 0:
        return 0.0
    return math.copysign(2 ** ((abs(step) - 0.5) / STEPS), step)
