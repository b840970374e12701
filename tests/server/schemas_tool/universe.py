"""Small schemas, and every small value: what one schema takes and another refuses is found by trying them all."""

from __future__ import annotations

import itertools
from typing import Any, Final

from hypothesis import strategies as st

NAMES: Final = ("a", "b")
SCALARS: Final = (None, False, True, -1, 0, 1, 2, 3, 6, 0.5, 1.5, "", "a", "b", "ab", "abc", "2021-01-01", "A-1")
_FEW: Final = (None, True, 0, 1, 2, 1.5, "", "a", "ab", "2021-01-01")


def _values() -> list[Any]:
    lists: list[Any] = [[], *([one] for one in _FEW), *(list(pair) for pair in itertools.product(_FEW[2:8], repeat=2))]
    lists += [[1, 2, 0], ["a", "ab", "a"], [1, 1, 1], [{}], [[]], [{"a": 1}]]
    inner: list[Any] = [*_FEW, *lists[:6], {}, {"a": 1}, {"b": "a"}, {"c": None}, {"a": 1, "b": "ab"}]
    objects: list[Any] = [{}, *({name: value} for name in (*NAMES, "c") for value in (*inner, *SCALARS))]
    objects += [{"a": first, "b": second} for first, second in itertools.product(inner, repeat=2)]
    objects += [{"a": one, "b": one, "c": one} for one in _FEW]
    return [*SCALARS, *lists, *objects]


VALUES: Final = _values()

_NUMBERS = st.sampled_from([-1, 0, 1, 2, 3, 0.5, 1.5])
_COUNTS = st.sampled_from([0, 1, 2, 3])
_PATTERNS = st.sampled_from(["^a", "b$", "^[a-z]+$", "^.{1,2}$", "[0-9]"])
_TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
# The formats that the service asserts and other validators assert in the same way.
_LEAVES: dict[str, st.SearchStrategy[Any]] = {
    "type": _TYPES | st.lists(_TYPES, min_size=1, max_size=3, unique=True),
    "enum": st.lists(st.sampled_from(SCALARS), min_size=1, max_size=4, unique_by=repr),
    "const": st.sampled_from(SCALARS),
    "minimum": _NUMBERS,
    "maximum": _NUMBERS,
    "exclusiveMinimum": _NUMBERS,
    "exclusiveMaximum": _NUMBERS,
    "multipleOf": st.sampled_from([1, 2, 3, 0.5, 1.5]),
    "minLength": _COUNTS,
    "maxLength": _COUNTS,
    "pattern": _PATTERNS,
    "format": st.sampled_from(["date", "uuid"]),
    "required": st.lists(st.sampled_from([*NAMES, "c"]), max_size=2, unique=True),
    "minProperties": _COUNTS,
    "maxProperties": _COUNTS,
    "minItems": _COUNTS,
    "maxItems": _COUNTS,
    "uniqueItems": st.booleans(),
}


def _deeper(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    named = st.dictionaries(st.sampled_from([*NAMES, "c"]), inner, max_size=2)
    branches = st.lists(inner, min_size=1, max_size=2)
    holding: dict[str, st.SearchStrategy[Any]] = {
        "properties": named,
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b"]), inner, max_size=1),
        "additionalProperties": inner,
        "propertyNames": st.fixed_dictionaries({}, optional={"pattern": _PATTERNS, "maxLength": _COUNTS}),
        "dependencies": st.dictionaries(
            st.sampled_from(NAMES), inner | st.lists(st.sampled_from(NAMES), max_size=2, unique=True), max_size=1
        ),
        "items": inner | st.lists(inner, min_size=1, max_size=2),
        "additionalItems": inner,
        "contains": inner,
        "allOf": branches,
        "anyOf": branches,
        "oneOf": branches,
        "not": inner,
        "if": inner,
        "then": inner,
        "else": inner,
    }
    return _some({**_LEAVES, **holding})


@st.composite
def _some(draw: st.DrawFn, keywords: dict[str, st.SearchStrategy[Any]]) -> dict[str, Any]:
    words = draw(st.lists(st.sampled_from(list(keywords)), max_size=4, unique=True))
    return {word: draw(keywords[word]) for word in words}


_ANY: st.SearchStrategy[Any] = st.recursive(st.booleans() | _some(_LEAVES), _deeper, max_leaves=5)
SCHEMAS: Final[st.SearchStrategy[dict[str, Any]]] = _ANY.filter(lambda schema: isinstance(schema, dict))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draw two schemas: often the second is the first with one place changed, as in a review."""
    old = draw(SCHEMAS)
    if draw(st.booleans()):
        return old, draw(SCHEMAS)
    return old, _changed(draw, old)


def _changed(draw: st.DrawFn, schema: dict[str, Any]) -> dict[str, Any]:
    inner = [word for word, value in schema.items() if isinstance(value, dict) and word not in ("const", "enum")]
    way = draw(st.integers(0, 2))
    if inner and way == 0:
        word = draw(st.sampled_from(inner))
        return {**schema, word: _changed_below(draw, word, schema[word])}
    changed = dict(schema)
    if changed and way == 1:
        del changed[draw(st.sampled_from(list(changed)))]
    return {**changed, **draw(SCHEMAS)}


def _changed_below(draw: st.DrawFn, word: str, value: dict[str, Any]) -> dict[str, Any]:
    if word not in ("properties", "patternProperties", "dependencies"):
        return _changed(draw, value)
    if not value:
        return value
    name = draw(st.sampled_from(list(value)))
    return {**value, name: _changed(draw, value[name]) if isinstance(value[name], dict) else value[name]}


def rewritten(draw: st.DrawFn, schema: Any) -> Any:
    """Write a schema in another way that judges every value alike."""
    if not isinstance(schema, dict):
        return schema
    found = {word: _same(draw, word, schema[word]) for word in draw(st.permutations(list(schema)))}
    match draw(st.integers(0, 4)):
        case 0:
            return {"allOf": [found]}
        case 1:
            return {**found, "description": "a description", "default": 1}
        case 2:
            return {"minLength": 0, "minItems": 0, **found}
    return found


def _same(draw: st.DrawFn, word: str, value: Any) -> Any:
    if word == "type":
        return draw(st.permutations(value)) if isinstance(value, list) else [value]
    if word in ("enum", "required"):
        return draw(st.permutations(value))
    if word in ("properties", "patternProperties") and isinstance(value, dict):
        return {name: rewritten(draw, value[name]) for name in draw(st.permutations(list(value)))}
    if word in ("allOf", "anyOf", "oneOf"):
        return [rewritten(draw, each) for each in value]
    if word in ("items", "additionalProperties", "additionalItems", "contains", "not", "if", "then", "else"):
        return rewritten(draw, value)
    return value


@st.composite
def rewritings(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """Draw a schema, and the same one written in another way."""
    schema = draw(SCHEMAS)
    return schema, rewritten(draw, schema)
