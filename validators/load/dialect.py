"""Know where a schema holds further schemas, and which drafts are supported.

Place: bundle, insecure, mend and shape all walk by this one table.
Rule: a keyword that is not named here holds data (enum, const, default, examples, unknown ones), never schemas.
Not here: what a keyword means (invalid, and fastjsonschema through mend).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jsonschema_specifications import REGISTRY as SPECIFICATIONS  # type: ignore[import-untyped]
from referencing import Specification
from referencing.jsonschema import DRAFT4, DRAFT6, DRAFT7, Schema, SchemaResource

from validators.errors import SchemaError

IN_VALUE = frozenset(
    {"additionalItems", "additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then"}
)
IN_LIST = frozenset({"allOf", "anyOf", "items", "oneOf"})
IN_MAP = frozenset({"definitions", "dependencies", "patternProperties", "properties"})

# These keywords judge the same value as the schema that holds them; every other one goes down into the value.
IN_PLACE = frozenset({"allOf", "anyOf", "dependencies", "else", "if", "not", "oneOf", "then"})

# Keywords of this service. They judge nothing, and other validators ignore them (annotations).
ANNOTATIONS = ("x-expect", "x-privacy")

_DRAFTS: dict[str, Specification[Schema]] = {
    "json-schema.org/draft-04/schema": DRAFT4,
    "json-schema.org/draft-06/schema": DRAFT6,
    "json-schema.org/draft-07/schema": DRAFT7,
}


def draft_of(uri: object) -> Specification[Schema] | None:
    """Return the draft that a meta-schema's URI names, with http or https; None for any other URI."""
    if not isinstance(uri, str):
        return None
    return _DRAFTS.get(uri.removesuffix("#").removeprefix("https://").removeprefix("http://"))


def draft_of_schema(
    schema: dict[str, Any], name: str, default: Specification[Schema] = DRAFT7
) -> Specification[Schema]:
    """Return the draft that a schema asks for. Raises SchemaError."""
    if "$schema" not in schema:
        return default
    draft = draft_of(schema["$schema"])
    if draft is None:
        raise SchemaError("schema_unavailable", f"{name}: $schema names neither draft-04, draft-06 nor draft-07")
    return draft


def meta_schema(draft: Specification[Schema]) -> SchemaResource:
    """Return the schema that every schema of this draft must match."""
    number = {DRAFT4.name: "04", DRAFT6.name: "06", DRAFT7.name: "07"}[draft.name]
    found: SchemaResource = SPECIFICATIONS[f"http://json-schema.org/draft-{number}/schema"]
    return found


def is_schema(value: object) -> bool:
    """A schema is an object or, from draft-06 on, true or false."""
    return isinstance(value, dict | bool)


def has_booleans(whole: dict[str, Any]) -> bool:
    """Whether true and false are schemas in the draft of a bundle."""
    return draft_of_schema(whole, "it") is not DRAFT4


def children(schema: dict[str, Any]) -> Iterator[tuple[str, str | int | None, Any]]:
    """Yield (keyword, key or index or None, schema) for every schema directly inside ``schema``, in its own order."""
    for keyword, value in schema.items():
        if keyword in IN_MAP and isinstance(value, dict):
            for key, each in value.items():
                if is_schema(each):
                    yield keyword, key, each
        elif keyword in IN_LIST and isinstance(value, list):
            for index, each in enumerate(value):
                if is_schema(each):
                    yield keyword, index, each
        elif keyword in IN_VALUE and is_schema(value):
            yield keyword, None, value


def patterns(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (keyword, regular expression) for every one directly in ``schema``."""
    if "pattern" in schema:
        yield "pattern", schema["pattern"]
    for text in schema.get("patternProperties", ()):
        yield "patternProperties", text


def step(keyword: str, key: str | int | None) -> str:
    """Return the piece of JSON pointer that leads to a child."""
    return f"/{keyword}" if key is None else f"/{keyword}/{escape(str(key))}"


def escape(key: str) -> str:
    """Return a key as one reference token of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")
