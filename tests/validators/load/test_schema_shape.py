"""Which properties a schema declares."""

from __future__ import annotations

from typing import Any

import pytest

from validators.load.schema_shape import declares

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
