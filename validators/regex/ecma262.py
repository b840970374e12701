"""Translate a regular expression of ECMA-262 to Python and RE2, and bound the cost of searching by backtracking.

Place: pattern → HERE → re, or RE2.
Rules:
1. The meaning is ECMA-262's with the ``u`` flag, as draft-07 asks: ``\\d`` and ``\\w`` are ASCII, ``$`` is the very
   end, ``.`` stops at four line ends, a character is a code point. Needless escapes of punctuation are allowed.
2. Syntax that Python would read differently is rewritten; syntax that ECMA-262 lacks is an error, never a guess.
3. Reading takes time linear in the pattern; nothing is compiled here.
Not here: which engine runs it (pattern), how costs add up (backtracking).
"""

from __future__ import annotations

import math
import re
import sys
from typing import NamedTuple

from validators.regex import backtracking
from validators.regex.backtracking import Cost
from validators.regex.characters import (
    CLASSES,
    DOT,
    EMPTY,
    Ranges,
    complement,
    is_several,
    literal,
    one,
    union,
    written,
)

MAX_WAYS = 65_536  # Ways to split a text over nested quantifiers. Above it, AJV's json-schema-secure calls them nested.

_CONTROL = {"f": 0x0C, "n": 0x0A, "r": 0x0D, "t": 0x09, "v": 0x0B}
_QUANTIFIER = re.compile(r"(?:([*+?])|\{([0-9]+)(,([0-9]*))?\})\??")
_GROUP = re.compile(r"\((?:\?(?:[:=!]|<[=!]|<([A-Za-z_$][A-Za-z0-9_$]*)>))?")
_NAMED = re.compile(r"\\(?:.|\n)|\[(?:\\(?:.|\n)|[^\]\\])*(?:\]|\\?\Z)|\((?!\?)|\(\?<(?![=!])([^>]*)>", re.DOTALL)
_REFERENCE = re.compile(r"\\(?:([1-9][0-9]*)|k<([^>]*)>)")
_LETTER = re.compile("[A-Za-z]")
_HEX = re.compile("[0-9A-Fa-f]{2}")
_UNICODE = re.compile(
    r"\{([0-9A-Fa-f]{1,6})\}|([dD][89abAB][0-9A-Fa-f]{2})\\u([dD][c-fC-F][0-9A-Fa-f]{2})|([0-9A-Fa-f]{4})"
)
_IN_RE2 = {r"\Z": r"\z", r"(?a:\b)": r"\b", r"(?a:\B)": r"\B", EMPTY: rf"[^\x00-{chr(sys.maxunicode)}]"}


class PatternError(ValueError):
    """The text is not a regular expression of ECMA-262, or not one that can be run."""


class Repeat(NamedTuple):
    """A quantifier of the part before it. Whether it is lazy decides what a group holds, and not whether it matches."""

    low: int
    high: float


Part = str | Ranges | Repeat  # One of ``( ) | ^ $``, or what begins another construct; a set of characters.


class Read(NamedTuple):
    """An expression that was read. ``in_re2`` is None when RE2 cannot express it; ``wide`` counts the classes that go
    beyond Latin-1, each of which takes Python some 0.3 ms to compile; ``steps`` is the most of a backtracking search
    for each character; ``parts`` are what it consists of, in order."""

    in_python: str
    in_re2: str | None
    is_nested: bool
    is_cheap: bool
    is_anchored: bool
    wide: int
    steps: float
    parts: tuple[Part, ...]


def read(pattern: str, longest: float = backtracking.TEXT) -> Read:
    """Read an expression. ``longest`` is the length of the text for which the cost is judged. Raises PatternError."""
    return _Reader(pattern, longest).run()


class _Group:
    """An open group: its number, whether it may be repeated, the most ways a part of it can match, and its cost."""

    def __init__(self, number: int, is_quantifiable: bool) -> None:
        self.number = number
        self.is_quantifiable = is_quantifiable
        self.ways: float = 1
        self._others: Cost | None = None  # The alternatives before this one.
        self._cost = backtracking.NOTHING
        self._is_anchored = True
        self._is_empty = True
        self._begins_at_start = False

    def add(self, part: Cost) -> None:
        self._cost = backtracking.then(self._cost, part)
        self._is_empty = False

    def anchor(self) -> None:
        self._begins_at_start = self._begins_at_start or self._is_empty
        self._is_empty = False

    def end_alternative(self) -> None:
        self._others = self._cost if self._others is None else backtracking.either(self._others, self._cost)
        self._is_anchored = self._is_anchored and self._begins_at_start
        self._cost, self._is_empty, self._begins_at_start = backtracking.NOTHING, True, False

    def end(self) -> tuple[Cost, bool]:
        """Return the cost of all alternatives, and whether each of them only matches at the start of a text."""
        self.end_alternative()
        assert self._others is not None
        return self._others, self._is_anchored


class _Reader:
    def __init__(self, pattern: str, longest: float) -> None:
        self._longest = longest
        self._is_nested = False
        self._is_regular = True
        self._wide = 0
        self._text = pattern
        self._at = 0
        self._out: list[str] = []
        self._parts: list[Part] = []
        self._groups = [_Group(0, False)]
        self._closed: set[int] = set()
        self._names: dict[str, int] = {}
        self._group_count = 0
        self._count_groups()

    def _count_groups(self) -> None:
        number = 0
        for found in _NAMED.finditer(self._text):
            if found[0].startswith("("):
                number += 1
                if found[1] is not None:
                    if found[1] in self._names:
                        raise PatternError(f"has two groups named {found[1]}")
                    self._names[found[1]] = number
        self._total = number

    def run(self) -> Read:
        text = self._text
        while self._at < len(text):
            character = text[self._at]
            if character == "(":
                self._open()
            elif character == ")":
                self._close()
            elif character == "|":
                self._groups[-1].end_alternative()
                self._emit("|", "|")
            elif character == "^":
                self._groups[-1].anchor()
                self._emit("^", "^")
            elif character == "$":
                self._emit(r"\Z", "$")
            else:
                self._atom(character)
        if len(self._groups) > 1:
            raise PatternError("has a group that is not closed")
        cost, is_anchored = self._groups[0].end()
        in_re2 = "".join(_IN_RE2.get(each, each) for each in self._out) if self._is_regular else None
        steps = backtracking.per_character(cost, self._longest, is_anchored=is_anchored)
        is_cheap = steps <= backtracking.MAX_STEPS
        in_python, parts = "".join(self._out), tuple(self._parts)
        return Read(in_python, in_re2, self._is_nested, is_cheap, is_anchored, self._wide, steps, parts)

    def _emit(self, text: str, part: Part) -> None:
        self._out.append(text)
        self._parts.append(part)
        self._at += 1

    def _open(self) -> None:
        found = _GROUP.match(self._text, self._at)
        assert found is not None  # It begins with a bracket, and all the rest is optional.
        kind = found[0]
        if kind == "(" and self._text.startswith("(?", self._at):
            raise PatternError("has a kind of group that ECMA-262 does not have")
        number = 0
        if kind == "(" or found[1] is not None:
            self._group_count += 1
            number = self._group_count
            kind = "("
        self._is_regular = self._is_regular and kind in ("(", "(?:")
        self._groups.append(_Group(number, not kind.startswith("(?<")))
        self._out.append(kind)
        self._parts.append("(" if kind == "(?:" else kind)
        self._at = found.end()

    def _close(self) -> None:
        if len(self._groups) == 1:
            raise PatternError("has a closing bracket without an opening one")
        group = self._groups.pop()
        self._closed.add(group.number)
        self._emit(")", ")")
        self._quantifier(group.ways, group.end()[0], group.is_quantifiable)

    def _atom(self, character: str) -> None:
        is_quantifiable = True
        cost = backtracking.ONE
        if character == "\\":
            is_quantifiable, cost = self._escape_outside()
        elif character == "[":
            self._class()
        elif character == ".":
            self._set(DOT)
            self._at += 1
        elif _QUANTIFIER.match(self._text, self._at):
            raise PatternError("has a quantifier with nothing to repeat")
        else:
            self._emit(literal(ord(character)), one(ord(character)))
        self._quantifier(1, cost, is_quantifiable)

    def _quantifier(self, ways: float, cost: Cost, is_quantifiable: bool) -> None:
        """Read the quantifier that may follow an atom, and note the ways to match the atom and their cost."""
        found = _QUANTIFIER.match(self._text, self._at)
        if found is not None:
            if not is_quantifiable:
                raise PatternError("has a quantifier with nothing to repeat")
            low, high = _bounds(found)
            if low > high:
                raise PatternError("has a quantifier out of order")
            if ways > 1 and high > 1 and high * math.log2(ways) > math.log2(MAX_WAYS):
                self._is_nested = True
            ways = max(ways, high - low + 1)
            cost = backtracking.repeated(cost, low, high, self._longest)
            self._out.append(found[0])
            self._parts.append(Repeat(low, high))
            self._at = found.end()
            if _QUANTIFIER.match(self._text, self._at):
                raise PatternError("has a quantifier with nothing to repeat")
        self._groups[-1].ways = max(self._groups[-1].ways, ways)
        self._groups[-1].add(cost)

    def _escape_outside(self) -> tuple[bool, Cost]:
        """Read an escape. Returns whether it may be repeated, and its cost."""
        name = self._text[self._at + 1 : self._at + 2]
        if name in ("b", "B"):
            self._at += 2
            self._out.append(rf"(?a:\{name})")
            self._parts.append(name)
            return False, backtracking.ONE
        if name in CLASSES:
            self._at += 2
            self._set(CLASSES[name])
        elif name == "k" or (name in "123456789" and name):
            self._back_reference()
            return True, backtracking.BACK_REFERENCE
        else:
            code = self._character_escape()
            self._out.append(literal(code))
            self._parts.append(one(code))
        return True, backtracking.ONE

    def _back_reference(self) -> None:
        self._is_regular = False
        found = _REFERENCE.match(self._text, self._at)
        number = 0 if found is None else int(found[1]) if found[1] else self._names.get(found[2], 0)
        if found is None or not 0 < number <= self._total:
            raise PatternError("refers to a group that is not there")
        # A group that did not take part in the match is empty in ECMA-262 and a mismatch in Python.
        self._out.append(f"(?({number})\\{number}|)" if number in self._closed else "(?:)")
        self._parts.append("\\")
        self._at = found.end()

    def _character_escape(self) -> int:
        """Read an escape that stands for one character. Returns its code point."""
        text, at = self._text, self._at + 1
        name = text[at : at + 1]
        self._at = at + 1
        if name in _CONTROL:
            return _CONTROL[name]
        if name == "c" and (found := _LETTER.match(text, at + 1)):
            self._at += 1
            return ord(found[0]) % 32
        if name == "0" and not text[at + 1 : at + 2].isdigit():
            return 0
        if name == "x" and (found := _HEX.match(text, at + 1)):
            self._at = found.end()
            return int(found[0], 16)
        if name == "u":
            return self._unicode_escape()
        if name and (ord(name) >= 0x80 or not name.isalnum()):
            return ord(name)
        raise PatternError(f"has the escape \\{name}, which ECMA-262 does not have")

    def _unicode_escape(self) -> int:
        found = _UNICODE.match(self._text, self._at)
        if found is None:
            raise PatternError("has an escape \\u that is not complete")
        self._at = found.end()
        if found[2]:
            return 0x10000 + (int(found[2], 16) - 0xD800) * 0x400 + int(found[3], 16) - 0xDC00
        code = int(found[1] or found[4], 16)
        if code > sys.maxunicode:
            raise PatternError("has an escape beyond the last code point")
        return code

    def _class(self) -> None:
        text = self._text
        self._at += 1
        is_negated = text.startswith("^", self._at)
        self._at += is_negated
        ranges: list[tuple[int, int]] = []
        while not text.startswith("]", self._at):
            low = self._class_item()
            if not (text.startswith("-", self._at) and text[self._at + 1 : self._at + 2] not in ("", "]")):
                ranges += low
                continue
            self._at += 1
            high = self._class_item()
            if is_several(low) or is_several(high):  # [\w-.]: a hyphen, as browsers read it.
                ranges += (*low, (0x2D, 0x2D), *high)
            elif low > high:
                raise PatternError("has a range out of order")
            else:
                ranges.append((low[0][0], high[0][0]))
        self._at += 1
        self._set(complement(union(ranges)) if is_negated else union(ranges))

    def _set(self, ranges: Ranges) -> None:
        self._wide += ranges[-1:] > ((0xFF, sys.maxunicode),)
        self._out.append(written(ranges))
        self._parts.append(ranges)

    def _class_item(self) -> Ranges:
        character = self._text[self._at : self._at + 1]
        if not character:
            raise PatternError("has a class that is not closed")
        if character != "\\":
            self._at += 1
            return one(ord(character))
        name = self._text[self._at + 1 : self._at + 2]
        if name in CLASSES:
            self._at += 2
            return CLASSES[name]
        if name == "b":
            self._at += 2
            return one(0x08)
        return one(self._character_escape())


def _bounds(quantifier: re.Match[str]) -> tuple[int, float]:
    if quantifier[1]:
        return {"*": (0, math.inf), "+": (1, math.inf), "?": (0, 1)}[quantifier[1]]
    if len(quantifier[2]) > 9 or len(quantifier[4] or "") > 9:
        raise PatternError("repeats more often than can be counted")
    low = int(quantifier[2])
    if quantifier[3] is None:
        return low, low
    return low, int(quantifier[4]) if quantifier[4] else math.inf
