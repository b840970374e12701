"""The schemas and streams that are attacked: every keyword that a client could make costly, as far as it is secure.

Place: arena writes them into the directories of the served intake; bodies and words send events of them.
Rule: the schemas pass the check of insecure schemas, for those that do not are refused before a client comes.
Not here: the schemas of the bystander (the project's examples).
"""

from __future__ import annotations

from typing import Any

from tests.harness.redos import ATTACKS
from validators.regex import pattern

FORM = "/attack/form/1.0.0"
STREAM = "attack.form"
LOCKED = "attack.locked"  # Takes events with a key or a token alone.
PAGES = "attack.pages"  # Takes events from pages of SITES alone.
SITES = "https://*.attack.example"
KEY = "psk_uhbuwp7o__E9OkNksVlZT9j0X76FxTR3Jr0r_uXMM"  # Of this arena alone.
ISSUER = "https://issuer.attack.example"
# A public key of which nobody has the other half: tokens of its name have to be verified, and are all wrong.
JWKS = {
    "keys": [
        {
            "kty": "EC",
            "crv": "P-256",
            "kid": "arena",
            "x": "BI2OC8wSeWCnRKVAy0Dd9nKcM6l0Ec4g8zzAEDP34vo",
            "y": "BtzW3jSJGT1lsUzxEYjb_42ncRZARTaAn6GX3-TCAPI",
        }
    ]
}
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
    """The streams that are declared in addition to the examples."""
    asked = {LOCKED: {"auth": ["api_keys", "jwt"]}, PAGES: {"origins": [SITES]}, STREAM: {}}
    return {
        "streams": {
            name: {"schema_title": "attack/form", "producers": {"eventgate": each}} for name, each in asked.items()
        }
    }
