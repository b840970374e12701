"""An intake with its embedded sink, a lake next to it, and DuckDB as a reader that knows nothing of either."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

try:
    import duckdb
    import pyarrow as pa
    import pyiceberg_core  # noqa: F401  # pyiceberg loads it for partitions by the hour.
    import sqlalchemy  # noqa: F401
    from pyiceberg.exceptions import CommitFailedException

    from processors.lake import arrow, landing, tables
    from processors.lake.catalog import Catalog
    from processors.lake.compact import compacted
    from processors.lake.expire import Expired, expired
    from processors.lake.faults import in_plain_words
    from processors.lake.head import Head
    from processors.lake.run import Runner, Told
    from processors.lake.settings import load
    from processors.lake.tables import Lake
    from processors.lake.views import view_of
    from processors.page_change.embedded.stop import Stop
    from server.sink.sqlite.file import SCHEMA, VERSION
except ModuleNotFoundError as error:
    if os.environ.get("REQUIRE_LAKE") == "1":
        raise
    pytest.skip(f"{error.name} is missing: needs requirements/lake-dev.txt", allow_module_level=True)

__all__ = [
    "Catalog",
    "Expired",
    "Head",
    "Lake",
    "World",
    "arrow",
    "compacted",
    "expired",
    "in_plain_words",
    "landing",
    "load",
    "pa",
    "tables",
]

HOUR = 3_600_000
NOON = 1_767_268_800_000  # 2026-01-01T12:00:00Z
STREAM = "shop.order"
PLAIN = {
    "type": "object",
    "properties": {
        "$schema": {"type": "string"},
        "meta": {
            "type": "object",
            "properties": {
                "stream": {"type": "string"},
                "id": {"type": "string"},
                "domain": {"type": "string"},
            },
        },
        "n": {"type": "integer"},
    },
}


class World:
    """``titles`` are those of the schemas, and ``settings`` those of the lake."""

    def __init__(self, root: Path, titles: dict[str, str] | None = None, **settings: Any) -> None:
        self.root = root
        self.events = root / "var" / "events"
        self.events.mkdir(parents=True)
        (root / "schemas").mkdir()
        named = titles or {STREAM: "shop/order"}
        declared = {name: {"schema_title": title} for name, title in named.items()}
        self.write("streams.yaml", {"streams": declared})
        self.write(
            "intake.yaml",
            {
                "schemas": {"base_uris": ["schemas/"], "prepared_path": ""},
                "streams": {"sources": ["streams.yaml"]},
                "sink": {"kind": "sqlite"},
                "log": {"level": "error"},
            },
        )
        self.config = root / "lake.yaml"
        self.write("lake.yaml", {"intake": "intake.yaml", **settings})
        if titles is None:
            self.schema("shop/order", "1.0.0", {})

    def write(self, name: str, value: object) -> None:
        """Write a file of settings; JSON is YAML."""
        (self.root / name).write_text(json.dumps(value), "utf-8")

    def schema(self, title: str, version: str, properties: dict[str, Any]) -> None:
        """Put a version of a schema, with these properties besides the plain ones."""
        directory = self.root / "schemas" / title
        directory.mkdir(parents=True, exist_ok=True)
        whole = {
            "$schema": "https://json-schema.org/draft-07/schema#",
            "$id": f"/{title}/{version}",
            "title": title,
            **PLAIN,
            "properties": {**PLAIN["properties"], **properties},  # type: ignore[dict-item]
        }
        (directory / f"{version}.yaml").write_text(json.dumps(whole), "utf-8")

    def put(self, *events: object, at: int = NOON, topic: str = STREAM, file: str = "events-0.db") -> None:
        """Store events, or raw texts, as the embedded sink does."""
        with closing(sqlite3.connect(self.events / file)) as database, database:
            database.executescript(f"{SCHEMA}; PRAGMA user_version = {VERSION}")
            database.executemany(
                "INSERT INTO event (stored_ns, topic, timestamp_ms, headers, value) VALUES (0, ?, ?, '[]', ?)",
                [(topic, at, one if isinstance(one, str) else json.dumps(one)) for one in events],
            )

    def runner(self) -> Runner:
        """Open the lake for writing."""
        settings, base_dir = load(self.config)
        return Runner(settings, base_dir, Catalog(settings, base_dir), Stop())

    def run(self) -> Told:
        """Land all events that there are."""
        runner = self.runner()
        try:
            return runner.run(once=True)
        finally:
            runner.close()

    def lake(self) -> Lake:
        """Open the lake for reading."""
        return Lake(*load(self.config), is_writer=False)

    def tables(self) -> dict[str, Any]:
        """Return the tables by name."""
        lake = self.lake()
        try:
            return {table.name()[-1]: table for table in lake.tables()}
        finally:
            lake.close()

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Ask DuckDB."""
        with closing(self.reader()) as database:
            rows: list[tuple[Any, ...]] = database.execute(statement).fetchall()
            return rows

    def reader(self) -> Any:
        """Return a connection to DuckDB with the views of all tables."""
        database = duckdb.connect()
        database.execute("SET TimeZone = 'UTC'")
        for table in self.tables().values():
            database.execute(view_of(table))
        return database


def event(number: int, identity: str | None = None, version: str = "1.0.0", **members: Any) -> dict[str, Any]:
    """Return an event of the plain stream."""
    meta = {"stream": STREAM, "id": identity or f"id-{number}"}
    return {"$schema": f"/shop/order/{version}", "meta": meta, "n": number, **members}


def hour_now() -> int:
    """Return the beginning of this hour, in milliseconds."""
    return int(time.time() * 1000) // HOUR * HOUR


def commit_failed() -> None:
    """Fail as a commit does that another one has overtaken."""
    raise CommitFailedException("overtaken")
