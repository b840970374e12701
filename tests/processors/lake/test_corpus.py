"""Real events of real schemas land, and a reader that knows nothing of the writer finds the same values."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from processors.lake.columns import Kind, ListOf, MapOf, Plain, Record, columns_of
from server.config.framework.yaml import load_yaml
from server.sink.sqlite.file import SCHEMA, VERSION
from tests.harness.running import ROOT
from tests.processors.lake.world import NOON, Catalog, World, load

CORPUS = ROOT.parent / "shared" / "corpus"

pytestmark = [
    pytest.mark.slow(reason="a table for each of 60 streams"),
    pytest.mark.skipif(not CORPUS.is_dir(), reason="there is no ../shared/corpus"),
]


def expected(kind: Kind, value: Any) -> Any:
    """Return a value of an event as the reader has to see it."""
    match kind, value:
        case ListOf(item=Record()), None:
            return []  # pyiceberg 0.12 writes an absent list of structs as an empty one, and maps alike.
        case MapOf(value=Record()), None:
            return {}
        case _, None:
            return None
        case Plain.INSTANT, str():
            return datetime.fromisoformat(value)
        case Plain.LOOSE, _:
            return value if isinstance(value, str) else json.dumps(value)
        case Plain.DOUBLE, _:
            return float(value)
        case ListOf(), list():
            return [expected(kind.item, one) for one in value]
        case MapOf(), dict():
            return {name: expected(kind.value, one) for name, one in value.items()}
        case Record(), dict():
            return {field.column: expected(field.kind, value.get(field.name)) for field in kind.fields}
    return value


def unknown(kind: Kind, value: Any, path: str) -> dict[str, Any]:
    """Return the members that have no column, by their paths."""
    found: dict[str, Any] = {}
    inner: list[tuple[Kind, Any, str]] = []
    match kind, value:
        case Record(), dict():
            names = {field.name: field.kind for field in kind.fields}
            for name, one in value.items():
                place = f"{path}.{name}" if path else name
                if name in names:
                    inner.append((names[name], one, place))
                else:
                    found[place] = [one] if "[]" in path or "{}" in path else one
        case ListOf(), list():
            inner += [(kind.item, one, f"{path}[]") for one in value]
        case MapOf(), dict():
            inner += [(kind.value, one, f"{path}{{}}") for one in value.values()]
    for one in inner:
        for place, member in unknown(*one).items():
            found[place] = [*found[place], *member] if place in found else member
    return found


def shown(kind: Kind, value: Any) -> Any:
    """Return a value of the reader, with JSON read and the members that older events did not have left out."""
    match kind, value:
        case _, None:
            return None
        case Plain.JSON, str():
            return json.loads(value)
        case ListOf(), list():
            return [shown(kind.item, one) for one in value]
        case MapOf(), dict():
            return {name: shown(kind.value, one) for name, one in value.items()}
        case Record(), dict():
            return {field.column: shown(field.kind, value.get(field.column)) for field in kind.fields}
    return value


def types(value: Any) -> Any:
    """Return the types of a value and of its parts: 1 is not 1.0, nor True."""
    match value:
        case list():
            return [types(one) for one in value]
        case dict():
            return {name: types(one) for name, one in value.items()}
    return type(value)


def test_every_event_of_the_corpus_lands_with_its_types(tmp_path: Path) -> None:
    lines = [
        line
        for name in ("events-routed.ndjson", "events-old-versions.ndjson")
        for line in (CORPUS / name).read_bytes().splitlines()
    ]
    events = [json.loads(line) for line in lines]
    names = sorted({event["meta"]["stream"] for event in events})
    world = World(tmp_path, {"unused": "unused"}, streams=names)
    world.schema("unused", "1.0.0", {})
    titles = {event["meta"]["stream"]: event["$schema"].strip("/").rpartition("/")[0] for event in events[60:]}
    world.write("old.yaml", {"streams": {name: {"schema_title": title} for name, title in titles.items()}})
    world.write(
        "intake.yaml",
        {
            "schemas": {"base_uris": [str(CORPUS / "jsonschema")], "prepared_path": ""},
            "streams": {"sources": [str(CORPUS / "streams.yaml"), "old.yaml"]},
            "sink": {"kind": "sqlite"},
            "log": {"level": "error"},
        },
    )
    topic_of = {name: stream.topic for name, stream in Catalog(*load(world.config)).streams.items()}
    with closing(sqlite3.connect(world.events / "events-0.db")) as database, database:
        database.executescript(f"{SCHEMA}; PRAGMA user_version = {VERSION}")
        database.executemany(
            "INSERT INTO event (stored_ns, topic, timestamp_ms, headers, value) VALUES (0, ?, ?, '[]', ?)",
            [(topic_of[event["meta"]["stream"]], NOON, line) for event, line in zip(events, lines, strict=True)],
        )

    told = world.run()

    assert len(events) == 81
    assert sum(head.consumed for head in told.streams.values()) == 81
    assert {name: head.rejected for name, head in told.streams.items() if head.rejected} == {}
    assert sum(head.rows for head in told.streams.values()) + sum(one.duplicates for one in told.streams.values()) == 81
    rows = landed(world)
    for number, event in enumerate(events, 1):
        if number not in rows:
            continue
        columns, row, extra = rows[number]
        assert extra == unknown(columns, event, ""), event["$schema"]
        wanted = expected(columns, event)
        found = shown(columns, row)
        for field in columns.fields:
            assert found[field.column] == wanted[field.column], (number, event["$schema"], field)
            assert types(found[field.column]) == types(wanted[field.column]), (number, event["$schema"], field)
    assert len(rows) == sum(head.rows for head in told.streams.values())


def landed(world: World) -> dict[int, tuple[Record, dict[str, Any], dict[str, Any]]]:
    """Return the columns, the row and the unknown members of each offset, as DuckDB reads them."""
    found = {}
    reader = world.reader()
    for name, table in world.tables().items():
        uri = table.properties["penstock.schema"]
        schema = CORPUS / "jsonschema" / (uri.strip("/") + ".yaml")
        columns = columns_of(load_yaml(schema.read_text("utf-8"), uri)[0])
        named = [field.column for field in columns.fields]
        listed = ", ".join(f'"{one}"' for one in named)
        rows = reader.execute(f'SELECT _offset, _extra, {listed} FROM "{name}"').fetchall()
        for offset, extra, *values in rows:
            found[offset] = (columns, dict(zip(named, values, strict=True)), json.loads(extra or "{}"))
    reader.close()
    return found
