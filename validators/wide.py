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
from typing import Any

MAX_DIGITS = 4_300  # Python's and msgspec's bound on converting integers, which takes quadratic time.


def decode(raw: bytes) -> Any:
    """Raises ValueError (UnicodeDecodeError among them) for what is not JSON, RecursionError for what is too deep."""
    value = _decode(raw.decode())
    json.dumps(value, ensure_ascii=False).encode()  # Half of a surrogate pair is found here.
    return value


def _integer(digits: str) -> float:
    return int(digits) if len(digits.lstrip("-")) <= MAX_DIGITS else float(digits)


def _constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


_decode = json.JSONDecoder(parse_int=_integer, parse_constant=_constant).decode
