"""Search a text of an event for a pattern, and count what that may take.

Place: invalid → HERE → regex.pattern.
Rule: a step stands for so many ns of the slowest search that the pattern allows that all searches of one event take
0.25 s at the most.
Not here: texts that are too long to be searched (invalid).
"""

from __future__ import annotations

from typing import Final

from validators.regex import pattern
from validators.words.keywords import MAX_SEARCHED
from validators.words.notes import Notes

STEP_NS: Final = 8_192


def is_found(text: str, value: str, notes: Notes) -> bool:
    """Whether the pattern ``text`` is found in a value."""
    notes.step(len(value) * pattern.ns_per_character(text) // STEP_NS)
    matcher = pattern.for_long if len(value) > MAX_SEARCHED else pattern.compiled
    return bool(matcher(text).search(value))
