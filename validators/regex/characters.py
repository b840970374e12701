"""Write sets of characters of ECMA-262 so that Python and RE2 read the same sets.

Place: HERE → ecma262.
Rule: every character of a set is spelled out or escaped, so no flag and no nested-set syntax of Python's applies.
Not here: how an expression is put together (pattern).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

Ranges = tuple[tuple[int, int], ...]

_DIGIT: Ranges = ((0x30, 0x39),)
_WORD: Ranges = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_SPACE: Ranges = (  # ECMA-262: WhiteSpace and LineTerminator. Python's \s has others.
    (0x09, 0x0D),
    (0x20, 0x20),
    (0xA0, 0xA0),
    (0x1680, 0x1680),
    (0x2000, 0x200A),
    (0x2028, 0x2029),
    (0x202F, 0x202F),
    (0x205F, 0x205F),
    (0x3000, 0x3000),
    (0xFEFF, 0xFEFF),
)
EMPTY = "(?!)"  # The class that holds no character.
DOT: Ranges = ((0x00, 0x09), (0x0B, 0x0C), (0x0E, 0x2027), (0x202A, sys.maxunicode))


def complement(ranges: Ranges) -> Ranges:
    """Return all other characters. ``ranges`` must be in order and must not touch."""
    outside: list[tuple[int, int]] = []
    start = 0
    for low, high in ranges:
        if low > start:
            outside.append((start, low - 1))
        start = high + 1
    if start <= sys.maxunicode:
        outside.append((start, sys.maxunicode))
    return tuple(outside)


def union(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Return the same characters, in order, without ranges that touch."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def is_several(ranges: Ranges) -> bool:
    """Whether a set holds more than one character."""
    return len(ranges) > 1 or ranges[0][0] != ranges[0][1]


def one(code: int) -> Ranges:
    """Return one character as a set."""
    return ((code, code),)


CLASSES: dict[str, Ranges] = {"d": _DIGIT, "w": _WORD, "s": _SPACE}
CLASSES |= {name.upper(): complement(ranges) for name, ranges in CLASSES.items()}


def literal(code: int) -> str:
    """Write one character, given by its code point, outside or inside a class. RE2 does not read ``\\u``, so it gets
    the character itself."""
    if code < 0x80:
        character = chr(code)
        return character if character.isalnum() else f"\\x{code:02x}"
    return chr(code)


def written(ranges: Ranges) -> str:
    """Write a class. A set that reaches the last code point is written as a negated class, because Python takes 4 ms
    to compile such a range."""
    if not ranges:
        return EMPTY
    if ranges == ((0, sys.maxunicode),):
        return "(?s:.)"
    if ranges[-1][1] == sys.maxunicode:
        return f"[^{_inside(complement(ranges))}]"
    return f"[{_inside(ranges)}]"


def _inside(ranges: Ranges) -> str:
    return "".join(literal(low) if low == high else f"{literal(low)}-{literal(high)}" for low, high in ranges)
