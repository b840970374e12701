"""An intake of its own for recoveries: a schema, a stream, error events in an embedded sink, and what is stored."""

from __future__ import annotations

import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml

from server.sink.sqlite.reader import read
from tests.fakes import Message
from tests.harness.served import EXAMPLES
from tests.server.sink.test_events import store

STREAM = "shop.sale"
ERRORS = "penstock.error.validation"
DT = "2026-11-20T10:00:00.250Z"  # Of the error events.
SCHEMA: dict[str, Any] = {
    "title": "shop/sale",
    "description": "A sale.",
    "$id": "/shop/sale/1.0.0",
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "additionalProperties": False,
    "required": ["$schema", "meta", "count"],
    "properties": {
        "$schema": {"type": "string"},
        "meta": {
            "type": "object",
            "required": ["stream"],
            "properties": {name: {"type": "string"} for name in ("id", "dt", "stream", "domain", "request_id")},
        },
        "dt": {"type": "string", "format": "date-time", "maxLength": 128},
        "count": {"type": "integer"},
        "note": {"type": "string", "maxLength": 8},
    },
}


class Site:
    """The files of one intake below a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.events = directory / "events"
        self.settings = directory / "penstock.yaml"
        self.put_schema("1.0.0")
        streams = {
            STREAM: {"schema_title": "shop/sale", "message_key_fields": {"count": "count"}},
            ERRORS: {"schema_title": "error"},
        }
        (directory / "streams.yaml").write_text(yaml.safe_dump({"streams": streams}))
        settings = {
            "workers": 1,
            "service_name": "penstock",
            "schemas": {"base_uris": [str(directory / "schemas"), str(EXAMPLES / "schemas")]},
            "streams": {"sources": [str(directory / "streams.yaml")]},
            "sink": {"kind": "sqlite", "sqlite": {"path": str(self.events)}},
        }
        self.settings.write_text(json.dumps(settings))

    def put_schema(self, version: str, **properties: Any) -> None:
        """Write a version, with these properties changed."""
        file = self.directory / "schemas" / "shop" / "sale" / f"{version}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        whole = {"$id": f"/shop/sale/{version}", "properties": SCHEMA["properties"] | properties}
        file.write_text(yaml.safe_dump(SCHEMA | whole, sort_keys=False))

    def refuse(self, *raws: str | dict[str, Any], dt: str = DT, first: int = 0) -> None:
        """Store an error event for each of these events, the ``first``-th and later ones."""
        store(self.events, *(self.record(raw, dt, number) for number, raw in enumerate(raws, first)))

    def refuse_many(self, count: int) -> None:
        """Store an error event for each of so many sales, in one transaction."""
        self.refuse(a_sale(0))
        row = "SELECT stored_ns, topic, key, timestamp_ms, headers, ? FROM event WHERE id = 1"
        records = [self.record(a_sale(number), DT, number) for number in range(1, count)]
        with closing(sqlite3.connect(self.events / "events-0.db")) as database, database:
            database.executemany(
                f"INSERT INTO event (stored_ns, topic, key, timestamp_ms, headers, value) {row}",
                [(record.value.decode(),) for record in records],
            )

    @staticmethod
    def record(raw: str | dict[str, Any], dt: str, number: int, stream: str = STREAM) -> Message:
        error = {
            "$schema": "/error/2.1.0",
            "meta": {"stream": ERRORS, "id": f"error-{number}", "dt": dt},
            "dt": dt,
            "emitter_id": "penstock",
            "errored_stream_name": stream,
            "message": "it was refused",
            "raw_event": raw if isinstance(raw, str) else json.dumps(raw),
        }
        return Message(ERRORS, json.dumps(error).encode(), None, 5, [("content-type", b"application/json")])

    def stored(self, stream: str = STREAM) -> list[dict[str, Any]]:
        """Return the records of a stream, in their order."""
        out = io.BytesIO()
        read(self.events, stream, False, out)
        return [json.loads(line) for line in out.getvalue().splitlines()]

    def ids(self) -> list[str]:
        return [record["value"]["meta"]["id"] for record in self.stored()]


def a_sale(number: int, **members: Any) -> dict[str, Any]:
    """An event that its schema refuses until ``note`` may be longer."""
    return {
        "$schema": "/shop/sale/1.0.0",
        "meta": {"stream": STREAM, "id": f"sale-{number}", "dt": "2026-11-19T09:00:00Z"},
        "dt": "2026-11-18T08:00:00Z",
        "count": number,
        "note": "longer than eight",
    } | members
