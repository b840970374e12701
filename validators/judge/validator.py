"""Judge one JSON text by one schema.

Place: registry hands out one of these for each schema; callers of ``check`` never see a decoded event.
Rules:
1. ``check`` never raises and never changes anything: for any bytes it returns None or problems.
2. There are two ways and one verdict. The quick way, a type that only accepts valid events (structs), can accept an
   event in one pass. Events that it does not accept, and all events of a schema without a type, are judged by the
   reference: decoding and the compiled function. Events that a type did not accept are walked first (invalid), because
   they are hardly ever valid, and the violations must be worded anyway.
   An event so long that it may take too many steps (step_estimate) is given to a function that counts them; one that
   does take too many is refused for that alone.
3. Integers of any size are exact; a number that no double can hold is infinite (wide). Text that readers of JSON do not
   agree on is refused, as in I-JSON (RFC 7493): half of a surrogate pair, bytes that are not UTF-8. Of a name that
   occurs twice the last value counts.
Not here: which schema an event has (registry), the words of violations (invalid).
"""

# hot path

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from validators.judge import wide
from validators.judge.deferred import Deferred
from validators.judge.reference import Dear, Refused, Validate, compile_counted, dear, estimate_steps
from validators.load import defaults
from validators.load import schema_shape as shape
from validators.privacy import plan_of as privacy_of
from validators.quick import structs
from validators.quick.event_reader import EventReader, Fill, make_reader
from validators.quick.generated import Path
from validators.steps import Steps, TooDearError
from validators.words import invalid
from validators.words.notes import STEPS_OF_WALK, Notes
from validators.words.violation import TOO_DEAR, UNEXPLAINED, UNPLACED, Violation, unreadable

if TYPE_CHECKING:
    from validators.expectations import Expectations

UNKNOWN = -1
MAX_PATHS = 1_000  # Cached answers about paths, which come from settings and not from clients.

_decode = msgspec.json.Decoder().decode


class Validator:
    """A compiled schema. The parts that judge never change after it was made, so processes share them across a fork.

    ``reference_checks`` counts, in this process, the checks that one pass did not settle.
    """

    __slots__ = (
        "_counted",
        "_declared",
        "_defaults",
        "_is_typed",
        "_sure_bytes",
        "_validate",
        "_walk",
        "check",
        "expectations",
        "privacy",
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
        """Judge one JSON document in bytes. Returns None when it is valid, else its violations, at least one."""
        self.reference_checks = 0
        self._is_typed = self.way.kind != "reference"
        self._walk: invalid.Walk | None = None  # Made for the first refused event; each process has its own.
        self._defaults = defaults.plan_of(schema, uri, self._accepts)
        self.privacy = privacy_of(schema, uri)  # None: nothing in it has ``x-privacy``.
        self._validate = validate
        self._counted = Deferred(schema, uri, compile_counted)
        self._sure_bytes = UNKNOWN
        self._declared: dict[tuple[str, ...], bool] = {}
        self.expectations: Expectations | None = None  # Kept here by the registry, once it was asked for them.

    def _refer(self, raw: bytes) -> list[Violation] | None:
        self.reference_checks += 1
        try:
            value = _read(raw)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            return [_unreadable(error)]
        validate = self._validate
        if len(raw) > self._sure_bytes and self._may_be_dear(raw):
            validate = self._counted
        # An event that its type refused is hardly ever valid.
        problems = self._explain(value) if self._is_typed else None
        if problems:
            return problems
        try:
            validate(value)
        except RecursionError as error:
            return [_unreadable(error)]
        except TooDearError:
            return [TOO_DEAR]
        except (Refused, ArithmeticError) as error:
            if not self._is_typed:
                problems = self._explain(value)
            if isinstance(error, ArithmeticError):  # Beyond its float arithmetic the walk decides.
                return problems or ([TOO_DEAR] if problems is None else None)
            return problems or [UNPLACED if problems is None else UNEXPLAINED]
        return None

    def _may_be_dear(self, raw: bytes) -> bool:
        if self._sure_bytes == UNKNOWN:
            self._sure_bytes = estimate_steps(self.schema).sure_bytes
        return len(raw) > self._sure_bytes

    def dear(self) -> Dear | None:
        """Return what makes events dear to judge, so that large ones may be refused. None: nothing does."""
        return dear(self.schema)

    def declares(self, path: tuple[str, ...]) -> bool:
        """Return True when the schema declares this property, or its parent as a map: an object with any properties."""
        known = self._declared.get(path)
        if known is None:
            known = shape.declares(self.schema, path)
            if len(self._declared) < MAX_PATHS:
                self._declared[path] = known
        return known

    def reader(
        self, texts: Sequence[Path], others: Sequence[Path], fills: Mapping[Path, Fill], gaps: Sequence[Path]
    ) -> EventReader | None:
        """Make a reader that judges events before ``fills`` are filled in, and reads members of them.

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
        """Write the schema's defaults into an event, as AJV 6 does. Raises TooLargeError, TooDearError, RecursionError
        for a text that is nested too deeply, and msgspec's errors for one that is not JSON."""
        if self._defaults is None:
            return raw
        return defaults.fill(raw, self._defaults, self._accepts, max_bytes)

    def _accepts(self, schema: Any, raw: bytes, steps: Steps) -> bool:
        """Whether a schema inside this one accepts a JSON text. Raises TooDearError when the steps do not suffice."""
        notes = Notes(steps.left // STEPS_OF_WALK)
        verdict = self._walker().accepts(schema, _read(raw), notes)
        if verdict is None:
            raise TooDearError
        steps.spend(notes.steps * STEPS_OF_WALK)
        return verdict

    def _explain(self, value: Any) -> list[Violation] | None:
        """Return the violations that the walk finds. None: it reached its limits."""
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
    except msgspec.ValidationError:  # Without a type its only reason is a number out of range.
        return wide.decode(raw)


def _unreadable(error: Exception) -> Violation:
    """Return the violation of a text that is not JSON. The decoder's own words are not passed on."""
    if isinstance(error, RecursionError):
        return unreadable("depth", "should NOT be nested so deeply")
    if isinstance(error, UnicodeDecodeError):
        return unreadable("encoding", "should be UTF-8")
    return unreadable("json", "should be JSON")
