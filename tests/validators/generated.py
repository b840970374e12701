"""Schemas at random, of the keywords that real ones are made of, and values that are mostly valid by them.

Rule: the same seed gives the same schemas and values. What is rare in real schemas is rare here, but it is there.
Not here: values with one thing wrong (mutations).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

NAMES = [
    "a",
    "b",
    "c",
    "dt",
    "meta",
    "user-agent",
    "é",
    "a/b",
    "it's",
    "",
    "$id",
    "type",
    "class",
    "self",
    "f0",
    "日本",
]
# Names that code made of a schema might stumble over.
ODD_NAMES = [
    *(
        'x"y',
        "a\\b",
        "a\nb",
        "\x00",
        "__class__",
        "😀",
        "~0",
        "constructor",
        "__struct_fields__",
        "__init__",
        "{x}",
        "{",
    ),
    *(
        "f1",
        "x",
        "value",
        "None",
        "lambda",
        "_",
        "rest",
        "check",
        "'",
        "'" * 3,
        '"' * 3,
        "\\",
        "#",
        "%s",
        "\u2028",
        "A",
    ),
]
TEXTS = ["", "a", "ab", "abc", "A1", "a\n", "é", "éé", "😀", "😀😀", "5", "٥", "a b", "x-y", "true", "\x00", "null"]
NUMBERS: list[Any] = [
    *(0, 1, -1, 2, 3, 5, 7, 10, 100, 0.5, 1.5, -2.5, 0.1, 1.0, 2.0, 1e-7, 1e21, 255, 2**31, 2**53, 2**53 + 1),
    *(-(2**53) - 1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 2**64 + 1, 10**30, 1e300, -0.0),
]
PATTERNS = {
    "^a": ["a", "ab", "a\n"],
    "b$": ["b", "ab", "éb"],
    r"^\d+$": ["1", "123"],
    r"^[a-z]{1,3}$": ["a", "abc"],
    r"^\S*$": ["", "abc", "é"],
    r"^(en|de)wiki$": ["enwiki", "dewiki"],
    "": ["", "x"],
    r"\w": ["a", "_", "1"],
    "^.$": ["a", "😀", "é"],
    r"^/[A-Za-z0-9_.-]+/\d+\.\d+\.\d+$": ["/a/1.0.0", "/test-x/10.2.3"],
    r"[^\x00-\x7f]": ["é", "日本"],
}
FORMATS = {
    "date": ["2020-01-01", "2020-02-29", "1999-12-31", "2020-02-30", "2021-02-29"],
    "date-time": [
        *("2020-01-01T00:00:00Z", "2020-01-01T00:00:00.123Z", "2020-12-31T23:59:60Z", "2020-06-15t12:00:00z"),
        *("2020-01-31T10:00:00+01:00", "2020-02-29T00:00:00-23:59", "2020-01-01T00:00:00", "2020-01-01 00:00:00Z"),
    ],
    "time": ["00:00:00Z", "23:59:60Z", "12:30:00.5+01:00", "12:30:00"],
    "uri": ["https://a.b/c?d=e#f", "urn:a:b", "http://[::1]/", "http://a", "/a", "a b"],
    "uri-reference": ["/a/b/1.0.0", "", "#x", "https://a.b:80/%20", "//a", ":a", "a b"],
    "email": ["a@b", "a.b@c.de", '"a b"@c.d', "a@[127.0.0.1]", "@b"],
    "hostname": ["a", "a.b-c.d", "-a", "a_b"],
    "ipv4": ["127.0.0.1", "256.0.0.1", "1.2.3"],
    "ipv6": ["::1", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4", ":::"],
    "uuid": ["01234567-89ab-cdef-0123-456789abcdef", "0123"],
    "regex": ["^a+$", "(", ""],
    "nothing-known": ["x", ""],
}
TYPES = ["string", "integer", "number", "boolean", "null", "object", "array"]
ALIKE: list[Any] = [  # Pairs of which some are equal in JSON, some are not.
    *(
        (1, 1.0),
        (1, True),
        (0, False),
        (0, -0.0),
        (0, ""),
        ("1", 1),
        (None, 0),
        ([], {}),
        ("é", "e\u0301"),
        ([1], [True]),
    ),
    *(({"a": 1, "b": 2}, {"b": 2, "a": 1}), ({"a": 1}, {"a": 1.0}), ({"a": 1}, {"a": True}), ([1, 2], [2, 1])),
    *((2**53, 2.0**53), (2**53 + 1, 2.0**53), (2**64, 2.0**64), ([[0]], [[False]]), ("a", "a"), ([None], [None])),
]
ANYTHING: list[Any] = [None, True, False, 0, 1, 1.5, "", "a", [], [1, "a"], {}, {"a": 1}, {"b": {"c": [None]}}]


class Schemas:
    """Makes schemas. ``schema`` gives a whole one."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._kinds: list[tuple[Callable[[int], Any], int]] = [
            (self._object, 10),
            (self._map, 4),
            (self._array, 5),
            (self._string, 8),
            (self._number, 8),
            (self._enum, 4),
            (self._plain, 4),
            (self._several, 4),
            (self._untyped, 1),
            (self._combined, 1),
            (self._reference, 2),
        ]
        self._makers = [maker for maker, _ in self._kinds]
        self._weights = [weight for _, weight in self._kinds]

    def schema(self) -> dict[str, Any]:
        """One schema, an object of some depth in most cases."""
        made = self._object(3) if self._rng.random() < 0.75 else self._any(3)
        if not isinstance(made, dict):
            made = {"allOf": [made]}
        definition = self._any(1)
        if _refers(definition):  # It may only refer to itself below: a cycle that reads nothing is no schema.
            definition = {"type": "object", "properties": {"a": {"$ref": "#/definitions/d"}, "b": self._plain(0)}}
        return made | {"definitions": {"d": definition}}

    def _chance(self, share: float) -> bool:
        return self._rng.random() < share

    def _any(self, depth: int) -> Any:
        makers = self._makers if depth > 0 else self._makers[3:7]
        made = self._rng.choices(makers, self._weights if depth > 0 else self._weights[3:7])[0](depth - 1)
        if isinstance(made, dict) and "$ref" not in made and self._chance(0.05):
            made |= self._rng.choice([{"title": "t"}, {"default": 1}, {"mexLength": 3}, {"examples": [{"type": 5}]}])
        return made

    def _name(self) -> str:
        return self._rng.choice(ODD_NAMES if self._chance(0.08) else NAMES)

    def _names(self, most: int) -> list[str]:
        return list(dict.fromkeys(self._name() for _ in range(self._rng.randrange(most + 1))))

    def _sizes(self, what: str, most: int) -> dict[str, int]:
        low, high = self._rng.randrange(3), self._rng.randrange(1, most)
        return self._maybe({f"min{what}": low}, 0.3) | self._maybe({f"max{what}": high}, 0.4)

    def _maybe(self, words: dict[str, Any], share: float) -> dict[str, Any]:
        return words if self._chance(share) else {}

    def _object(self, depth: int) -> dict[str, Any]:
        properties = {name: self._any(depth) for name in self._names(5)}
        required = [name for name in properties if self._chance(0.4)]
        if self._chance(0.05):
            required.append(self._name())
        made: dict[str, Any] = {"type": "object"} | self._maybe({"properties": properties}, 0.95)
        made |= {"required": list(dict.fromkeys(required))} if required else {}
        made |= self._maybe({"additionalProperties": self._rng.choice([False, False, True, {}, self._any(0)])}, 0.5)
        if self._chance(0.08):
            made |= self._sizes("Properties", 5)
        if self._chance(0.04):
            made["propertyNames"] = self._rng.choice([{"maxLength": 3}, {"pattern": "^[a-z]"}, {"enum": ["a", "b"]}])
        if self._chance(0.03):
            made["patternProperties"] = {self._rng.choice(["^a", "b$", "é", "^[a-z]$"]): self._any(0)}
        if self._chance(0.02):
            made["dependencies"] = {self._name(): self._rng.choice([self._names(2), self._any(0)])}
        if self._chance(0.1):
            made["type"] = ["object", "null"]
        return made

    def _map(self, depth: int) -> dict[str, Any]:
        made = {"type": "object", "additionalProperties": self._any(depth)} | self._sizes("Properties", 4)
        return made | self._maybe({"propertyNames": {"maxLength": 4, "minLength": 1}}, 0.15)

    def _array(self, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {"type": "array"} | self._maybe({"items": self._any(depth)}, 0.9)
        made |= self._sizes("Items", 4) | self._maybe({"uniqueItems": True}, 0.25)
        if self._chance(0.03):
            made |= {"items": [self._any(0), self._any(0)], "additionalItems": self._any(0)}
        return made | self._maybe({"contains": self._any(0)}, 0.03)

    def _string(self, _depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {"type": "string"} | self._sizes("Length", 6)
        made |= self._maybe({"pattern": self._rng.choice(list(PATTERNS))}, 0.3)
        if self._chance(0.35):
            made["format"] = self._rng.choice(list(FORMATS))
            made.pop("maxLength", None)
        return made

    def _number(self, _depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {"type": self._rng.choice(["integer", "integer", "number"])}
        for word in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
            made |= self._maybe({word: self._rng.choice(NUMBERS)}, 0.2)
        return made | self._maybe({"multipleOf": self._rng.choice([1, 2, 3, 0.5, 2.0, 0.01, 7, 1e-7, 2**53])}, 0.12)

    def _enum(self, _depth: int) -> dict[str, Any]:
        values = (
            self._rng.sample([*TEXTS, *ODD_NAMES], 3)
            if self._chance(0.5)
            else self._rng.sample([*ANYTHING, *TEXTS, *NUMBERS], 3)
        )
        values = [each for i, each in enumerate(values) if each not in values[:i]]
        made = {"enum": values} if self._chance(0.7) else {"const": values[0]}
        return made | self._maybe({"type": self._rng.choice(["string", "integer", "string", ["string", "null"]])}, 0.4)

    def _plain(self, _depth: int) -> Any:
        return self._rng.choice([{"type": "boolean"}, {"type": "null"}, {}, True, {"type": "string"}, False])

    def _several(self, depth: int) -> dict[str, Any]:
        made = self._rng.choice([self._string, self._number, self._array, self._map, self._object])(depth)
        kinds = [made["type"]] if isinstance(made["type"], str) else made["type"]
        more = ["null"] if self._chance(0.6) else self._rng.sample(TYPES, 2)
        return made | {"type": list(dict.fromkeys([*kinds, *more]))}

    def _untyped(self, depth: int) -> Any:
        made = self._any(depth)
        return {word: value for word, value in made.items() if word != "type"} if isinstance(made, dict) else made

    def _combined(self, depth: int) -> dict[str, Any]:
        word = self._rng.choice(["anyOf", "oneOf", "allOf", "not", "if"])
        if word == "not":
            return {"not": self._any(depth)}
        if word == "if":
            return {"if": self._any(0), "then": self._any(0), "else": self._any(0)}
        return self._rng.choice([{}, {"type": "object"}]) | {word: [self._any(depth) for _ in range(2)]}

    def _reference(self, _depth: int) -> dict[str, Any]:
        return {"$ref": "#/definitions/d"}


def _refers(schema: Any) -> bool:
    return "$ref" in json.dumps(schema)


class Values:
    """Makes values for one schema. They are mostly valid; nobody promises it."""

    def __init__(self, whole: dict[str, Any], rng: Random) -> None:
        self._whole = whole
        self._rng = rng

    def value(self) -> Any:
        """One value for the whole schema."""
        return self._of(self._whole, 6)

    def _of(self, schema: Any, depth: int) -> Any:
        rng = self._rng
        if not isinstance(schema, dict) or depth == 0 or rng.random() < 0.02:
            return rng.choice(ANYTHING)
        if "$ref" in schema:
            return self._of(self._whole["definitions"]["d"], depth - 1)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return rng.choice(schema["enum"])
        kinds = schema.get("type") or self._implied(schema)
        kind = rng.choice(kinds) if isinstance(kinds, list) else kinds
        makers: dict[str, Callable[[dict[str, Any], int], Any]] = {
            "object": self._object,
            "array": self._array,
            "string": self._string,
            "integer": self._number,
            "number": self._number,
        }
        if kind in makers:
            return makers[kind](schema, depth)
        return None if kind == "null" else rng.choice([True, False]) if kind == "boolean" else rng.choice(ANYTHING)

    def _implied(self, schema: dict[str, Any]) -> str:
        if "properties" in schema or "required" in schema:
            return "object"
        if "items" in schema or "uniqueItems" in schema:
            return "array"
        return "string" if {"pattern", "format", "maxLength", "minLength"} & schema.keys() else "any"

    def _object(self, schema: dict[str, Any], depth: int) -> dict[str, Any]:
        rng, made = self._rng, {}
        required = schema.get("required", ())
        rest = schema.get("additionalProperties", True)
        for name, inner in schema.get("properties", {}).items():
            if name in required or rng.random() < 0.6:
                made[name] = self._of(inner, depth - 1)
        for name in required:
            if name not in made:
                made[name] = self._of(rest, depth - 1)
        if rest is not False:
            wanted = schema.get("minProperties", 0) + rng.randrange(2)
            for name in rng.sample(NAMES, min(max(0, wanted - len(made)), len(NAMES))):
                made.setdefault(name, self._of(rest, depth - 1))
        return made

    def _array(self, schema: dict[str, Any], depth: int) -> list[Any]:
        low = schema.get("minItems", 0)
        count = self._rng.randint(low, max(low, min(schema.get("maxItems", 4), 4)))
        items = schema.get("items", True)
        if isinstance(items, list):
            return [self._of(each, depth - 1) for each in items]
        if "uniqueItems" in schema and self._rng.random() < 0.4:
            return list(self._rng.choice(ALIKE))
        return [self._of(items, depth - 1) for _ in range(count)]

    def _string(self, schema: dict[str, Any], _depth: int) -> str:
        if "format" in schema:
            return self._rng.choice(FORMATS[schema["format"]])
        if "pattern" in schema:
            return self._rng.choice(PATTERNS[schema["pattern"]])
        low = schema.get("minLength", 0)
        text = self._rng.choice(TEXTS)
        while len(text) < low:
            text += self._rng.choice("aé😀0")
        return text[: schema.get("maxLength", 1_000)]

    def _number(self, schema: dict[str, Any], _depth: int) -> Any:
        near = [
            schema[word] for word in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum") if word in schema
        ]
        value = self._rng.choice([*near, *NUMBERS[:12]]) if near else self._rng.choice(NUMBERS)
        if "multipleOf" in schema:
            value = schema["multipleOf"] * self._rng.choice([-3, -1, 0, 1, 3, 7, 1901, 2**60 + 1])
        if self._rng.random() < 0.5:
            value += self._rng.choice([0, 1, -1])
        return int(value) if schema.get("type") == "integer" and abs(value) < 1e30 else value
