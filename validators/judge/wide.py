"""Decode JSON whose numbers overflow a double or Python's integer-digit limit.

Place: validator calls this when its decoder has met such a number.
Rules:
1. Such a number counts as infinite: it is a number and no integer, and lies beyond every bound. So it passes where a
   schema has no rule for it, as in the quick way, which never looks at it.
2. All other text is read, or refused, as by the decoder of validator.
Not here: what such a number means for a schema (reference).
"""

from __future__ import annotations

import json
import re
from typing import Any

MAX_DIGITS = 4_300  # The limit of Python and msgspec for converting integers, which takes quadratic time.


def decode(raw: bytes) -> Any:
    """Decode a JSON text. Raises ValueError (UnicodeDecodeError is one) when it is not JSON, and RecursionError when it
    is nested too deeply."""
    value = _decode(raw.decode())
    # The search is in the text, because the value no longer holds members that a later equal name has replaced.
    if any(found[1] for found in _ESCAPE.finditer(raw)):
        raise ValueError("half of a surrogate pair")
    return value


def _integer(digits: str) -> float:
    return int(digits) if len(digits.lstrip("-")) <= MAX_DIGITS else float(digits)


def _constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


_PAIR = rb"u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE = re.compile(rb"\\(?:" + _PAIR + rb"|(u[dD][89a-fA-F])|.)")
_decode = json.JSONDecoder(parse_int=_integer, parse_constant=_constant).decode
