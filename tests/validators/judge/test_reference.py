"""The compiled function judges rightly, changes nothing, and cannot be made to run what a schema says."""

from __future__ import annotations

import copy
import json
from typing import Any
from urllib.parse import quote

import pytest

from validators import SchemaError
from validators.judge.reference import Refused, Validate, check_schema, compile_schema
from validators.load.bundle import bundle
from validators.words.invalid import problems


def bundled(schema: dict[str, Any]) -> dict[str, Any]:
    def nothing(uri: str) -> Any:
        raise SchemaError("unknown_schema", uri)

    return bundle(schema, "/a/b/1.0.0", nothing, check_schema)


def compiled(schema: dict[str, Any]) -> Validate:
    return compile_schema(bundled(schema), "/a/b/1.0.0")


def accepts(schema: dict[str, Any], value: Any) -> bool:
    """Ask the compiled function, and hold the walk to its answer."""
    whole = bundled(schema)
    try:
        compile_schema(whole, "/a/b/1.0.0")(value)
    except Refused:
        assert problems(whole, value) != []
        return False
    assert problems(whole, value) == []
    return True


D4 = {"$schema": "http://json-schema.org/draft-04/schema#"}


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        ({"type": "integer"}, [1, 1.0, 10**400, -0.0], [1.5, True, "1", None]),
        (D4 | {"type": "integer"}, [1, 1.0], [1.5]),
        ({"type": "number"}, [1, 1.5], [True, "1"]),
        ({"type": "boolean"}, [True], [1, 0]),
        ({"const": 1}, [1, 1.0], [True, "1"]),
        ({"const": True}, [True], [1, 1.0]),
        ({"const": {"a": [0, False]}}, [{"a": [0.0, False]}], [{"a": [False, 0]}]),
        ({"const": 1, "enum": [1, 2]}, [1], [2]),
        ({"enum": [[], {}, None]}, [[], {}, None], [False, 0, ""]),
        ({"maxLength": 2}, ["😀😀", "é́"[:2]], ["😀😀😀"]),
        ({"maxLength": 2.0}, ["ab"], ["abc"]),
        ({"maximum": 9007199254740993}, [9007199254740993], [9007199254740994]),
        ({"minimum": 2**70}, [2**70], [2**70 - 1]),
        ({"exclusiveMaximum": 10}, [9], [10]),
        (D4 | {"maximum": 10, "exclusiveMaximum": True}, [9], [10]),
        (D4 | {"maximum": 10, "exclusiveMaximum": False}, [10], [11]),
        ({"multipleOf": 0.01}, [19.01, 1, 0], [19.011]),
        ({"multipleOf": 2.0}, [2**70, 4.0], [2**70 + 1, 3]),
        ({"multipleOf": 2}, [4, 0.0, -2.0, 1e300], [5e-324, 1e-310, 0.5, 3.0]),
        ({"pattern": "^\\d$"}, ["1"], ["1\n", "١"]),
        ({"pattern": "^a$|b\\$"}, ["a", "b$"], ["a\n", "b"]),
        (
            {"patternProperties": {"a$": {"type": "null"}, "a\\$": {}, "[a]$": {"const": None}}},
            [{"a\n": 1, "a": None}],
            [{"a": 1}],
        ),
        ({"patternProperties": {"\\d": {"type": "null"}, "[0-9]": {"const": 1}}}, [{"a": 1}], [{"1": 1}, {"1": None}]),
        ({"uniqueItems": True}, [[1, True, "1", [1], {"a": 1}], []], [[1, 1.0], [{"a": 1, "b": 2}, {"b": 2, "a": 1}]]),
        ({"uniqueItems": False}, [[1, 1]], []),
        ({"required": ["b"], "additionalProperties": False}, ["x"], [{}, {"b": 1}]),
        ({"required": ["b"], "additionalProperties": False, "patternProperties": {"b": {}}}, [{"b": 1}], [{}]),
        ({"additionalProperties": {"title": "x"}, "properties": {}}, [{"b": 1}], []),
        ({"items": {"title": "x"}, "additionalItems": False}, [[1]], []),
        ({"additionalItems": {"type": "string"}}, [[1]], []),
        ({"contains": {"title": "x"}}, [[1]], [[]]),
        ({"contains": False}, ["x"], [[], [1]]),
        ({"propertyNames": False}, [{}], [{"a": 1}]),
        ({"propertyNames": {"format": "date"}}, [{"2020-01-01": 1}], [{"x": 1}]),
        ({"not": {"title": "x"}}, [], [1]),
        ({"not": False}, [1], []),
        ({"if": {"type": "string"}}, [1, "a"], []),
        ({"then": False, "else": False}, [1], []),
        ({"if": True, "then": {"type": "string"}}, ["a"], [1]),
        ({"if": {"type": "string"}, "else": {"type": "integer"}}, ["a", 1], [None]),
        ({"anyOf": [False, {"title": "x"}]}, [1], []),
        ({"oneOf": [True, {}]}, [], [1]),
        ({"allOf": [False]}, [], [1, None]),
        (
            {"dependencies": {"a": [], "b": False, "c": {"required": ["d"]}, "e": ["f"]}},
            [{"a": 1}],
            [{"b": 1}, {"c": 1}, {"e": 1}],
        ),
        ({"contentEncoding": "base64", "contentMediaType": "application/json"}, ["{", "%"], []),
        ({"format": "nothing-we-know"}, ["x"], []),
        ({"format": "idn-hostname"}, ["-- --"], []),
        ({"format": "date"}, ["2020-01-01", 5], ["x", "2020-02-30"]),
        ({"type": ["integer", "null"], "minimum": 0}, [None, 3], [-1, "x"]),
        ({"properties": {"a": {"default": 5}, "b": {"properties": {"c": {"default": 1}}}}}, [{}, {"b": {}}], []),
        ({"items": [{"default": 1}]}, [[]], []),
    ],
    ids=lambda value: json.dumps(value)[:50] if isinstance(value, dict) else "",
)
def test_a_keyword_means_what_draft_07_says(schema: dict[str, Any], right: list[Any], wrong: list[Any]) -> None:
    assert [value for value in right if not accepts(schema, value)] == []
    assert [value for value in wrong if accepts(schema, value)] == []


def test_defaults_are_never_written() -> None:
    schema = {
        "properties": {"a": {"default": 5}, "b": {"properties": {"c": {"default": 1}}}},
        "items": [{"default": 1}],
    }
    validate = compiled(schema)
    values: list[Any] = [{}, {"b": {}}, []]
    for value in values:
        before = copy.deepcopy(value)
        validate(value)

        assert value == before


@pytest.mark.parametrize(
    "keyword", ["properties", "items", "anyOf", "not", "contains", "patternProperties", "additionalProperties"]
)
def test_depth_meets_no_bound_of_pythons_compiler(keyword: str) -> None:
    schema: dict[str, Any] = {"type": "integer"}
    value: Any = "text"
    for _ in range(45):
        if keyword in ("properties", "patternProperties"):
            schema, value = {keyword: {"a": schema}}, {"a": value}
        elif keyword == "additionalProperties":
            schema, value = {keyword: schema}, {"a": value}
        elif keyword in ("items", "contains"):
            schema, value = {keyword: schema}, [value]
        else:
            schema = {keyword: [schema] if keyword == "anyOf" else schema}
    if keyword == "not":
        schema = {"not": schema}

    assert accepts(schema, value) is False


HOSTILE = [
    '"',
    "'",
    "\\",
    '\\"',
    '\\\\"',
    '"""',
    "'''",
    "{",
    "}",
    "{}",
    "{0}",
    "{data}",
    "{variable}",
    "{data.__class__}",
    "}{",
    "{{",
    "{{x}}",
    "\n",
    "\r\n",
    "\\n",
    "\t",
    "\x00",
    "\x1f",
    "\x85",
    "\u2028",
    "\u2029",
    "é",
    "😀",
    "%s",
    "%(x)s",
    "#",
    "a\nb",
    '");raise SystemExit("',
    "');raise SystemExit('",
    '"+str(1/0)+"',
    "'+str(1/0)+'",
    '\\");raise SystemExit("',
    '\nraise SystemExit("',
    '"]\n    raise SystemExit\n    x["',
    "\\\nraise SystemExit",
    '{__import__("os")}',
    "$",
    "$ref",
    "$id",
    "data",
    "data_keys",
    "_keys",
    "keys",
    "__missing_keys",
    "a-b",
    "a.b",
    "a b",
    "ab",
    "def",
    "None",
    "custom_formats",
    "name_prefix",
    "REGEX_PATTERNS",
    "x" * 500,
    "\\u0022",
    "\\x22",
    "\\N{QUOTATION MARK}",
    "${x}",
    "`",
    ";",
    ":",
    ",",
    "(",
    ")",
    "[",
    "]",
    "",
]


@pytest.mark.slow(reason="it compiles a schema for each place that a text can stand in")
@pytest.mark.parametrize("text", HOSTILE)
def test_text_of_a_schema_stays_text(text: str) -> None:
    """Wherever a schema can say something, it can say anything: it is compared, never run."""
    schema: dict[str, Any] = {
        "title": text,
        "description": text,
        "$comment": text,
        text + "?": text,
        "properties": {
            text: {"type": "object", "properties": {text: {"items": {"properties": {text: {"type": "null"}}}}}},
            "ref": {"$ref": "#/definitions/d"},
            "enum": {"enum": [text, {text: [text]}]},
            "const": {"const": {text: {text: text}}},
            "format": {"format": text},
            "deep": {"additionalProperties": {"additionalProperties": False, "properties": {text: {"type": "string"}}}},
            "pattern": {"pattern": "".join(f"\\u{{{ord(each):x}}}" for each in text) + "$"},
            "tuple": {"items": [{"required": [text, "x"]}]},
        },
        "required": [text, text + "!"],
        "dependencies": {text: [text], text + "!": {"required": [text]}, text + "?": False},
        "patternProperties": {"".join(f"\\u{{{ord(each):x}}}" for each in text) + "!$": {"type": "boolean"}},
        "propertyNames": {"maxLength": 600},
        "additionalProperties": {"enum": [text]},
        "definitions": {"d": {"properties": {text: {"$ref": "#/definitions/d"}}, "required": [text]}},
    }
    right: dict[str, Any] = {
        text: {text: [{text: None}]},
        text + "!": True,
        "enum": {text: [text]},
        "const": {text: {text: text}},
        "format": text,
        "deep": {"any": {text: "x"}},
        "pattern": text,
        "tuple": [{text: 1, "x": 1}],
    }

    assert accepts(schema, right), problems(bundled(schema), right)
    assert accepts(schema, {text: {text: [{text: 1}]}, text + "!": True}) is False
    assert accepts(schema, {text: {}, text + "!": 1}) is False
    assert accepts(schema, {text + "!": True}) is False
    assert accepts(schema, right | {"enum": text + " "}) is False
    assert accepts(schema, right | {"const": {text: text}}) is False
    assert accepts(schema, right | {"deep": {"any": {text: 1}}}) is False
    assert accepts(schema, right | {"tuple": [{}]}) is False
    assert accepts(schema, right | {"other": text + " "}) is False
    assert accepts(schema, right | {text + "?": 1}) is False


def test_properties_whose_names_look_alike_in_code_stay_apart() -> None:
    names = ["a-b", "ab", "a_b", "a b", "é", "ü", "", "_", "a", "b", "a__b"]
    schema = {
        "properties": {name: {"properties": {"x": {"const": i}, "": {"const": i}}} for i, name in enumerate(names)}
    }

    assert accepts(schema, {name: {"x": i, "": i} for i, name in enumerate(names)})
    for i, name in enumerate(names):
        assert not accepts(schema, {other: {"x": j + (other == name)} for j, other in enumerate(names)}), i


def test_definitions_whose_names_look_alike_in_code_stay_apart() -> None:
    names = ["a-b", "a_b", "A_b", "a b", 'a"b']
    schema = {
        "definitions": {name: {"const": i} for i, name in enumerate(names)},
        "properties": {str(i): {"$ref": "#/definitions/" + quote(name)} for i, name in enumerate(names)},
    }

    assert accepts(schema, {str(i): i for i in range(len(names))})
    assert not any(accepts(schema, {str(i): i + 1}) for i in range(len(names)))


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "text"},
        {"required": "a"},
        {"properties": []},
        {"maxLength": -1},
        {"maxLength": "1); import os #"},
        {"minimum": "0"},
        {"multipleOf": 0},
        {"pattern": "("},
        {"patternProperties": {"(": {}}},
        {"items": 5},
        {"exclusiveMaximum": True},
        D4 | {"exclusiveMaximum": 5},
        {"$ref": 5},
        {"enum": "x"},
        {"format": 5},
        {"additionalProperties": "x"},
        {"allOf": []},
        {"dependencies": {"a": 5}},
        {"$id": 5},
        {"definitions": {"a": {"type": 7}}},
    ],
    ids=json.dumps,
)
def test_what_its_meta_schema_refuses_is_not_compiled(schema: dict[str, Any]) -> None:
    with pytest.raises(SchemaError) as caught:
        compiled(schema)

    assert caught.value.error_type == "schema_unavailable"


def test_an_enum_of_many_values_compiles() -> None:
    values = [f"value {i}" for i in range(5_000)]
    validate = compiled({"enum": values})

    assert validate(values[-1]) == values[-1]


def test_a_name_is_bounded_before_it_is_searched() -> None:
    schema = {"patternProperties": {"a*a*a*b": False}, "propertyNames": {"maxLength": 10}}
    validate = compiled(schema)

    with pytest.raises(Refused):
        validate({"a" * 1_000_000: 1})


def test_a_text_is_bounded_before_it_is_searched() -> None:
    validate = compiled({"pattern": "a*a*a*b", "maxLength": 10})

    with pytest.raises(Refused):
        validate("a" * 1_000_000)
