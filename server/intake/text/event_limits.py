"""Limits of the JSON of one event besides its bytes: values, nesting, digits of a number.

Place: intake.pipeline, before anything is decoded → HERE.
Rules: an event is first compared with the most that its bytes could hold (``sure_bytes``: most events pass at once),
then with counts that strings only make larger, and examined closely when those do not settle it. This takes time linear
in the bytes, and stops once there are too many values. The bytes may not be JSON at all: then the answer does not
matter, but the time does.
Not here: bytes of an event (intake.pipeline), number of events (intake.text.decode).
"""

# hot path

from __future__ import annotations

import re
import sys
from array import array
from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from server.config.limit_settings import Limits

TOO_DEEP: Final = "the event is nested more than {} deep"
TOO_MANY: Final = "the event has more than {} values"
TOO_LONG: Final = "the event has a number of more than {} digits in a row"

# Possessive: without backtracking the pattern keeps no state for each piece (before: 115 bytes per letter of a long
# text, and 76 MB for 780 kB of escapes).
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_STRINGS_AT_ONCE: Final = 5_000  # 0.1 µs each; and the rest of the event is copied each time.
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
# Objects become arrays, and everything but brackets and commas is removed.
_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_REST: Final = bytes(set(range(256)) - set(b"{}[],"))
_STEPS: Final = bytes.maketrans(b"[]", b"\x01\xff")  # +1 and -1 of signed bytes.
_ZERO, _NINE = ord("0"), ord("9")
_VALUE_BYTES: Final = 2  # Bytes of a value at the least: [0,0]

# The depth at which the decoders stop by themselves, depending on the stack. Up to here a limit has to be counted,
# which takes 0.4 ns per byte for each kind of bracket: 10 % of an event for a limit below that of the decoders.
DECODERS_DEPTH: Final = 900
# Since Python 3.12 they stop after some thousand, where functions in Python have stopped long before.
DECODERS_STOP: Final = sys.version_info < (3, 12)


class EventLimits:
    """Checks events by the settings, and words the findings."""

    __slots__ = (
        "_counts_depth",
        "_max_depth",
        "_max_digits",
        "_max_nodes",
        "_too_deep",
        "_too_long",
        "_too_many",
        "sure_bytes",
    )

    def __init__(self, limits: Limits) -> None:
        self._max_depth = limits.max_json_depth if DECODERS_STOP else min(limits.max_json_depth, DECODERS_DEPTH)
        self._max_nodes = limits.max_json_nodes
        self._max_digits = limits.max_number_digits
        self._counts_depth = self._max_depth < DECODERS_DEPTH or not DECODERS_STOP
        sure = [_VALUE_BYTES * self._max_nodes - 1, self._max_digits]
        self.sure_bytes = min(sure + [2 * self._max_depth] * self._counts_depth)
        self._too_deep = TOO_DEEP.format(self._max_depth)
        self._too_many = TOO_MANY.format(self._max_nodes)
        self._too_long = TOO_LONG.format(self._max_digits)

    def over(self, raw: bytes) -> str | None:
        """Return which limit an event of more than ``sure_bytes`` exceeds; None: no limit."""
        if self._is_too_many(raw) or (len(raw) > self._max_digits and self._may_be_long(raw)):
            return self._look(raw)
        return None

    def _is_too_many(self, raw: bytes) -> bool:
        if len(raw) >= _VALUE_BYTES * self._max_nodes and _most_values(raw) >= self._max_nodes:
            return True
        return self._counts_depth and raw.count(b"{") + raw.count(b"[") > self._max_depth

    def _may_be_long(self, raw: bytes) -> bool:
        """Whether more digits than the limit stand in a row, even in a string: such a row has a digit in one of every
        ``_max_digits + 1`` places, with half of the row to the left or to the right of it."""
        step = self._max_digits + 1
        half = step // 2
        for at in range(step - 1, len(raw), step):
            if _ZERO <= raw[at] <= _NINE and (raw[at - half : at].isdigit() or raw[at : at + half].isdigit()):
                return True
        return False

    def _look(self, raw: bytes) -> str | None:
        parts: list[bytes] = []
        values, rest = 1, raw
        while rest:
            *between, rest = _STRING.split(rest, _STRINGS_AT_ONCE)
            if len(between) < _STRINGS_AT_ONCE:
                between.append(rest)
                rest = b""
            part = b"".join(between)
            values += _most_values(part)
            if values > self._max_nodes:
                return self._too_many
            parts.append(part)
        bare = b"".join(parts)
        if b"0" * (self._max_digits + 1) in bare.translate(_DIGITS):
            return self._too_long
        brackets = bare.translate(_BRACKETS, _REST)
        steps = array("b", brackets.translate(_STEPS, b","))
        return self._too_deep if max(accumulate(steps), default=0) > self._max_depth else None


def _most_values(raw: bytes) -> int:
    """Return the number of values after the first one, or more if strings hold commas and brackets."""
    return len(raw) - len(raw.translate(None, b",[{"))  # 1 ns per byte; ``count`` takes 10 for each match.
