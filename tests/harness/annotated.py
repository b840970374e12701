"""Random schemas with ``x-privacy``, and events of them whose withheld values are markers, for tests of privacy.

Rule: everything follows from the random generator that is given. A marker is a text or a number that occurs
nowhere else.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any

ACTIONS = ("drop", "hash", "truncate-ip", "coarse-time")
KINDS = ("string", "string", "integer", "object", "objects", "strings", "map", "pattern", "choice")


def schema_of(rng: random.Random, title: str, version: str) -> dict[str, Any]:
    """A schema with ``$schema``, ``meta``, a whole number ``n``, and properties some of which are annotated."""
    meta = {"type": "object", "properties": {"stream": {"type": "string"}, "dt": {"type": "string", "maxLength": 64}}}
    whole = {"title": title, "$id": f"/{title}/{version}", "type": "object", "required": ["$schema", "meta"]}
    mine = _properties(rng, 0)
    mine |= {
        "$schema": {"type": "string"},
        "meta": meta,
        "n": {"type": "integer"},
        "s": {"type": "string", **_word(rng)},
    }
    if rng.random() < 0.5:
        whole["required"] = [*whole["required"], "s"]
    return {**whole, "properties": mine}


def _word(rng: random.Random) -> dict[str, Any]:
    return {"x-privacy": rng.choice(ACTIONS)}


def _properties(rng: random.Random, depth: int) -> dict[str, Any]:
    return {f"{rng.choice('abcé')}{number}": _value(rng, depth) for number in range(rng.randint(1, 4))}


def _value(rng: random.Random, depth: int) -> dict[str, Any]:
    kind = rng.choice(KINDS if depth < 3 else KINDS[:3])
    is_scalar = kind in KINDS[:3]
    mark = _word(rng) if rng.random() < (0.6 if is_scalar else 0.2) else {}
    inner: dict[str, Any] = {"type": "object", "properties": {} if is_scalar else _properties(rng, depth + 1)}
    kinds: dict[str, dict[str, Any]] = {
        "string": {"type": "string"},
        "integer": {"type": "integer"},
        "object": inner,
        "objects": {"type": "array", "items": inner},
        "strings": {"type": "array", "items": {"type": "string", **_word(rng)}},
        "map": {"type": "object", "additionalProperties": {"type": "string", **_word(rng)}},
        "pattern": {
            "type": "object",
            "propertyNames": {"maxLength": 64},
            "patternProperties": {"^p": {"type": "string", **_word(rng)}},
        },
        "choice": {"anyOf": [{"type": "integer"}, inner]},
    }
    return mark | kinds[kind]


class Marked:
    """One valid event of a schema. ``markers`` are the withheld values in it, as they would be found in bytes;
    ``withheld`` are the properties that are annotated or hold one that is."""

    def __init__(self, rng: random.Random, schema: dict[str, Any], stream: str) -> None:
        self._rng = rng
        self.markers: list[str] = []
        self.withheld = {name for name, inner in schema["properties"].items() if "x-privacy" in json.dumps(inner)}
        self.event: dict[str, Any] = self._object(schema, False)
        self.event |= {"$schema": schema["$id"], "meta": {"stream": stream}, "n": 1}

    def text(self) -> bytes:
        """The event as JSON, with blanks, escapes in names, and names that occur twice, by chance."""
        return self._written(self.event).encode()

    def marker(self) -> str:
        """Return a new marker."""
        self.markers.append(f"mk{self._rng.getrandbits(64):016x}km")
        return self.markers[-1]

    def _object(self, schema: dict[str, Any], is_withheld: bool) -> dict[str, Any]:
        return {
            name: self._value(inner, is_withheld)
            for name, inner in schema["properties"].items()
            if name not in ("$schema", "meta", "n")
        }

    def _value(self, schema: dict[str, Any], is_withheld: bool) -> Any:
        is_withheld = is_withheld or "x-privacy" in schema
        if "anyOf" in schema:
            return self._value(schema["anyOf"][1], is_withheld)
        kind = schema["type"]
        if kind == "integer":
            return self._number(is_withheld)
        if kind == "string":
            return self.marker() if is_withheld else "shown"
        if kind == "array":
            return [self._value(schema["items"], is_withheld) for _ in range(self._rng.randint(1, 3))]
        if "properties" in schema:
            return self._object(schema, is_withheld)
        inner = schema.get("additionalProperties") or schema["patternProperties"]["^p"]
        return {f"p{number}": self._value(inner, is_withheld) for number in range(2)}

    def _number(self, is_withheld: bool) -> int:
        if not is_withheld:
            return 1
        number = self._rng.randrange(10**14, 10**15)
        self.markers.append(str(number))
        return number

    def _written(self, value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ",".join(self._members(value)) + "}"
        if isinstance(value, list):
            return "[" + ",".join(self._blank() + self._written(each) for each in value) + "]"
        return json.dumps(value, ensure_ascii=self._rng.random() < 0.5)

    def _members(self, value: dict[str, Any]) -> Iterator[str]:
        for name, inner in value.items():
            text = self._written(inner)
            if self._rng.random() < 0.1 and name not in ("$schema", "meta", "stream"):
                yield f"{self._name(name)}:{text}"
            yield f"{self._blank()}{self._name(name)}{self._blank()}:{text}"

    def _name(self, name: str) -> str:
        if self._rng.random() < 0.1:
            return '"' + "".join(f"\\u{ord(letter):04x}" for letter in name) + '"'
        return json.dumps(name, ensure_ascii=False)

    def _blank(self) -> str:
        return self._rng.choice(("", "", "", " ", "\n"))
