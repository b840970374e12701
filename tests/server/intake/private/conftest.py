"""Pipelines over schemas with ``x-privacy``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from server.boot.generation import Generation, read
from server.intake.arrival import Arrival, Clock
from server.intake.error_events import ErrorEvents
from server.intake.event import Event
from server.intake.pipeline import Pipeline, make_pipeline
from server.privacy.applied import Privacy, make_privacy
from server.privacy.keys import HashKeys

DT = '"2026-11-29T06:41:37.123Z"'
MARKER = "marker"
SECRET = "s" * 32
META = {
    "type": "object",
    "properties": {
        "stream": {"type": "string"},
        "dt": {"type": "string", "maxLength": 64},
        "id": {"type": "string"},
        "domain": {"type": "string", "x-privacy": "drop"},
    },
}
HTTP = {
    "type": "object",
    "properties": {
        "client_ip": {"type": "string", "x-privacy": "truncate-ip"},
        "request_headers": {
            "type": "object",
            "properties": {"user-agent": {"type": "string"}, "x-kept": {"type": "string", "x-privacy": "keep"}},
        },
    },
}
OPEN_HTTP = {
    "type": "object",
    "properties": {
        "client_ip": {"type": "string"},
        "request_headers": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
USER: dict[str, Any] = {
    "email": {"type": "string", "x-privacy": "drop"},
    "user_id": {"type": "string", "x-privacy": "hash"},
    "friends": {
        "type": "array",
        "items": {"type": "object", "properties": {"name": {"type": "string", "x-privacy": "drop"}}},
    },
    "count": {"type": "integer"},
    "http": HTTP,
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "user/1.0.0": {"properties": USER, "required": ["email"]},
    "timed/1.0.0": {"properties": {"count": {"type": "integer"}}},
    "plain/1.0.0": {"properties": {"email": {"type": "string"}, "count": {"type": "integer"}, "http": OPEN_HTTP}},
    "error/2.1.0": {"properties": {}},
}
HEADERS = {"http.request_headers.user-agent": "user-agent", "http.request_headers.x-kept": "x-kept"}
FILLED = {"producers": {"eventgate": {"enrich_fields_from_http_headers": HEADERS}}}
STREAMS: dict[str, Any] = {
    "users": {"schema_title": "user", **FILLED},
    "keyed": {"schema_title": "user", "message_key_fields": {"user": "user_id", "count": "count"}},
    "watched": {"schema_title": "user", "producers": {"eventgate": {"validation": "observe"}}},
    "anything": {"schema_title": "user", "producers": {"eventgate": {"validation": "off"}}},
    "small": {"schema_title": "user", "producers": {"eventgate": {"max_event_bytes": 250}}},
    "strict": {
        "schema_title": "plain",
        "producers": {"eventgate": {"privacy": "strict", "enrich_fields_from_http_headers": HEADERS}},
    },
    "plain": {"schema_title": "plain", **FILLED},
    "timed": {"schema_title": "timed"},
    "error": {"schema_title": "error"},
}


class Intake:
    """One pipeline with its error events."""

    def __init__(self, generation: Generation) -> None:
        schemas = generation.schemas
        self.privacy: Privacy = make_privacy(generation.config, schemas, HashKeys(*generation.hash_keys))
        self.pipeline: Pipeline = make_pipeline(
            generation.config, schemas.find, generation.snapshot.find, privacy=self.privacy, latest=schemas.latest
        )
        self.reported: list[Event] = []
        self._generation = generation

    def prepare(self, event: object, **headers: str) -> Event:
        """Prepare one event, a text or a value, of a client at 10.20.30.40."""
        raw = event if isinstance(event, bytes) else json.dumps(event).encode()
        given = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
        arrival = Arrival(1_795_934_497_000, b'"2026-11-29T06:41:37.000Z"', given, lambda request: "10.20.30.40")
        return self.pipeline.prepare(0, raw, arrival)

    def error_event(self, event: Event) -> bytes:
        """The error event of a refused event."""
        found: list[bytes] = []

        def submit(made: Event) -> None:
            found.append(made.value)

        errors = ErrorEvents(self.pipeline, submit, Clock(), self._generation.config)
        assert event.verdict is not None
        errors._waiting.append((event, event.verdict))
        errors.flush()
        return found[0]


def write(directory: Path, **more: Any) -> Path:
    """Schemas, streams, keys and settings in a directory; the path of the settings."""
    for uri, schema in SCHEMAS.items():
        path = directory / "schemas" / uri
        path.parent.mkdir(parents=True, exist_ok=True)
        meta = META
        if uri.startswith("timed"):
            meta = json.loads(json.dumps(META))
            meta["properties"]["dt"]["x-privacy"] = "coarse-time"
        if uri.startswith(("plain", "error")):
            meta = json.loads(json.dumps(META).replace('"x-privacy"', '"x-nothing"'))
        whole = {"title": uri.rpartition("/")[0], "$id": f"/{uri}", "type": "object", **schema}
        whole["properties"] = {"$schema": {"type": "string"}, "meta": meta, **schema["properties"]}
        path.with_name(f"{path.name}.yaml").write_text(json.dumps(whole))
    (directory / "streams.yaml").write_text(json.dumps({"streams": STREAMS}))
    (directory / "keys").write_text(f"k1 {SECRET}\n")
    settings = {
        "service_name": "here",
        "intake": {"error_stream": "error"},
        "schemas": {"base_uris": ["schemas"]},
        "streams": {"sources": ["streams.yaml"]},
        "sink": {"kind": "memory"},
        "privacy": {"keys_file": "keys"},
        **more,
    }
    (directory / "penstock.yaml").write_text(json.dumps(settings))
    return directory / "penstock.yaml"


@pytest.fixture(scope="session")
def settings_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("private"))


@pytest.fixture
def intake(settings_file: Path) -> Intake:
    return Intake(read(settings_file, []))
