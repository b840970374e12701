"""Compile a regular expression of ECMA-262 so that a search takes time linear in the text.

Place: reference, structs, formats, invalid and insecure → HERE → ecma262, re, RE2.
Rules:
1. Python's ``re`` runs an expression that provably takes a few steps per character by backtracking. RE2 runs any other:
   the same verdict from an automaton, in one pass. (It takes 1.9 µs for a short text; ``re`` takes 0.5.)
2. An expression that only backtracking can run (a look around, a back reference) and that is not provably cheap is
   dangerous, as is a quantifier inside a quantifier, which AJV refuses too. ``danger`` reports it; ``compiled`` still
   returns it, for operators who allow insecure schemas.
3. Only the verdict counts: ``search`` returns a true or a false value, which holds no groups.
Not here: what an expression means (ecma262), which schemas are refused (insecure).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import re2

from validators.regex import dfa_builder
from validators.regex.dfa import IS_FAST, Dfa
from validators.regex.ecma262 import PatternError, Read, read

__all__ = [
    "SHORT",
    "Matcher",
    "PatternError",
    "compiled",
    "danger",
    "dfa",
    "for_long",
    "for_short",
    "is_pattern",
    "ns_per_character",
    "refuser",
    "translate",
    "weight",
]

MAX_LENGTH = 10_000  # Compiled expressions stay in memory; the longest of 129 real schemas has 77 characters.
MAX_WEIGHT = 200_000  # Limits the sum over all expressions of a schema, in µs.
MAX_RE2_BYTES = 1_048_576  # Program and states of one expression; beyond it RE2 is slower, but still linear.
MAX_RE2_SIZE = 1_000  # Instructions. When states run out of memory, each takes 2 ns per character: 16 ms for 8 kB.
RE2_NS = 4  # For each instruction and character, when states run out of memory; 2 ns for all of them otherwise.
RE_STEP_NS = 10  # Of a backtracking search.
DANGEROUS_NS = 1_000_000  # Expressions that operators allow although they may take any time.
SHORT = 24  # On texts of up to so many characters backtracking is cheap for more expressions: `^[a-z]+[a-z0-9_]*$`.
WIDE_WEIGHT = 400  # µs for a class that goes beyond Latin-1.


class Matcher(Protocol):
    """A compiled expression of either engine."""

    @property
    def search(self) -> Callable[[str], Any]:
        """Return a true value when the expression matches somewhere in a text."""
        ...


class _Linear(NamedTuple):
    search: Callable[[str], bool]
    size: int  # Instructions; some 0.5 µs each to make.


@lru_cache(maxsize=4096)
def translate(pattern: str) -> str:
    """Return the expression in Python's syntax. Raises PatternError."""
    text = _read(pattern).in_python
    _compile(text)
    return text


@lru_cache(maxsize=4096)
def compiled(pattern: str) -> Matcher:
    """Compile the expression for ``search``. Raises PatternError."""
    found = _read(pattern)
    if not found.is_cheap and found.in_re2 is not None and (linear := _linear(found.in_re2)) is not None:
        return linear
    return _compile(found.in_python)


@lru_cache(maxsize=4096)
def for_short(pattern: str) -> re.Pattern[str] | None:
    """Return an expression that searches texts of up to SHORT characters faster than ``compiled``, or None. Raises
    PatternError."""
    if isinstance(compiled(pattern), re.Pattern) or not read(pattern, SHORT).is_cheap:
        return None
    return _compile(_read(pattern).in_python)


@lru_cache(maxsize=64)
def for_long(pattern: str) -> Matcher:
    """Return the matcher for long texts that may not match: an automaton where there is one. For ``^[a-z]+$`` and a
    megabyte it takes a fifth of the time that backtracking takes to give up. Raises PatternError."""
    found = _read(pattern)
    return (None if found.in_re2 is None else _linear(found.in_re2)) or compiled(pattern)


@lru_cache(maxsize=4096)
def refuser(pattern: str) -> re.Pattern[str] | None:
    """Return an expression that matches, at their start, the texts in which this one is not found. It makes no object
    for the other texts, which saves 0.05 µs of 0.3. None: the expression is not anchored, or not run by ``re``. Raises
    PatternError."""
    found = _read(pattern)
    if not found.is_anchored or not isinstance(compiled(pattern), re.Pattern):
        return None
    return _compile(f"(?!{found.in_python})")


@lru_cache(maxsize=1024)
def dfa(pattern: str) -> Dfa | None:
    """Return an automaton that finds matches faster than either engine. None: the expression has none, or nothing is
    compiled ahead of time. Raises PatternError."""
    if not IS_FAST:
        return None
    tables = dfa_builder.build(_read(pattern).parts)
    return None if tables is None else Dfa(*tables, compiled(pattern).search)


def is_pattern(text: str) -> bool:
    """Whether a text is a regular expression. Nothing is compiled or cached, because the text may be a client's."""
    try:
        _read(text)
    except PatternError:
        return False
    return True


def danger(pattern: str) -> str | None:
    """Return why hostile texts must not be searched for this expression, or None. Raises PatternError."""
    found = _read(pattern)
    if found.is_nested:
        return "has nested quantifiers"
    matcher = compiled(pattern)
    if not found.is_cheap and isinstance(matcher, re.Pattern):
        return "can be searched for by backtracking alone, and that can take very long"
    if isinstance(matcher, _Linear) and matcher.size > MAX_RE2_SIZE:
        return "repeats too much, as often as it does, to be searched for in a long text"
    return None


@lru_cache(maxsize=4096)
def ns_per_character(pattern: str) -> int:
    """Return the most that a search takes for each character of a text, in ns: an upper bound, at least 1. Raises
    PatternError."""
    matcher = compiled(pattern)
    if isinstance(matcher, _Linear):
        return RE2_NS * matcher.size
    return min(DANGEROUS_NS, 1 + int(RE_STEP_NS * _read(pattern).steps))


def weight(pattern: str) -> int:
    """Return about how long compiling takes, in µs. Raises PatternError."""
    found = _read(pattern)
    weight = 10 * len(pattern) + WIDE_WEIGHT * found.wide
    if not found.is_cheap and weight < MAX_WEIGHT:
        weight += getattr(compiled(pattern), "size", 0)
    return weight


def _read(pattern: str) -> Read:
    if len(pattern) > MAX_LENGTH:
        raise PatternError(f"is longer than {MAX_LENGTH} characters")
    return read(pattern)


def _compile(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise PatternError(f"cannot be run: {error}") from None


def _linear(text: str) -> _Linear | None:
    """Return RE2's matcher, or None when RE2 cannot run the expression: one with a lone surrogate, or with more than
    1,000 repetitions."""
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    options.max_mem = MAX_RE2_BYTES
    try:
        # This uses the class below the one that re2.compile makes: on a text of 13 characters, 11.7 → 1.9 µs.
        automaton = re2._re2.RE2(text.encode(), options)
    except UnicodeEncodeError:
        return None
    if not automaton.ok():
        return None
    match, unanchored = automaton.Match, re2._re2.RE2.Anchor.UNANCHORED

    def search(text: str) -> bool:
        raw = text.encode()
        return bool(match(unanchored, raw, 0, len(raw))[0][0] >= 0)

    return _Linear(search, automaton.ProgramSize())
