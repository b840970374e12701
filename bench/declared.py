"""A catalog of any size, as a large site has it: schemas in directories, streams in one file, settings for a server.

Place: catalog, reload → HERE.
Rule: seeded, so every run gets the same; nothing is like a real site's by name, all of it by size and shape: 8 to 23
properties of its own beside the common ones, of all types; ten streams a title, most with a header and some with a key.
Not here: what is measured.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

SEED = 20260102
VERSIONS = 2  # Of each title.
KINDS: list[dict[str, Any]] = [
    {"type": "string", "maxLength": 255, "description": "A text of the event, as the client sends it."},
    {"type": "string", "maxLength": 64, "description": "A name."},
    {"type": "integer", "minimum": 0, "maximum": 9007199254740991, "description": "How many there were."},
    {"type": "number", "description": "A measure, in milliseconds."},
    {"type": "boolean", "description": "Whether it was so."},
    {"type": "string", "enum": ["low", "middle", "high"], "description": "One of few."},
    {"type": "array", "items": {"type": "string", "maxLength": 64}, "description": "Some names."},
    {"type": "object", "properties": {name: {"type": "string", "maxLength": 100} for name in ("id", "kind", "text")}},
]
COMMON: dict[str, Any] = {
    "$schema": {"type": "string", "maxLength": 256, "description": "The URI of the schema of this event."},
    "meta": {
        "type": "object",
        "required": ["dt", "stream"],
        "properties": {
            "dt": {"type": "string", "format": "date-time", "maxLength": 64},
            "stream": {"type": "string", "minLength": 1, "maxLength": 249},
            "id": {"type": "string", "maxLength": 128},
            "request_id": {"type": "string", "maxLength": 400},
        },
    },
    "page": {"type": "string", "maxLength": 2048, "description": "The path of the page."},
    "http": {
        "type": "object",
        "properties": {
            "client_ip": {"type": "string", "maxLength": 400},
            "request_headers": {
                "type": "object",
                "propertyNames": {"maxLength": 128},
                "additionalProperties": {"type": "string", "maxLength": 400},
            },
        },
    },
}
DEFAULTS = """\
default_settings:
  topic_prefixes: [east., west.]
  canary_events_enabled: true
  producers:
    eventgate:
      enrich_fields_from_http_headers:
        meta.request_id: x-request-id
        http.request_headers.user-agent: false
streams:
"""
SETTINGS = """\
workers: {workers}
drain_s: 5
http: {{listen: ["127.0.0.1:{port}"]}}
admin: {{listen: "127.0.0.1:0"}}
schemas: {{base_uris: [schemas]}}
streams: {{sources: [streams.yaml]}}
sink: {{kind: memory}}
"""


def write(directory: Path, *, streams: int, titles: int, port: int, workers: int) -> Path:
    """Schemas, streams and settings below a directory; the path of the settings."""
    rng = random.Random(SEED)
    for number in range(titles):
        own = {f"own_{at}": rng.choice(KINDS) for at in range(rng.randrange(8, 24))}
        for version in range(VERSIONS):
            write_schema(directory, number, f"1.{version}.0", own)
    lines = (_stream(number, number % titles) for number in range(streams))
    (directory / "streams.yaml").write_text(DEFAULTS + "".join(lines), encoding="utf-8")
    settings = directory / "penstock.yaml"
    settings.write_text(SETTINGS.format(port=port, workers=workers), encoding="utf-8")
    return settings


def write_schema(directory: Path, number: int, version: str, own: dict[str, Any]) -> None:
    """One version of a title, as YAML as repositories have it."""
    title = title_of(number)
    schema = {
        "title": title,
        "description": "Something happened that one team wants to know of.",
        "$id": f"/{title}/{version}",
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "required": ["$schema", "meta", "page"],
        "properties": COMMON | own,
    }
    path = directory / "schemas" / title / f"{version}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(_yaml(schema, 0)) + "\n", encoding="utf-8")


def title_of(number: int) -> str:
    """The title with this number."""
    return f"team{number % 40}/thing_{number}"


def stream_of(number: int, title: int) -> str:
    """The name of a stream."""
    return f"team{title % 40}.thing_{title}.s{number}"


def event(number: int, title: int, version: str) -> bytes:
    """A valid event of a stream."""
    value = {
        "$schema": f"/{title_of(title)}/{version}",
        "meta": {"stream": stream_of(number, title)},
        "page": "/articles/water-mill",
    }
    return json.dumps(value, separators=(",", ":")).encode()


def _stream(number: int, title: int) -> str:
    text = f"  {stream_of(number, title)}:\n    schema_title: {title_of(title)}\n"
    text += f"    destination_event_service: intake-{number % 4}\n"
    text += "    producers:\n      eventgate:\n        enrich_fields_from_http_headers:\n"
    text += "          http.request_headers.user-agent: user-agent\n"
    if number % 5 == 0:
        text += "    consumers:\n      hive:\n        enabled: true\n"
    if number % 7 == 0:
        text += "    message_key_fields:\n      page: page\n"
    return text


def _yaml(value: dict[str, Any], depth: int) -> list[str]:
    lines: list[str] = []
    for name, inner in value.items():
        if isinstance(inner, dict) and inner:
            lines += [f"{'  ' * depth}{name}:", *_yaml(inner, depth + 1)]
        else:
            lines.append(f"{'  ' * depth}{name}: {json.dumps(inner)}")
    return lines
