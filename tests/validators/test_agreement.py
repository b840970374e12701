"""The compiled function, the walk that explains it and an independent judge agree on any schema and any value."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from validators import SchemaError
from validators.judge.reference import Refused, check_schema, compile_schema
from validators.judge.validator import Validator
from validators.load.bundle import bundle
from validators.words.invalid import problems

pytestmark = pytest.mark.slow(reason="it compares three judges on generated schemas and events")

NAMES = st.sampled_from(["a", "b", "user-agent", "it's", "$id", "é", "a/b", "", "type"])
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 12)
    | st.sampled_from([2**53 + 1, 2**64, 10**30, 0.5, 1.0, 1e-7, -2.5])
    | st.sampled_from(["", "a", "ab", "abc", "a\n", "😀", "é", "2020-02-30", "2020-02-28", "1.2.3.4", "5", "٥"])
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=8
)
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "null", "object", "array"])
SMALL = st.integers(0, 3)
LIMITS = st.sampled_from([0, 1, 2.5, -1, 10, 2**53, 1e-7, 2.0])


def schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas of every keyword, around schemas that are already there."""
    keywords: dict[str, st.SearchStrategy[Any]] = {
        "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
        "enum": st.lists(VALUES, min_size=1, max_size=3, unique_by=lambda value: json.dumps(value, sort_keys=True)),
        "const": VALUES,
        "pattern": st.sampled_from(["^a", "b$", "^.$", r"^\d+$", r"\w", r"[^\w]", "", r"^\S*$"]),
        "format": st.sampled_from(["date", "ipv4", "uri-reference", "nothing", "email"]),
        "uniqueItems": st.booleans(),
        "required": st.lists(NAMES, max_size=3, unique=True),
        "multipleOf": st.sampled_from([1, 2, 3, 0.5, 2.0]),
        "dependencies": st.dictionaries(NAMES, inner | st.lists(NAMES, max_size=2, unique=True), max_size=2),
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "b$", "-", r"\w"]), inner, max_size=2),
        "properties": st.dictionaries(NAMES, inner, max_size=3),
        "items": inner | st.lists(inner, min_size=1, max_size=2),
    }
    keywords |= dict.fromkeys(("maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum"), LIMITS)
    keywords |= dict.fromkeys(
        ("maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties"), SMALL
    )
    keywords |= dict.fromkeys(("additionalProperties", "additionalItems", "contains", "propertyNames", "not"), inner)
    keywords |= dict.fromkeys(("if", "then", "else"), inner)
    keywords |= dict.fromkeys(("allOf", "anyOf", "oneOf"), st.lists(inner, min_size=1, max_size=3))
    chosen = st.lists(st.sampled_from(sorted(keywords)), max_size=5, unique=True)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({name: keywords[name] for name in names}))


BARE = st.booleans() | st.sampled_from([{}, {"title": "t"}, {"type": "string", "maxLength": 2}])
LEAVES = BARE | st.just({"$ref": "#/definitions/d"})
SCHEMAS = schemas(st.recursive(LEAVES, schemas, max_leaves=5))


def nothing(uri: str) -> Any:
    raise SchemaError("unknown_schema", uri)


@settings(derandomize=True, max_examples=400)
@given(schema=SCHEMAS, definition=schemas(BARE), values=st.lists(VALUES, min_size=6, max_size=6))
def test_all_three_judges_agree(schema: dict[str, Any], definition: dict[str, Any], values: list[Any]) -> None:
    schema |= {"definitions": {"d": definition}}
    whole = bundle(schema, "/a/b/1.0.0", nothing, check_schema)
    validate = compile_schema(whole, "/a/b/1.0.0")
    judge = jsonschema_rs.Draft7Validator(schema, validate_formats=True)
    for value in values:
        before = json.dumps(value)
        try:
            validate(value)
            verdict = True
        except Refused:
            verdict = False

        assert (not problems(whole, value)) == verdict, value
        assert judge.is_valid(value) == verdict, value
        assert json.dumps(value) == before


@settings(derandomize=True, max_examples=100)
@given(schema=SCHEMAS, values=st.lists(VALUES, min_size=3, max_size=3))
def test_no_refusal_is_without_words(schema: dict[str, Any], values: list[Any]) -> None:
    schema |= {"definitions": {"d": {"type": "integer"}}}
    whole = bundle(schema, "/a/b/1.0.0", nothing, check_schema)
    validator = Validator("/a/b/1.0.0", whole, compile_schema(whole, "/a/b/1.0.0"))
    for value in values:
        found = validator.check(json.dumps(value).encode()) or []

        assert "schema" not in [problem.keyword for problem in found]
