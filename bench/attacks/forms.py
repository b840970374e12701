"""The schemas and streams that are attacked: every keyword that a client could make dear, within what is secure.

Place: arena writes them into the directories of the served intake; bodies and words send events of them.
Rule: the schemas pass the check of insecure schemas, for those that do not are refused before a client comes.
Not here: the schemas of the bystander (the project's examples).
"""

from __future__ import annotations

from typing import Any

from tests.validators.redos import ATTACKS
from validators import pattern

FORM = "/attack/form/1.0.0"
STREAM = "attack.form"
LOCKED = "attack.locked"  # Takes events with a key alone.
KEY = "psk_uhbuwp7o__E9OkNksVlZT9j0X76FxTR3Jr0r_uXMM"  # Of this arena alone.
LONG = 2_000_000

FORMATS = ("date-time", "date", "time", "uri", "uri-reference", "email", "hostname", "ipv4", "ipv6", "uuid", "regex")


def schema() -> dict[str, Any]:
    """The schema FORM."""
    text = {"type": "string", "maxLength": LONG}
    properties: dict[str, Any] = {
        "$schema": {"type": "string"},
        "meta": {"type": "object", "properties": {"stream": {"type": "string"}, "dt": {"type": "string"}}},
        "number": {"type": "integer"},
        "numbers": {"type": "array", "items": {"type": "integer"}},
        "objects": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "integer"}}}},
        "map": {"type": "object", "additionalProperties": {"type": "integer"}},
        "closed": {"type": "object", "additionalProperties": False, "properties": {"a": {"type": "string"}}},
        "unique": {"type": "array", "maxItems": LONG, "uniqueItems": True, "items": {"type": "integer"}},
        "any": {"type": "array", "maxItems": LONG, "uniqueItems": True},
        "tree": {"$ref": "#/definitions/tree"},
    }
    for at, (each, _) in enumerate(ATTACKS):
        if pattern.danger(each) is None:
            properties[f"pattern{at}"] = text | {"pattern": each}
    properties |= {name: text | {"format": name} for name in FORMATS}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "attack/form",
        "type": "object",
        "properties": properties,
        "definitions": {"tree": {"type": "array", "items": {"$ref": "#/definitions/tree"}}},
    }


def streams() -> dict[str, Any]:
    """What is declared beside the examples."""
    locked = {"schema_title": "attack/form", "producers": {"eventgate": {"auth": "api_keys"}}}
    return {"streams": {STREAM: {"schema_title": "attack/form"}, LOCKED: locked}}
