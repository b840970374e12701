"""Rewrite a bundle into a schema that fastjsonschema compiles correctly and safely.

Place: bundle → HERE → reference.
Rules:
1. The result holds only keywords that assert something, each with a value of the form that draft-07 gives it. Where
   fastjsonschema turns a name into code, the name is made here: definitions are named ``d0``, ``d1`` and so on.
   Patterns get names too, ``r0``, ``r1`` and so on; function_source supplies the compiled expressions.
2. It accepts exactly the events that the bundle accepts (invalid walks the bundle; a test compares the two).
3. Each deviation of fastjsonschema 2.22 is explained below, where it is corrected.
Not here: whether the schema is a good one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from validators.formats.asserted import FORMATS
from validators.load.bundle import target_of

# Python compiles at most 20 nested loops and tries and 100 levels of indentation. A level of a schema costs up to two
# of the former and four of the latter. Deeper parts become functions of their own.
MAX_NESTING = 6

# fastjsonschema writes a comparison for each value of an enum, with the whole path of the compared value. So the texts
# of a longer enum are looked up in a set, under the name of a format; any other long enum becomes a function of its
# own, where the path is one word.
MAX_VALUES = 20

_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")


class Mended(NamedTuple):
    """The schema for fastjsonschema, and the expressions and enum texts that names in it stand for."""

    schema: dict[str, Any]
    patterns: dict[str, str]
    texts: dict[str, frozenset[str]]


def mend(whole: dict[str, Any]) -> Mended:
    """Rewrite a bundle."""
    return _Mender(whole).run()


class _Mender:
    def __init__(self, whole: dict[str, Any]) -> None:
        self._whole = whole
        self._names: dict[str, str] = {}
        self._waiting: list[tuple[str, Any]] = []
        self._count = 0
        self._patterns: dict[str, str] = {}
        self._texts: dict[str, frozenset[str]] = {}

    def run(self) -> Mended:
        made = self._schema(self._whole, 0)
        definitions: dict[str, Any] = {}
        while self._waiting:
            name, schema = self._waiting.pop()
            definitions[name] = self._schema(schema, 0)
        root: dict[str, Any] = {"$schema": "http://json-schema.org/draft-07/schema#"}
        root |= made if isinstance(made, dict) else {"allOf": [made]}
        if definitions:
            root["definitions"] = definitions
        return Mended(root, {name: text for text, name in self._patterns.items()}, self._texts)

    def _pattern(self, text: str) -> str:
        return self._patterns.setdefault(text, f"r{len(self._patterns)}")

    def _function(self, schema: Any) -> dict[str, Any]:
        name = f"d{self._count}"
        self._count += 1
        self._waiting.append((name, schema))
        return {"$ref": f"#/definitions/{name}"}

    def _reference(self, ref: str) -> dict[str, Any]:
        if ref not in self._names:
            self._names[ref] = self._function(target_of(self._whole, ref))["$ref"]
        return {"$ref": self._names[ref]}

    def _schema(self, schema: Any, depth: int) -> Any:
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            return self._reference(schema["$ref"])
        if depth > MAX_NESTING or (depth and _has_many_values(schema)):
            return self._function(schema)
        made: dict[str, Any] = {}
        self._values(schema, made)
        self._strings(schema, made)
        self._numbers(schema, made)
        self._arrays(schema, made, depth + 1)
        self._objects(schema, made, depth + 1)
        self._combinations(schema, made, depth + 1)
        return made

    def _values(self, schema: dict[str, Any], made: dict[str, Any]) -> None:
        if "type" in schema:
            made["type"] = schema["type"]
        if "enum" in schema:
            self._enum(schema["enum"], made)
        if "const" in schema:  # fastjsonschema's const writes the value into code as a message; its enum only compares.
            made.setdefault("allOf", []).append({"enum": [schema["const"]]})
        for keyword in _COUNTS:
            if keyword in schema:
                made[keyword] = int(schema[keyword])

    def _enum(self, values: list[Any], made: dict[str, Any]) -> None:
        texts = frozenset(each for each in values if isinstance(each, str))
        if len(texts) <= MAX_VALUES:
            made["enum"] = values
            return
        name = f"v{len(self._texts)}"
        self._texts[name] = texts
        others = [each for each in values if not isinstance(each, str)]
        text = {"type": "string", "format": name}
        made["allOf"] = [{"anyOf": [text, {"enum": others}]} if others else text]

    def _strings(self, schema: dict[str, Any], made: dict[str, Any]) -> None:
        if "pattern" in schema:
            made["pattern"] = self._pattern(schema["pattern"])
        if schema.get("format") in FORMATS:  # For others it would use formats of its own, some of them wrong.
            made["format"] = schema["format"]

    def _numbers(self, schema: dict[str, Any], made: dict[str, Any]) -> None:
        for limit, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
            bound = schema.get(exclusive)
            if bound is True:  # In draft-04 this keyword says whether the other bound is exclusive.
                if limit in schema:
                    made[exclusive] = schema[limit]
                continue
            if limit in schema:
                made[limit] = schema[limit]
            if bound is not None and bound is not False:
                made[exclusive] = bound
        if "multipleOf" in schema:  # An integer step keeps integers exact; 2.0 would send them through floats.
            step = schema["multipleOf"]
            made["multipleOf"] = int(step) if step == int(step) else step
            if step == int(step) and schema.get("type") != "integer":  # Half of the smallest float would be 0.0.
                made.setdefault("allOf", []).append({"anyOf": [{"enum": [0]}, {"minimum": 1}, {"maximum": -1}]})

    def _arrays(self, schema: dict[str, Any], made: dict[str, Any], depth: int) -> None:
        if schema.get("uniqueItems") is True:
            made["uniqueItems"] = True
        items = schema.get("items", True)
        if isinstance(items, list):
            made["items"] = [self._schema(each, depth) for each in items]
            if "additionalItems" in schema:
                self._put(made, "additionalItems", self._schema(schema["additionalItems"], depth))
        else:
            self._put(made, "items", self._schema(items, depth))
        if "contains" in schema:
            made["contains"] = self._schema(schema["contains"], depth)

    def _objects(self, schema: dict[str, Any], made: dict[str, Any], depth: int) -> None:
        properties = schema.get("properties", {})
        if properties:
            made["properties"] = {name: self._schema(each, depth) for name, each in properties.items()}
        patterns = {
            self._pattern(text): self._schema(each, depth) for text, each in schema.get("patternProperties", {}).items()
        }
        if patterns:
            made["patternProperties"] = patterns
        self._put(made, "additionalProperties", self._schema(schema.get("additionalProperties", True), depth))
        if patterns and "propertyNames" in schema:  # fastjsonschema would search a name before bounding its length.
            made.setdefault("allOf", []).insert(0, {"propertyNames": self._schema(schema["propertyNames"], depth)})
        else:
            self._put(made, "propertyNames", self._schema(schema.get("propertyNames", True), depth))
        if schema.get("dependencies"):
            made["dependencies"] = {
                name: each if isinstance(each, list) else self._schema(each, depth)
                for name, each in schema["dependencies"].items()
            }
        if schema.get("required"):
            self._required(schema["required"], made)

    def _required(self, names: list[str], made: dict[str, Any]) -> None:
        """Write ``required`` as an allOf where fastjsonschema would refuse a schema that requires what it forbids; such
        a schema merely accepts no object."""
        if made.get("additionalProperties") is False and not set(names) <= set(made.get("properties", ())):
            made.setdefault("allOf", []).append({"required": names})
        else:
            made["required"] = names

    def _combinations(self, schema: dict[str, Any], made: dict[str, Any], depth: int) -> None:
        parts = [self._schema(each, depth) for each in schema.get("allOf", ())]
        if parts:
            made.setdefault("allOf", []).extend(parts)
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                made[keyword] = [self._schema(each, depth) for each in schema[keyword]]
        if "not" in schema:
            made["not"] = self._schema(schema["not"], depth)
        if "if" in schema:
            branches = {word: self._schema(schema[word], depth) for word in ("then", "else") if word in schema}
            if branches:
                made |= {"if": self._schema(schema["if"], depth)} | branches

    @staticmethod
    def _put(made: dict[str, Any], keyword: str, schema: Any) -> None:
        """Add a schema unless it accepts everything: an empty block of code would not compile."""
        if schema is not True and schema != {}:
            made[keyword] = schema


def _has_many_values(schema: dict[str, Any]) -> bool:
    values = [schema["const"]] if "const" in schema else []
    values += schema.get("enum", ())
    return len(values) > MAX_VALUES or any(isinstance(each, dict | list) for each in values)
