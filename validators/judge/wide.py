"""Decode a JSON text that holds numbers which no double and no Python integer can.

Place: validator comes here when its decoder has met such a number.
Rules:
1. Such a number counts as infinite: it is a number and no integer, and lies beyond every bound. So where a schema says
   nothing of it, it passes, as in the one-pass way, which never looks at it.
2. Anything else is read, or refused, as by the decoder of validator.
Not here: what it means for a schema (reference).
"""

from __future__ import annotations

import json
import re
from typing import Any

MAX_DIGITS = 4_300  # Python's and msgspec's bound on converting integers, which takes quadratic time.


def decode(raw: bytes) -> Any:
    """Raises ValueError (UnicodeDecodeError among them) for what is not JSON, RecursionError for what is too deep."""
    value = _decode(raw.decode())
    # In the text, because the value lacks what an equal name after it has replaced.
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
