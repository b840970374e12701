"""Judge one JSON text by one schema.

Place: registry hands out one of these for each schema; whoever calls ``check`` never sees a decoded event.
Rules:
1. ``check`` never raises and never changes anything: whatever the bytes are, it returns None or problems.
2. A valid event costs its decoding and the compiled function, nothing else.
3. Integers are exact whatever their size. Text that no two readers agree on is refused, as I-JSON (RFC 7493) does: half
   of a surrogate pair, a number beyond the doubles, bytes that are not UTF-8. A name that occurs twice: the last wins.
Not here: which schema (registry), what the words mean (invalid).
"""

# hot path

from __future__ import annotations

from typing import Any

import msgspec

from validators import invalid, shape
from validators.problem import Problem, unreadable
from validators.reference import Refused, Validate
from validators.shape import Default

MAX_PATHS = 1_000  # Paths that were asked for; they come from settings, not from clients.

_decode = msgspec.json.Decoder().decode


class Validator:
    """A compiled schema. Nothing of it changes after it was made, so processes share it across a fork."""

    __slots__ = ("_declared", "_validate", "defaults", "schema", "title", "uri")

    def __init__(self, uri: str, schema: dict[str, Any], validate: Validate) -> None:
        self.uri = uri
        self.schema = schema  # Every $ref in it is local.
        self.title: str | None = schema["title"] if isinstance(schema.get("title"), str) else None
        self.defaults: dict[str, Default] = shape.defaults(schema)
        self._validate = validate
        self._declared: dict[tuple[str, ...], bool] = {}

    def check(self, raw: bytes) -> list[Problem] | None:
        """Judge one JSON document. None: it is valid."""
        # A faster way to say yes goes here, before the decoding: it may only ever add a way to return None early.
        try:
            value = _decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return [_unreadable(error)]
        try:
            self._validate(value)
        except (Refused, ArithmeticError, RecursionError) as error:
            return self._explain(value, error)
        return None

    def declares(self, path: tuple[str, ...]) -> bool:
        """True when the schema declares this property, or its parent as a map: an object with any properties."""
        known = self._declared.get(path)
        if known is None:
            known = shape.declares(self.schema, path)
            if len(self._declared) < MAX_PATHS:
                self._declared[path] = known
        return known

    def _explain(self, value: Any, error: Exception) -> list[Problem] | None:
        """Find the words. Whether anything is wrong, the compiled function has decided, if it came to an end."""
        if isinstance(error, RecursionError):
            return [_unreadable(error)]
        try:
            problems = invalid.problems(self.schema, value)
        except RecursionError:
            problems = []
        if problems or isinstance(error, ArithmeticError):  # An integer too large for its float arithmetic: the walk's.
            return problems or None
        return [invalid.unexplained()]


def _unreadable(error: Exception) -> Problem:
    """Say why there is nothing to judge; the decoder's own words stay here."""
    if isinstance(error, RecursionError):
        return unreadable("depth", "should NOT be nested so deeply")
    if isinstance(error, UnicodeDecodeError):
        return unreadable("encoding", "should be UTF-8")
    if isinstance(error, msgspec.ValidationError):  # Its only reason without a type to decode into.
        return unreadable("range", "should have numbers within the range of a double")
    return unreadable("json", "should be JSON")
