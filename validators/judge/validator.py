"""Judge one JSON text by one schema.

Place: registry hands out one of these for each schema; whoever calls ``check`` never sees a decoded event.
Rules:
1. ``check`` never raises and never changes anything: whatever the bytes are, it returns None or problems.
2. Two ways, one verdict: a type that holds valid events alone (structs) can only say yes, in one pass; what it does not
   take, and every event of a schema without a type, is judged by the reference: decoding and the compiled function.
   What a type did not take is walked first (invalid): it is hardly ever valid, and what is wrong has to be said anyway.
3. Integers are exact whatever their size; a number beyond the doubles is infinite (wide). Text that no two readers
   agree on is refused, as I-JSON (RFC 7493) does: half of a surrogate pair, bytes that are not UTF-8. A name that
   occurs twice: the last wins.
Not here: which schema (registry), what the words mean (invalid).
"""

# hot path

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from validators.judge import wide
from validators.judge.reference import Refused, Validate
from validators.load import defaults
from validators.load import schema_shape as shape
from validators.quick import structs
from validators.quick.event_reader import EventReader, Fill, make_reader
from validators.quick.generated import Path
from validators.words import invalid
from validators.words.violation import Violation, unreadable

MAX_PATHS = 1_000  # Paths that were asked for; they come from settings, not from clients.

_decode = msgspec.json.Decoder().decode


class Validator:
    """A compiled schema. Nothing that it judges by changes after it was made, so processes share it across a fork.

    ``reference_checks`` counts, in this process, the checks that one pass did not settle.
    """

    __slots__ = (
        "_declared",
        "_defaults",
        "_is_typed",
        "_validate",
        "_walk",
        "check",
        "reference_checks",
        "schema",
        "title",
        "uri",
        "way",
    )

    def __init__(self, uri: str, schema: dict[str, Any], validate: Validate) -> None:
        self.uri = uri
        self.schema = schema  # Every $ref in it is local.
        self.title: str | None = schema["title"] if isinstance(schema.get("title"), str) else None
        self.check, self.way = structs.compile_check(schema, self._refer)
        """Judge one JSON document, bytes. None: it is valid; else the problems (Problem), at least one."""
        self.reference_checks = 0
        self._is_typed = self.way.kind != "reference"
        self._walk: invalid.Walk | None = None  # Made for the first event that is refused; one process's own.
        self._defaults = defaults.plan_of(schema, uri, self._accepts)
        self._validate = validate
        self._declared: dict[tuple[str, ...], bool] = {}

    def _refer(self, raw: bytes) -> list[Violation] | None:
        self.reference_checks += 1
        try:
            value = _read(raw)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            return [_unreadable(error)]
        problems = self._explain(value) if self._is_typed else None  # What no type took is hardly ever valid.
        if problems:
            return problems
        try:
            self._validate(value)
        except RecursionError as error:
            return [_unreadable(error)]
        except (Refused, ArithmeticError) as error:
            if not self._is_typed:
                problems = self._explain(value)
            if problems == [] and isinstance(error, ArithmeticError):  # Too large for its float arithmetic: the walk's.
                return None
            return problems or [invalid.unexplained()]
        return None

    def declares(self, path: tuple[str, ...]) -> bool:
        """True when the schema declares this property, or its parent as a map: an object with any properties."""
        known = self._declared.get(path)
        if known is None:
            known = shape.declares(self.schema, path)
            if len(self._declared) < MAX_PATHS:
                self._declared[path] = known
        return known

    def reader(
        self, texts: Sequence[Path], others: Sequence[Path], fills: Mapping[Path, Fill], gaps: Sequence[Path]
    ) -> EventReader | None:
        """Something that judges events in which ``fills`` are yet to be filled in, and reads members of them.

        None: this schema's events have to be filled in first.
        """
        if self.way.kind == "reference" or self.has_defaults:
            return None
        return make_reader(self.schema, texts, others, fills, gaps)

    @property
    def has_defaults(self) -> bool:
        """Whether there are events that ``fill_defaults`` changes."""
        return self._defaults is not None

    def fill_defaults(self, raw: bytes, max_bytes: int) -> bytes:
        """Write in the schema's defaults, as AJV 6 does. Raises TooLargeError, RecursionError for what is too deep, and
        msgspec's errors for what is not JSON."""
        return raw if self._defaults is None else defaults.fill(raw, self._defaults, self._accepts, max_bytes)

    def _accepts(self, schema: Any, raw: bytes) -> bool | None:
        """What a schema inside this one says of a JSON text. None: the walk came to no end."""
        return self._walker().accepts(schema, _read(raw))

    def _explain(self, value: Any) -> list[Violation] | None:
        """What the walk finds wrong. None: it came to no end."""
        try:
            return self._walker().problems(value)
        except RecursionError:
            return None

    def _walker(self) -> invalid.Walk:
        if self._walk is None:
            self._walk = invalid.Walk(self.schema)
        return self._walk


def _read(raw: bytes) -> Any:
    try:
        return _decode(raw)
    except msgspec.ValidationError:  # Its only reason without a type: a number out of range.
        return wide.decode(raw)


def _unreadable(error: Exception) -> Violation:
    """Say why there is nothing to judge; the decoder's own words stay here."""
    if isinstance(error, RecursionError):
        return unreadable("depth", "should NOT be nested so deeply")
    if isinstance(error, UnicodeDecodeError):
        return unreadable("encoding", "should be UTF-8")
    return unreadable("json", "should be JSON")
