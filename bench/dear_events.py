"""Schemas within all limits of compiling, each with the dearest event for it that the limits of events let through.

Place: bench/dear.py measures them; tests/validators/test_steps.py holds that none takes more than the allowed steps.
Rule: an event has at most ``MOST_VALUES`` values, is at most ``MOST_BYTES`` long and has no number of more than
``MOST_DIGITS`` digits, as with the default limits (server.config.limit_settings).
Not here: the bound (validators.steps), limits of schemas (large_schemas).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Schema = dict[str, Any]

MOST_VALUES = 10_000
MOST_BYTES = 1_048_576
MOST_DIGITS = 1_000
N = 9_000

INTEGER: Schema = {"type": "integer"}


def _list(items: Any, **more: Any) -> Schema:
    return {"type": "object", "properties": {"x": {"type": "array", "items": items, **more}}}


def _map(**more: Any) -> Schema:
    return {"type": "object", "properties": {"x": {"type": "object", **more}}}


def _steps(n: int, first: int = 10_007) -> list[Schema]:
    return [{"multipleOf": first + i} for i in range(n)]


def _numbers(n: int = N) -> str:
    return json.dumps({"x": list(range(1, n + 1))})


def _same(item: str, n: int) -> str:
    return f'{{"x":[{",".join([item] * n)}]}}'


def _members(n: int, name: str = "n{}", value: str = "1") -> str:
    return "{" + ",".join(f'"{name.format(i)}":{value}' for i in range(n)) + "}"


def _in_x(text: str) -> str:
    return f'{{"x":{text}}}'


def _chain(schemas: list[Schema], last: Any) -> Any:
    made = last
    for each in reversed(schemas):
        made = {"if": each, "then": False, "else": made}
    return made


def _twice(keyword: str, n: int) -> Schema:
    """Definitions that each refer twice to the next, for one value: 2^n schemas."""
    made: Schema = {f"d{i}": {keyword: [{"$ref": f"#/definitions/d{i + 1}"}] * 2} for i in range(n)}
    return {**made, f"d{n}": {"multipleOf": 10_007}}


def _deep(text: str, n: int) -> str:
    return text * n + "1" + "".join("}" if each == "{" else "]" for each in reversed(text * n) if each in "[{")


TREE: Schema = {"$ref": "#/definitions/tree"}
PAIR: Schema = {"allOf": [{"items": TREE}, {"items": TREE}]}
HEAVY = "a[ab]{300}c"  # Its states run out of memory in RE2.

FAMILIES: dict[str, Callable[[], tuple[Schema, str]]] = {
    "anyOf in not, items": lambda: (_list({**INTEGER, "not": {"anyOf": _steps(80)}}), _numbers()),
    "anyOf, items": lambda: (_list({"anyOf": [*_steps(100), INTEGER]}), _numbers()),
    "anyOf, last item wrong": lambda: (_list({"anyOf": [*_steps(100), INTEGER]}), _numbers()[:-2] + ',""]}'),
    "oneOf, items": lambda: (_list({"oneOf": [*_steps(100), INTEGER]}), _numbers()),
    "allOf, items": lambda: (_list({"allOf": [{"multipleOf": 1 + i % 7} for i in range(120)]}), _same("420", N)),
    "allOf, bounds": lambda: (_list({"allOf": [{"minimum": -i} for i in range(600)]}), _same("1", N)),
    "if in else": lambda: (_list(_chain(_steps(30), INTEGER)), _numbers()),
    "not, items": lambda: (_list({"allOf": [{"not": each} for each in _steps(100)]}), _numbers()),
    "types": lambda: (_list({"anyOf": [{"type": "string"}] * 800 + [INTEGER]}), _numbers()),
    "contains": lambda: (_list({}, allOf=[{"not": {"contains": each}} for each in _steps(90)]), _numbers()),
    "uniqueItems": lambda: (_list(INTEGER, allOf=[{**_unique(), "items": INTEGER}] * 450), _numbers()),
    "uniqueItems of objects": lambda: (
        _list({"type": "object"}, maxItems=N, allOf=[{**_unique(), "maxItems": N}] * 650),
        _in_x("[" + ",".join(f'{{"a":{i}}}' for i in range(4_000)) + "]"),
    ),
    "uniqueItems at each level": lambda: (
        {"definitions": {"tree": {**_unique(), "maxItems": 9_000, "items": TREE}}, "properties": {"x": TREE}},
        _in_x("[" * 400 + ",".join(map(str, range(9_000))) + "]" * 400),
    ),
    "patternProperties": lambda: (
        _map(propertyNames={"maxLength": 99}, patternProperties={f"^a{i}b": INTEGER for i in range(700)}),
        _in_x(_members(9_000)),
    ),
    "patternProperties, long names": lambda: (
        _map(
            propertyNames={"maxLength": 99_999},
            patternProperties={f"{chr(97 + i % 26)}[xy]{{{i},{i + 1}}}z": INTEGER for i in range(99)},
        ),
        _in_x(_members(1_000, "n{}" + "xy" * 500)),
    ),
    "propertyNames": lambda: (
        _map(propertyNames={"anyOf": [{"const": f"a{i}"} for i in range(500)] + [{"maxLength": 99}]}),
        _in_x(_members(9_000)),
    ),
    "additionalProperties": lambda: (_map(additionalProperties={"anyOf": [*_steps(100), INTEGER]}), _in_x(_members(N))),
    "closed objects": lambda: (
        _map(anyOf=[{"additionalProperties": False}] * 640 + [{"minProperties": 1}]),
        _in_x(_members(N)),
    ),
    "additionalProperties, many properties": lambda: (
        _map(properties={f"p{i}": {} for i in range(1_000)}, additionalProperties={"not": {"type": "string"}}),
        _in_x(_members(N)),
    ),
    "required": lambda: (
        _list({"not": {"required": [f"r{i}" for i in range(9_000)]}}),
        _same("{}", 4_900),
    ),
    "required, typed": lambda: (
        _list(
            {
                "type": "object",
                "properties": {f"p{i}": {"type": "string", "pattern": "^a", "maxLength": 9} for i in range(340)},
            }
        ),
        _same("{}", 4_900),
    ),
    "dependencies": lambda: (
        _list({"dependencies": {"a": {"allOf": [{"dependencies": {"a": each}} for each in _objects(200)]}}}),
        _same('{"a":1}', 3_000),
    ),
    "objects, properties": lambda: (_list({"allOf": _objects(200)}), _same('{"a":1}', 4_500)),
    "lists in lists": lambda: (
        {
            **_list({"allOf": [{"items": {"$ref": "#/definitions/d"}}] * 30}),
            "definitions": {"d": {"allOf": [{"items": {"anyOf": [*_steps(9), INTEGER]}}] * 9}},
        },
        _in_x(json.dumps([[list(range(90))] * 10] * 9)),
    ),
    "references, doubled at each level": lambda: (
        {"definitions": {"tree": PAIR}, "properties": {"x": TREE}},
        _in_x(_deep("[", 24)),
    ),
    "references, doubled for one value": lambda: (
        {"definitions": _twice("anyOf", 8), "properties": {"x": {"items": {"$ref": "#/definitions/d0"}}}},
        _same("10007", 3_000).replace("10007]", "1]"),
    ),
    "enum of numbers": lambda: (_list({"not": {"enum": list(range(-3_000, 0))}}), _numbers()),
    "enum of numbers, typed": lambda: (_list({"enum": [*range(-3_000, 0), 1]}), _same("1", N)[:-2] + ",2]}"),
    "enum of objects": lambda: (
        _list({"not": {"enum": [{"a": {"b": [1, 2, i]}} for i in range(-500, 0)]}}),
        _same('{"a":{"b":[1,2,3]}}', 1_200),
    ),
    "enum of texts": lambda: (_list({"enum": [f"t{i}" for i in range(10_000)]}), _same('"t9999"', N)[:-2] + ',"u"]}'),
    "multipleOf of decimals": lambda: (
        _list({"not": {"anyOf": [{"multipleOf": i + 0.37} for i in range(80)]}}),
        _same("12345.678901", N),
    ),
    "multipleOf of long integers": lambda: (
        _list({"not": {"anyOf": [{"multipleOf": 10_007.5 + i} for i in range(80)]}}),
        _same("1" + "7" * 990, 1_000),
    ),
    "multipleOf of long integers, by integers": lambda: (
        _list({"not": {"anyOf": [{"multipleOf": 10**90 + i} for i in range(80)]}}),
        _same("1" + "7" * 990, 1_000),
    ),
    "patterns in a long text": lambda: (
        {
            "type": "object",
            "properties": {
                "x": {
                    "type": "string",
                    "maxLength": 2_000_000,
                    "not": {
                        "anyOf": [
                            {"maxLength": 2_000_000, "pattern": f"{chr(97 + i % 26)}[xy]{{{i},{i + 1}}}z"}
                            for i in range(99)
                        ]
                    },
                }
            },
        },
        _in_x('"' + "xy" * 500_000 + '"'),
    ),
    "a heavy pattern in a long text": lambda: (
        {"type": "object", "properties": {"x": {"type": "string", "maxLength": 2_000_000, "pattern": HEAVY}}},
        _in_x(f'"{_ab(1_000_000)}"'),
    ),
    "formats": lambda: (
        {
            "type": "object",
            "properties": {
                "x": {
                    "type": "string",
                    "maxLength": 2_000_000,
                    "anyOf": [
                        {"format": each, "maxLength": 2_000_000}
                        for each in ("uri", "hostname", "email", "ipv6", "uri-reference") * 30
                    ],
                }
            },
        },
        _in_x('"' + "a" * 1_000_000 + '|"'),
    ),
    "format of many texts, ipv6": lambda: (_formats("ipv6", 45), _same('"1:2:3:4:5:6:101.102.103.104"', N)),
    "format of many texts, email": lambda: (_formats("email", 45), _same('"a@[IPv6:2001:db8:1:2:3:4:5.6.7.8]"', N)),
    "format of many texts, regex": lambda: (_formats("regex", 45), _same('"(a|b)*[c-d]{2,3}"', N)),
    "const of objects": lambda: (
        _list({"allOf": [{"not": {"const": _object_of(90, i)}} for i in range(90)]}),
        _same(json.dumps(_object_of(90, -1)), 90),
    ),
    "maps in maps": lambda: (_nested_maps(40), _deep('{"a":', 40).replace("1", '"' + "x" * 1_000_000 + '"')),
    "defaults under if": lambda: (
        _list({"if": {"allOf": [{"minProperties": 0}] * 900}, "then": {"properties": {"d": {"default": 1}}}}),
        _same("{}", 4_900),
    ),
    "defaults in allOf": lambda: (
        _list({"allOf": [{"properties": {f"d{i}": {"default": 1}}} for i in range(20)]}),
        _same("{}", 4_900),
    ),
    "defaults of many lists": lambda: (
        _list({}, allOf=[{"items": {"properties": {"d": {"default": 1}}}}] * 400),
        _numbers()[:-1] + ',"y":"' + "y" * 900_000 + '"}',
    ),
    "defaults behind patterns": lambda: (
        _map(
            propertyNames={"maxLength": 99},
            patternProperties={f"a[ab]{{{200 + i}}}c": {"properties": {"d": {"default": 1}}} for i in range(40)},
        ),
        _in_x("{" + ",".join(f'"{i}{_ab(10_000)}":1' for i in range(99)) + "}"),
    ),
    "a typed schema's refusal": lambda: (
        _list(
            {
                "type": "object",
                "properties": {"a": {"anyOf": [{"type": "string", "minLength": i} for i in range(2, 302)]}},
            }
        ),
        _same('{"a":"b"}', 4_500),
    ),
}


def _ab(n: int) -> str:
    return "".join("ab"[i * i * 7919 % 8191 % 2] for i in range(n))


def _formats(name: str, n: int) -> Schema:
    return _list({"type": "string", "allOf": [{"format": name, "maxLength": 999 - i} for i in range(n)]})


def _object_of(n: int, last: int) -> dict[str, int]:
    return {**{f"k{i}": i for i in range(n)}, "z": last}


def _unique() -> Schema:
    return {"type": "array", "uniqueItems": True}


def _objects(n: int) -> list[Schema]:
    return [{"properties": {"a": {"minimum": -i}}} for i in range(n)]


def _nested_maps(n: int) -> Schema:
    made: Schema = {"type": "string"}
    for _ in range(n):
        made = {"type": "object", "properties": {"a": made}, "additionalProperties": {"type": "integer"}}
    return made
