"""Say a schema as a type of msgspec's, so that decoding an event is validating it.

Place: bundle → HERE → validator, which asks this way first and the reference (mend, reference) after it.
Rules:
1. Accepting implies valid; refusing only means "ask the reference". So a type may be stricter than its schema: bounds
   are clamped to what msgspec can hold, ``1.0`` is no integer here, and only the plain spellings of a format are known.
2. What asserts something that is not said here makes the whole schema reference-only, with the reason: no keyword of
   ``_ASSERTING`` is ever skipped. Any other word asserts nothing on the other way either (mend).
3. msgspec skips the values of names that no field has: it looks at their grammar and their escapes, not at their UTF-8
   (the caller does) and not at the size of numbers (nobody does: nothing is said about them).
4. Patterns stay out of unions, of optional fields too: msgspec 0.22 frees such a type too early. An optional field has
   a default, which is not checked against its type.
Not here: what is wrong with a refused event (invalid).
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import msgspec

from validators import dialect, pattern, plain_formats, ranges
from validators.bundle import target_of
from validators.formats import FORMATS
from validators.invalid import problems

MAX_SCHEMAS = 2_000  # Of one type, each reference counted anew: some 20 µs each. Real schemas stay below 400.

_FREE = msgspec.Raw  # Any value: checked for its grammar, not made into objects.

_OF_STRINGS = frozenset({"format", "maxLength", "minLength", "pattern"})
_OF_NUMBERS = frozenset({"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"})
_OF_ARRAYS = frozenset({"additionalItems", "contains", "items", "maxItems", "minItems", "uniqueItems"})
_OF_OBJECTS = frozenset(
    {
        "additionalProperties",
        "dependencies",
        "maxProperties",
        "minProperties",
        "patternProperties",
        "properties",
        "propertyNames",
        "required",
    }
)
_OF_ANYTHING = frozenset({"allOf", "anyOf", "else", "if", "not", "oneOf", "then"})
_SCALAR = frozenset({"const", "enum", "type"}) | _OF_STRINGS | _OF_NUMBERS
_ASSERTING = frozenset({"$ref"}) | _SCALAR | _OF_ARRAYS | _OF_OBJECTS | _OF_ANYTHING


class Way(msgspec.Struct, frozen=True):
    """How a schema judges: in one pass, or by the reference alone, and then why."""

    kind: Literal["one-pass", "reference"]
    reason: str = ""


class _UnsaidError(Exception):
    """A part of the schema cannot be said as a type."""


def compile_type(whole: dict[str, Any]) -> tuple[Callable[[bytes], Any] | None, Way]:
    """Make the function that decodes valid events and raises for all others, and for some valid ones; or say why not.

    The function takes ASCII or checked UTF-8. It raises msgspec.DecodeError, UnicodeDecodeError or RecursionError.
    """
    try:
        made = _Maker(whole).type_of(whole, "")
        return msgspec.json.Decoder(made).decode, Way("one-pass")
    except _UnsaidError as error:
        return None, Way("reference", str(error))
    except (TypeError, ValueError, ArithmeticError, NotImplementedError) as error:  # msgspec's own bounds on types.
        return None, Way("reference", f"msgspec: {error}"[:500])
    except RecursionError:
        return None, Way("reference", "is nested too deeply")


class _Maker:
    """Every method returns a type that holds no value which the schema refuses. ``place`` is a JSON pointer."""

    def __init__(self, whole: dict[str, Any]) -> None:
        self._whole = whole
        self._schemas = 0
        self._patterns = 0
        self._open: set[str] = set()
        self._by_kind: dict[str, Callable[[dict[str, Any], str], Any]] = {
            "array": self._array,
            "boolean": lambda _schema, _place: bool,
            "integer": lambda schema, place: _number(int, ranges.of_integers(schema), place),
            "null": lambda _schema, _place: type(None),
            "number": self._int_or_float,
            "object": self._object,
            "string": self._string,
        }

    def type_of(self, schema: Any, place: str) -> Any:
        self._schemas += 1
        if self._schemas > MAX_SCHEMAS:
            raise _UnsaidError(f"consists of more than {MAX_SCHEMAS} schemas")
        if _is_free(schema):
            return _FREE
        if schema is False:
            raise _unsaid(place, "false")
        if "$ref" in schema:
            return self._reference(schema["$ref"], place)
        _refuse(schema, _OF_ANYTHING, place)
        if "enum" in schema or "const" in schema:
            return _literal(schema, place)
        if "type" not in schema:
            raise _unsaid(place, f"{min(_ASSERTING & schema.keys())} without type")
        kinds = {schema["type"]} if isinstance(schema["type"], str) else set(schema["type"])
        if "number" in kinds:
            kinds.discard("integer")
        before = self._patterns
        parts = [self._by_kind[kind](schema, place) for kind in sorted(kinds)]
        if len(parts) == 1:
            return parts[0]
        if self._patterns > before:
            raise _unsaid(place, "pattern or format in a choice of types")
        return functools.reduce(operator.or_, parts)

    def _reference(self, ref: str, place: str) -> Any:
        if ref in self._open or ref == "#":
            raise _unsaid(place, "$ref to what it is inside")
        self._open.add(ref)
        made = self.type_of(target_of(self._whole, ref), place)
        self._open.remove(ref)
        return made

    def _int_or_float(self, schema: dict[str, Any], place: str) -> Any:
        _refuse(schema, {"multipleOf"}, place)
        # Two types: one of floats alone would round a large integer before it is compared.
        whole = _number(int, ranges.of_integers(schema), place)
        return whole | _number(float, ranges.of_floats(schema), place)

    def _string(self, schema: dict[str, Any], place: str) -> Any:
        limits: dict[str, Any] = _sizes(schema, "minLength", "maxLength")
        name = schema.get("format")
        if name in FORMATS:
            if "pattern" in schema or name not in plain_formats.PATTERNS:
                raise _unsaid(place, f"format {name}{' beside pattern' * ('pattern' in schema)}")
            limits["pattern"] = plain_formats.PATTERNS[name]
        elif "pattern" in schema:
            limits["pattern"] = pattern.translate(schema["pattern"])
        self._patterns += "pattern" in limits
        return _limited(str, limits)

    def _array(self, schema: dict[str, Any], place: str) -> Any:
        _refuse(schema, {"contains"}, place)
        if schema.get("uniqueItems") is True:
            raise _unsaid(place, "uniqueItems")
        items = schema.get("items", True)
        if isinstance(items, list):
            raise _unsaid(place, "items as a list")
        inner = self.type_of(items, f"{place}/items")
        return _limited(list[inner], _sizes(schema, "minItems", "maxItems"))  # type: ignore[valid-type]

    def _object(self, schema: dict[str, Any], place: str) -> Any:
        _refuse(schema, {"dependencies", "patternProperties"}, place)
        rest = schema.get("additionalProperties", True)
        sizes = _sizes(schema, "minProperties", "maxProperties")
        is_counted = bool(sizes) or not _is_free(schema.get("propertyNames", True))
        is_named = bool(schema.get("properties") or schema.get("required")) or rest is False
        if not is_named and (is_counted or not _is_free(rest)):
            names = self._names(schema.get("propertyNames", True), place)
            inner = self.type_of(rest, f"{place}/additionalProperties")
            return _limited(dict[names, inner], sizes)  # type: ignore[valid-type]
        if is_counted:
            raise _unsaid(place, "minProperties, maxProperties or propertyNames beside properties")
        if rest is not False and not _is_free(rest):
            raise _unsaid(place, "additionalProperties as a schema beside properties")
        return _struct(tuple(self._fields(schema, place, rest is False)), rest is False)

    def _fields(self, schema: dict[str, Any], place: str, is_closed: bool) -> list[tuple[str, Any, bool]]:
        """Name, type and whether it is required. What nothing is said about needs no field in an open object."""
        properties: dict[str, Any] = schema.get("properties", {})
        required = dict.fromkeys(schema.get("required", ()))
        fields = []
        for name, each in properties.items():
            if is_closed or name in required or not _is_free(each):
                made = self.type_of(each, place + dialect.step("properties", name))
                fields.append((name, made, name in required))
        for name in required:
            if name not in properties:
                if is_closed:
                    raise _unsaid(place, "required beside additionalProperties that forbids it")
                fields.append((name, _FREE, True))
        return fields

    def _names(self, schema: Any, place: str) -> Any:
        if _is_free(schema):
            return str
        if schema is False or schema.get("type", "string") != "string":
            raise _unsaid(place, "propertyNames")
        _refuse(schema, _ASSERTING - _OF_STRINGS - {"type"}, f"{place}/propertyNames")
        return self._string(schema, place)


def _unsaid(place: str, what: str) -> _UnsaidError:
    return _UnsaidError(f"{what} at {place or '/'}")


def _refuse(schema: dict[str, Any], words: set[str] | frozenset[str], place: str) -> None:
    found = words & schema.keys()
    if found:
        raise _unsaid(place, ", ".join(sorted(found)))


def _is_free(schema: Any) -> bool:
    return schema is True or (isinstance(schema, dict) and _ASSERTING.isdisjoint(schema))


def _sizes(schema: dict[str, Any], low: str, high: str) -> dict[str, int]:
    words = {"min_length": schema.get(low, 0) or None, "max_length": schema.get(high)}
    return {word: int(size) for word, size in words.items() if size is not None}


def _limited(kind: Any, limits: dict[str, Any]) -> Any:
    return Annotated[kind, msgspec.Meta(**limits)] if limits else kind


def _number(kind: type, limits: dict[str, float] | None, place: str) -> Any:
    if limits is None:
        raise _unsaid(place, "bounds of numbers that msgspec cannot hold")
    return _limited(kind, limits)


def _literal(schema: dict[str, Any], place: str) -> Any:
    """Those of the values that pass the rest of the schema, and that compare here as they do in JSON."""
    _refuse(schema, _ASSERTING - _SCALAR, place)
    values: Sequence[Any] = schema["enum"] if "enum" in schema else [schema["const"]]
    rest = {word: value for word, value in schema.items() if word != "enum"}  # They would be searched for each of them.
    held = [each for each in values if _is_comparable(each) and not problems(rest, each)]
    if not held:
        raise _unsaid(place, "enum or const without texts and integers")
    return Literal[tuple(held)]


def _is_comparable(value: Any) -> bool:
    return value is None or type(value) is str or (type(value) is int and ranges.LOWEST <= value <= ranges.HIGHEST)


@functools.lru_cache(maxsize=4_096)  # Versions of a schema, and schemas of one site, share most of their parts.
def _struct(fields: tuple[tuple[str, Any, bool], ...], is_closed: bool) -> type[msgspec.Struct]:
    # Required ones first, as msgspec wants them; names of fields are ours, so any name can be a property's.
    ordered = sorted(enumerate(fields), key=lambda each: (not each[1][2], each[0]))
    made = [(f"f{i}", kind) if required else (f"f{i}", kind, None) for i, (_, kind, required) in ordered]
    return msgspec.defstruct(
        "Object",
        made,
        rename={f"f{i}": name for i, (name, _, _) in enumerate(fields)},
        forbid_unknown_fields=is_closed,
        gc=False,
        eq=False,
    )
