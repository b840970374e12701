"""Translate a regular expression of ECMA-262 into one that Python reads the same way.

Place: mend, formats, invalid and insecure → HERE → re.
Rules:
1. The meaning is ECMA-262's with the ``u`` flag, as draft-07 asks: ``\\d`` and ``\\w`` are ASCII, ``$`` is the very
   end, ``.`` stops at four line ends, a character is a code point. Needless escapes of punctuation are let through.
2. What Python would read differently is rewritten; what neither reads is an error, never a guess.
3. The result has no bare ``$``: fastjsonschema would rewrite it.
Not here: how long a match may take (insecure asks ``has_nested_quantifiers``; ``maxLength`` bounds the rest).
"""

from __future__ import annotations

import math
import re
import sys
from functools import lru_cache

from validators.characters import CLASSES, DOT, Ranges, inside, literal

MAX_LENGTH = 10_000  # Compiled expressions stay in memory, and with format "regex" clients write them.
MAX_WAYS = 65_536  # Of splitting a text over nested quantifiers; above it, matching can outlast the request.

_CONTROL = {"f": 0x0C, "n": 0x0A, "r": 0x0D, "t": 0x09, "v": 0x0B}
_QUANTIFIER = re.compile(r"(?:([*+?])|\{([0-9]+)(,([0-9]*))?\})\??")
_GROUP = re.compile(r"\((?:\?(?:[:=!]|<[=!]|<([A-Za-z_$][A-Za-z0-9_$]*)>))?")
_NAMED = re.compile(r"\\(?:.|\n)|\[(?:\\(?:.|\n)|[^\]\\])*\]|\((?!\?)|\(\?<(?![=!])([^>]*)>", re.DOTALL)


class PatternError(ValueError):
    """The text is not a regular expression of ECMA-262, or not one that Python can run."""


@lru_cache(maxsize=4096)
def translate(pattern: str) -> str:
    """Raises PatternError."""
    return _compile(pattern)[0].pattern


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> re.Pattern[str]:
    """The same, ready to ``search``. Raises PatternError."""
    return _compile(pattern)[0]


def is_pattern(text: str) -> bool:
    """True when it is a regular expression. Remembers nothing: the text may be a client's."""
    try:
        _compile(text)
    except PatternError:
        return False
    return True


def has_nested_quantifiers(pattern: str) -> bool:
    """True when something of variable length repeats inside something that repeats: ``(a+)+``. Raises PatternError."""
    return _compile(pattern)[1]


def _compile(pattern: str) -> tuple[re.Pattern[str], bool]:
    if len(pattern) > MAX_LENGTH:
        raise PatternError(f"is longer than {MAX_LENGTH} characters")
    translator = _Translator(pattern)
    text = translator.run()
    try:
        return re.compile(text), translator.is_nested
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(f"cannot be run: {error}") from None


class _Group:
    """An open group: its number, whether it may be repeated, and the most ways a part of it can match a text."""

    def __init__(self, number: int, is_quantifiable: bool) -> None:
        self.number = number
        self.is_quantifiable = is_quantifiable
        self.ways: float = 1


class _Translator:
    def __init__(self, pattern: str) -> None:
        self.is_nested = False
        self._text = pattern
        self._at = 0
        self._out: list[str] = []
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

    def run(self) -> str:
        text = self._text
        while self._at < len(text):
            character = text[self._at]
            if character == "(":
                self._open()
            elif character == ")":
                self._close()
            elif character == "|":
                self._emit("|")
            elif character == "^":
                self._emit("^")
            elif character == "$":
                self._emit(r"\Z")
            else:
                self._atom(character)
        if len(self._groups) > 1:
            raise PatternError("has a group that is not closed")
        return "".join(self._out)

    def _emit(self, text: str) -> None:
        self._out.append(text)
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
        self._groups.append(_Group(number, not kind.startswith("(?<")))
        self._out.append(kind)
        self._at = found.end()

    def _close(self) -> None:
        if len(self._groups) == 1:
            raise PatternError("has a closing bracket without an opening one")
        group = self._groups.pop()
        self._closed.add(group.number)
        self._emit(")")
        self._quantifier(group.ways, group.is_quantifiable)

    def _atom(self, character: str) -> None:
        is_quantifiable = True
        if character == "\\":
            is_quantifiable = self._escape_outside()
        elif character == "[":
            self._class()
        elif character == ".":
            self._emit(f"[{inside(DOT)}]")
        elif _QUANTIFIER.match(self._text, self._at):
            raise PatternError("has a quantifier with nothing to repeat")
        else:
            self._emit(literal(ord(character)))
        self._quantifier(1, is_quantifiable)

    def _quantifier(self, ways: float, is_quantifiable: bool) -> None:
        """Read what may follow an atom, and note how many ways there now are to match it."""
        found = _QUANTIFIER.match(self._text, self._at)
        if found is not None:
            if not is_quantifiable:
                raise PatternError("has a quantifier with nothing to repeat")
            low, high = _bounds(found)
            if low > high:
                raise PatternError("has a quantifier out of order")
            if ways > 1 and high > 1 and high * math.log2(ways) > math.log2(MAX_WAYS):
                self.is_nested = True
            ways = max(ways, high - low + 1)
            self._out.append(found[0])
            self._at = found.end()
            if _QUANTIFIER.match(self._text, self._at):
                raise PatternError("has a quantifier with nothing to repeat")
        self._groups[-1].ways = max(self._groups[-1].ways, ways)

    def _escape_outside(self) -> bool:
        """Read an escape; True when it may be repeated."""
        name = self._text[self._at + 1 : self._at + 2]
        if name in ("b", "B"):
            self._at += 2
            self._out.append(rf"(?a:\{name})")
            return False
        if name in CLASSES:
            self._at += 2
            self._out.append(f"[{inside(CLASSES[name])}]")
        elif name == "k" or (name in "123456789" and name):
            self._back_reference()
        else:
            self._out.append(literal(self._character_escape()))
        return True

    def _back_reference(self) -> None:
        found = re.compile(r"\\(?:([1-9][0-9]*)|k<([^>]*)>)").match(self._text, self._at)
        number = 0 if found is None else int(found[1]) if found[1] else self._names.get(found[2], 0)
        if found is None or not 0 < number <= self._total:
            raise PatternError("refers to a group that is not there")
        # A group that took no part is empty in ECMA-262 and a mismatch in Python.
        self._out.append(f"(?({number})\\{number}|)" if number in self._closed else "(?:)")
        self._at = found.end()

    def _character_escape(self) -> int:
        """Read an escape that stands for one character; give its code point."""
        text, at = self._text, self._at + 1
        name = text[at : at + 1]
        self._at = at + 1
        if name in _CONTROL:
            return _CONTROL[name]
        if name == "c" and (found := re.compile("[A-Za-z]").match(text, at + 1)):
            self._at += 1
            return ord(found[0]) % 32
        if name == "0" and not text[at + 1 : at + 2].isdigit():
            return 0
        if name == "x" and (found := re.compile("[0-9A-Fa-f]{2}").match(text, at + 1)):
            self._at = found.end()
            return int(found[0], 16)
        if name == "u":
            return self._unicode_escape()
        if name and (ord(name) >= 0x80 or not name.isalnum()):
            return ord(name)
        raise PatternError(f"has the escape \\{name}, which ECMA-262 does not have")

    def _unicode_escape(self) -> int:
        found = re.compile(
            r"\{([0-9A-Fa-f]{1,6})\}|([dD][89abAB][0-9A-Fa-f]{2})\\u([dD][c-fC-F][0-9A-Fa-f]{2})|([0-9A-Fa-f]{4})"
        ).match(self._text, self._at)
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
        items: list[str] = []
        while not text.startswith("]", self._at):
            low = self._class_item()
            if not (text.startswith("-", self._at) and text[self._at + 1 : self._at + 2] not in ("", "]")):
                items.append(inside(low) if isinstance(low, tuple) else literal(low))
                continue
            self._at += 1
            high = self._class_item()
            if isinstance(low, tuple) or isinstance(high, tuple):  # [\w-.]: a hyphen, as browsers read it.
                items += [inside(each) if isinstance(each, tuple) else literal(each) for each in (low, 0x2D, high)]
            elif low > high:
                raise PatternError("has a range out of order")
            else:
                items.append(inside(((low, high),)))
        self._at += 1
        if items:
            self._out.append(f"[{'^' * is_negated}{''.join(items)}]")
        else:
            self._out.append(rf"[{inside(((0, sys.maxunicode),))}]" if is_negated else "(?!)")

    def _class_item(self) -> int | Ranges:
        character = self._text[self._at : self._at + 1]
        if not character:
            raise PatternError("has a class that is not closed")
        if character != "\\":
            self._at += 1
            return ord(character)
        name = self._text[self._at + 1 : self._at + 2]
        if name in CLASSES:
            self._at += 2
            return CLASSES[name]
        if name == "b":
            self._at += 2
            return 0x08
        return self._character_escape()


def _bounds(quantifier: re.Match[str]) -> tuple[int, float]:
    if quantifier[1]:
        return {"*": (0, math.inf), "+": (1, math.inf), "?": (0, 1)}[quantifier[1]]
    if len(quantifier[2]) > 9 or len(quantifier[4] or "") > 9:
        raise PatternError("repeats more often than can be counted")
    low = int(quantifier[2])
    if quantifier[3] is None:
        return low, low
    return low, int(quantifier[4]) if quantifier[4] else math.inf
