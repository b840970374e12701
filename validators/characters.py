"""Sets of characters as ECMA-262 has them, written so that Python reads the same.

Place: beside pattern.
Rule: every character of a set is spelled out or escaped, so no flag and no nested-set syntax of Python's applies.
Not here: how an expression is put together (pattern).
"""

from __future__ import annotations

import sys

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
DOT: Ranges = ((0x00, 0x09), (0x0B, 0x0C), (0x0E, 0x2027), (0x202A, sys.maxunicode))


def _complement(ranges: Ranges) -> Ranges:
    outside: list[tuple[int, int]] = []
    start = 0
    for low, high in ranges:
        if low > start:
            outside.append((start, low - 1))
        start = high + 1
    outside.append((start, sys.maxunicode))
    return tuple(outside)


CLASSES: dict[str, Ranges] = {"d": _DIGIT, "w": _WORD, "s": _SPACE}
CLASSES |= {name.upper(): _complement(ranges) for name, ranges in CLASSES.items()}


def literal(code: int) -> str:
    """One character, by its code point, outside or inside a class."""
    if code < 0x80:
        character = chr(code)
        return character if character.isalnum() else f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def inside(ranges: Ranges) -> str:
    """What stands between the brackets of a class."""
    return "".join(literal(low) if low == high else f"{literal(low)}-{literal(high)}" for low, high in ranges)
