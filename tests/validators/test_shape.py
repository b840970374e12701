"""Which properties a schema declares, and which defaults it writes."""

from __future__ import annotations

from typing import Any

import pytest

from validators.shape import Default, declares, defaults

EVENT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "dt": {"type": "string"},
        "meta": {"$ref": "#/definitions/meta"},
        "http": {
            "type": "object",
            "properties": {
                "client_ip": {"type": "string"},
                "request_headers": {"type": "object", "additionalProperties": {"type": "string"}},
                "closed": {"type": "object", "additionalProperties": False},
                "silent": {"type": "object"},
                "open": {"type": "object", "additionalProperties": True},
                "maps": {"additionalProperties": {"properties": {"x": {}}}},
            },
        },
        "choice": {"anyOf": [{"properties": {"x": {}}}]},
    },
    "allOf": [{"properties": {"http": {"properties": {"method": {}}}, "part": {}}}, {"$ref": "#/definitions/more"}],
    "definitions": {
        "meta": {"allOf": [{"properties": {"id": {}}}, {"properties": {"dt": {}}}]},
        "more": {"properties": {"again": {"$ref": "#"}}},
    },
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("dt", True),
        ("none", False),
        ("dt.x", False),
        ("meta.id", True),
        ("meta.dt", True),
        ("meta.none", False),
        ("part", True),
        ("http.client_ip", True),
        ("http.method", True),
        ("http.request_headers", True),
        ("http.request_headers.user-agent", True),
        ("http.request_headers.a.b", False),
        ("http.closed.x", False),
        ("http.silent.x", False),
        ("http.open.x", True),
        ("http.maps.any.x", True),
        ("http.maps.any.y", False),
        ("choice.x", False),
        ("again.again.meta.id", True),
        ("none.none", False),
    ],
)
def test_a_property_is_declared_by_properties_or_by_a_map(path: str, expected: bool) -> None:
    assert declares(EVENT, tuple(path.split("."))) is expected


def test_no_path_is_not_declared() -> None:
    assert declares(EVENT, ()) is False


def test_a_schema_without_defaults_has_none() -> None:
    assert defaults(EVENT) == {}


def test_defaults_are_found_through_properties_references_and_allof() -> None:
    schema = {
        "properties": {
            "a": {"default": "é"},
            "b": {"properties": {"c": {"default": None}, "d": {"type": "string"}}},
            "e": {"$ref": "#/definitions/e"},
            "g": {"anyOf": [{"default": 1}], "not": {"default": 2}, "if": {"default": 3}, "items": {"default": 4}},
        },
        "allOf": [{"properties": {"f": {"allOf": [{"default": [1, {"x": 2}]}]}}}],
        "anyOf": [{"properties": {"h": {"default": 1}}}],
        "definitions": {"e": {"default": 123456789012345678901234567890}},
    }

    assert defaults(schema) == {
        "a": Default('"é"'.encode(), {}),
        "b": Default(None, {"c": Default(b"null", {})}),
        "e": Default(b"123456789012345678901234567890", {}),
        "f": Default(b'[1,{"x":2}]', {}),
    }


def test_a_default_that_is_an_object_holds_the_defaults_inside_it() -> None:
    schema = {
        "properties": {
            "a": {
                "default": {"y": {}, "z": 9},
                "properties": {
                    "x": {"default": 1},
                    "y": {"properties": {"w": {"default": 2}}},
                    "z": {"default": 3},
                },
            }
        }
    }
    found = defaults(schema)["a"]

    assert found.value == b'{"y":{"w":2},"z":9,"x":1}'
    assert found.inside == {
        "x": Default(b"1", {}),
        "y": Default(None, {"w": Default(b"2", {})}),
        "z": Default(b"3", {}),
    }


def test_the_first_of_two_defaults_is_written() -> None:
    assert defaults({"properties": {"a": {"default": 1}}, "allOf": [{"properties": {"a": {"default": 2}}}]}) == {
        "a": Default(b"1", {})
    }


def test_a_schema_inside_itself_ends() -> None:
    schema = {"properties": {"a": {"$ref": "#"}, "b": {"default": 1}}}

    assert defaults(schema) == {"b": Default(b"1", {})}
