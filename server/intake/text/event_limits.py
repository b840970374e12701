"""How large the JSON of one event may be besides its bytes: values, nesting, digits of a number.

Place: intake.pipeline, before anything is decoded → HERE.
Rules: an event is compared with what its bytes could hold at the most (``sure_bytes``: most events are done there),
then with counts that strings only make larger, and looked at closely when those do not settle it. Looking takes time
linear in the bytes, and no more is looked at once there are too many values. The bytes may be no JSON at all: then the
answer does not count, but the time does.
Not here: bytes of an event (intake.pipeline), number of events (intake.text.decode).
"""

# hot path

from __future__ import annotations

import re
from array import array
from itertools import accumulate
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from server.config.limit_settings import Limits

TOO_DEEP: Final = "the event is nested more than {} deep"
TOO_MANY: Final = "the event has more than {} values"
TOO_LONG: Final = "the event has a number of more than {} digits in a row"

# Possessive: without a way back the pattern remembers nothing of each piece (before: 115 bytes a letter of a long text,
# and 76 MB for 780 kB of escapes).
# A string that has no end goes to the end of the bytes: were it no match, each quote in it would be tried.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_STRINGS_AT_ONCE: Final = 5_000  # 0.1 µs each; and what is left of the event is copied each time.
_DIGITS: Final = bytes.maketrans(b"123456789", b"000000000")
# Objects become arrays, and all but brackets and commas goes.
_BRACKETS: Final = bytes.maketrans(b"{}", b"[]")
_REST: Final = bytes(set(range(256)) - set(b"{}[],"))
_STEPS: Final = bytes.maketrans(b"[]", b"\x01\xff")  # +1 and -1 of signed bytes.
_ZERO, _NINE = ord("0"), ord("9")
_VALUE_BYTES: Final = 2  # Of a value at the least: [0,0]

# Where the decoders end by themselves, give or take what is on the stack. Up to here a bound has to be counted, which
# takes 0.4 ns a byte for each kind of bracket: 10 % of an event for whoever wants less than the decoders do.
DECODERS_DEPTH: Final = 900


class EventLimits:
    """The settings, and what is said of an event beyond them."""

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
        self._max_depth = limits.max_json_depth
        self._max_nodes = limits.max_json_nodes
        self._max_digits = limits.max_number_digits
        self._counts_depth = self._max_depth < DECODERS_DEPTH
        sure = [_VALUE_BYTES * self._max_nodes - 1, self._max_digits]
        self.sure_bytes = min(sure + [2 * self._max_depth] * self._counts_depth)
        self._too_deep = TOO_DEEP.format(self._max_depth)
        self._too_many = TOO_MANY.format(self._max_nodes)
        self._too_long = TOO_LONG.format(self._max_digits)

    def over(self, raw: bytes) -> str | None:
        """What is too large about an event of more than ``sure_bytes``; None: nothing."""
        if self._is_too_many(raw) or (len(raw) > self._max_digits and self._may_be_long(raw)):
            return self._look(raw)
        return None

    def _is_too_many(self, raw: bytes) -> bool:
        if len(raw) >= _VALUE_BYTES * self._max_nodes and _most_values(raw) >= self._max_nodes:
            return True
        return self._counts_depth and raw.count(b"{") + raw.count(b"[") > self._max_depth

    def _may_be_long(self, raw: bytes) -> bool:
        """Whether digits stand in a row for more than the bound, be it in a string: such a row has one in every
        ``_max_digits + 1`` places, and half of it is to the left or to the right of that."""
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
    """How many values there are behind the first one, or more where strings hold commas and brackets."""
    return len(raw) - len(raw.translate(None, b",[{"))  # 1 ns a byte; ``count`` takes 10 for each that it finds.
