"""Three independent judges of one schema, asked about the same bytes: ``check``, the reference alone, jsonschema-rs.

Place: beside test_differential and tests/fuzz.
Rule: only the public surface is used, so what stands here stays true however a verdict is reached inside.
Not here: where schemas and events come from (generated, mutations).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, NamedTuple

import jsonschema_rs

from validators import Registry
from validators.judge.reference import Refused, compile_schema

_SITE = "http://schemas.test"
_UUID = jsonschema_rs.Draft202012Validator({"format": "uuid"}, validate_formats=True)

# What draft-07 does not know, asked of the draft that does.
_FORMATS = {"uuid": _UUID.is_valid}


class Disagreement(NamedTuple):
    """``kind`` says who is alone; ``text`` is enough to see it again."""

    kind: str
    text: str


class UnreadableError(Exception):
    """What no reader agrees on, or none reads."""


class Judges:
    """The judges of one schema. Raises SchemaError where we refuse the schema, ValueError where jsonschema-rs does."""

    def __init__(self, schema: dict[str, Any]) -> None:
        text = json.dumps(schema).encode()
        self.text = text.decode()
        registry = Registry([_SITE], extension=".json", allow_insecure=True, fetch=lambda _url: text)
        self.validator = registry.validator("/a/b/1.0.0")
        self._reference = compile_schema(self.validator.schema, "/a/b/1.0.0")
        self._elsewhere = jsonschema_rs.Draft7Validator(schema, validate_formats=True, formats=_FORMATS)
        self._has_large_float = _has_large_float(schema)
        self.counts: Counter[str] = Counter()

    def ask(self, raw: bytes) -> Disagreement | None:
        """Put one document before all three."""
        referred = self.validator.reference_checks
        problems = self.validator.check(raw)
        is_valid = problems is None
        is_one_pass = self.validator.reference_checks == referred
        self.counts["cases"] += 1
        self.counts["accepted"] += is_valid
        self.counts["accepted in one pass"] += is_one_pass
        if is_one_pass and not is_valid:
            return self._said("one pass refuses by itself", raw)
        if problems is not None and any(each.keyword == "schema" for each in problems):
            return self._said("refused without words", raw)
        try:
            value, is_wide = _read(raw)
        except UnreadableError:
            return self._said("check takes what cannot be read", raw) if is_valid else None
        except RecursionError:
            return None
        by_reference = self._refers(value)
        if by_reference is not None and by_reference != is_valid:
            return self._said(f"check says {is_valid}, the reference {by_reference}", raw)
        if not is_wide:
            elsewhere = self._elsewhere.is_valid(value)
            if elsewhere != is_valid and self._is_excused(value, raw, is_valid):
                self.counts["excused"] += 1
            elif elsewhere != is_valid:
                return self._said(f"check says {is_valid}, jsonschema-rs {elsewhere}", raw)
        return None

    def _is_excused(self, value: Any, raw: bytes, is_valid: bool) -> bool:
        """Where jsonschema-rs differs for a reason that docs/COMPATIBILITY.md gives."""
        if self._has_large_float or _has_large_float(value):  # It rounds other ones of the two to doubles than we do.
            return True
        has_times = any(f'"{name}"' in self.text for name in ("date", "date-time", "time"))
        if has_times and not is_valid and b"/" in raw:  # To it, the character before 0 is a digit of a time.
            return True
        has_names = '"hostname"' in self.text or '"email"' in self.text
        return is_valid and has_names and b"--" in raw  # It reads such labels as IDNA does.

    def _refers(self, value: Any) -> bool | None:
        """The compiled function's verdict; None: its float arithmetic has no word on numbers beyond the doubles."""
        try:
            self._reference(value)
        except Refused:
            return False
        except ArithmeticError:
            return None
        return True

    def _said(self, kind: str, raw: bytes) -> Disagreement:
        return Disagreement(kind, f"{self.text[:3_000]}\n  {raw[:800]!r}")


def _read(raw: bytes) -> tuple[Any, bool]:
    """The value, and whether it holds a number beyond the doubles. By Python's own reader, as strict as RFC 7493."""
    wide = []

    def integer(digits: str) -> float:
        if len(digits) > 4_300:
            wide.append(digits)
            return -math.inf if digits.startswith("-") else math.inf
        return int(digits)

    def decimal(digits: str) -> float:
        value = float(digits)
        if math.isinf(value):
            wide.append(digits)
        return value

    def constant(name: str) -> float:
        raise UnreadableError(name)

    try:
        text = raw.decode()
        value = json.loads(
            text, parse_int=integer, parse_float=decimal, parse_constant=constant, object_pairs_hook=_whole_object
        )
        json.dumps(value, ensure_ascii=False).encode()
    except ValueError as error:
        raise UnreadableError(str(error)) from None
    return value, bool(wide)


def _whole_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The last of equal names wins, but half of a surrogate pair is seen in those before it too."""
    json.dumps(pairs, ensure_ascii=False).encode()
    return dict(pairs)


def _has_large_float(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_large_float, value.values()))
    if isinstance(value, list):
        return any(map(_has_large_float, value))
    return isinstance(value, float) and abs(value) >= 2**53
