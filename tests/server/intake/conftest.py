"""A pipeline over small schemas and streams of the test's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from server.boot.generation import read
from server.intake.pipeline import Pipeline, make_pipeline

META = {
    "type": "object",
    "required": ["stream", "dt"],
    "properties": {
        "id": {"type": "string"},
        "stream": {"type": "string"},
        "dt": {"type": "string", "format": "date-time", "maxLength": 128},
        "request_id": {"type": "string"},
    },
}
HTTP = {
    "type": "object",
    "properties": {
        "client_ip": {"type": "string"},
        "request_headers": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "test/event": {
        "properties": {
            "test": {"type": "string"},
            "n": {"type": "number"},
            "page": {"type": "object", "properties": {"wiki": {"type": ["string", "null"]}}},
        }
    },
    "test/http": {"properties": {"http": HTTP}},
    "test/defaults": {
        "properties": {
            "kind": {"type": "string", "default": "plain"},
            "part": {"type": "object", "properties": {"size": {"type": "integer", "default": 3}}},
        }
    },
    "analytics/legacy/old": {"properties": {"dt": {"type": "string", "format": "date-time", "maxLength": 64}}},
    "test/insecure": {"properties": {"test": {"type": "string", "pattern": "^a"}}},
}
STREAMS: dict[str, dict[str, Any]] = {
    "plain": {"schema_title": "test/event"},
    "keyed": {"schema_title": "test/event", "message_key_fields": {"wiki": "page.wiki", "n": "n"}},
    "http": {
        "schema_title": "test/http",
        "producers": {
            "eventgate": {
                "enrich_fields_from_http_headers": {
                    "meta.request_id": "X-Request-Id",
                    "http.request_headers.user-agent": "user-agent",
                    "test": "x-not-declared",
                }
            }
        },
    },
    "defaults": {"schema_title": "test/defaults"},
    "legacy": {"schema_title": "analytics/legacy/old", "topic_prefixes": None},
    "elsewhere": {"schema_title": "test/event", "destination_event_service": "another"},
    "ours": {"schema_title": "test/event", "destination_event_service": "here", "topics": ["a.topic.of.its.own"]},
    "watched": {"schema_title": "test/event", "producers": {"eventgate": {"validation": "observe"}}},
    "anything": {"schema_title": "test/event", "producers": {"eventgate": {"validation": "off"}}},
    "closed": {"schema_title": "test/event", "producers": {"eventgate": {"enabled": False}}},
    "spooled": {"schema_title": "test/event", "producers": {"eventgate": {"on_broker_down": "spool"}}},
    "refusing": {"schema_title": "test/event", "producers": {"eventgate": {"on_broker_down": "refuse"}}},
    "small": {"schema_title": "test/event", "producers": {"eventgate": {"max_event_bytes": 200}}},
    "/^job\\..+/": {"schema_title": "test/event"},
}

Make = Callable[..., Pipeline]


def write(directory: Path) -> Path:
    """Schemas, streams and settings in a directory; the path of the settings."""
    for title, schema in SCHEMAS.items():
        folder = directory / "schemas" / title
        folder.mkdir(parents=True)
        properties = {"$schema": {"type": "string"}, "meta": META, **schema["properties"]}
        whole = {"title": title, "$id": f"/{title}/1.0.0", "type": "object", "required": ["$schema", "meta"]}
        (folder / "1.0.0.yaml").write_text(json.dumps({**whole, "properties": properties}))
    (directory / "streams.yaml").write_text(json.dumps({"streams": STREAMS}))
    settings = {
        "service_name": "here",
        "schemas": {"base_uris": ["schemas"]},
        "streams": {"sources": ["streams.yaml"]},
        "sink": {"kind": "memory", "topic_prefix": "dc1."},
    }
    (directory / "penstock.yaml").write_text(json.dumps(settings))
    return directory / "penstock.yaml"


@pytest.fixture(scope="session")
def settings_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("intake"))


@pytest.fixture
def make(settings_path: Path) -> Make:
    """``make("a.b=value", …)``: a pipeline with these overrides."""

    def _make(*overrides: str) -> Pipeline:
        generation = read(settings_path, list(overrides))
        return make_pipeline(generation.config, generation.schemas.find, generation.snapshot.find)

    return _make


@pytest.fixture
def pipeline(make: Make) -> Pipeline:
    return make()
