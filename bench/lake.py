"""Measure the lake: events per second of CPU, memory, and files.

Place: `python -m bench lake`, with a Python that has penstock[lake]; the figures stand in docs/LAKE.md.
Rules: events of a schema of 36 properties, made by a seed, are read from a database on this disk to the end. CPU is
that of the whole process, all threads, with reading, rows, Parquet, commits and the start. The same number of rows has
to be in the table, or the bench fails.
Not here: whether the values are right (tests/processors/lake).
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from processors.lake.catalog import Catalog
from processors.lake.compact import compacted
from processors.lake.run import Runner
from processors.lake.settings import load
from processors.lake.tables import Lake
from processors.page_change.embedded.stop import Stop
from server.sink.sqlite.file import SCHEMA, VERSION

BEGIN_MS: Final = 1_767_268_800_000  # 2026-01-01T12:00:00Z
HOURS: Final = 3
STREAM: Final = "bench.page_edit"
TITLE: Final = "bench/page_edit"

_TEXT: Final = {"type": "string"}
_TIME: Final = {"type": "string", "format": "date-time", "maxLength": 128}
_INTEGER: Final = {"type": "integer"}
_FLAG: Final = {"type": "boolean"}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


# 36 properties that have values of their own, in five objects.
PROPERTIES: Final = {
    "$schema": _TEXT,
    "meta": _object(id=_TEXT, dt=_TIME, stream=_TEXT, domain=_TEXT, uri=_TEXT, request_id=_TEXT),
    "dt": _TIME,
    "wiki_id": _TEXT,
    "change_kind": _TEXT,
    "comment": _TEXT,
    "page": _object(page_id=_INTEGER, page_title=_TEXT, namespace_id=_INTEGER, is_redirect=_FLAG),
    "performer": _object(
        user_id=_INTEGER,
        user_text=_TEXT,
        groups={"type": "array", "items": _TEXT},
        is_bot=_FLAG,
        is_system=_FLAG,
        is_temp=_FLAG,
        edit_count=_INTEGER,
        registration_dt=_TIME,
    ),
    "revision": _object(
        rev_id=_INTEGER,
        rev_parent_id=_INTEGER,
        rev_dt=_TIME,
        rev_size=_INTEGER,
        is_minor_edit=_FLAG,
        rev_sha1=_TEXT,
        content_model=_TEXT,
        content_format=_TEXT,
    ),
    "timing": _object(save_ms={"type": "number"}, parse_ms={"type": "number"}),
    "tags": {"type": "object", "additionalProperties": _TEXT},
    "is_content": _FLAG,
    "session": _TEXT,
}


def count_of(properties: dict[str, Any]) -> int:
    """Return how many properties have values of their own."""
    return sum(count_of(one["properties"]) if "properties" in one else 1 for one in properties.values())


def event(chance: random.Random, number: int, at_ms: int) -> dict[str, Any]:
    """Return one event of some 1.3 kB."""
    seconds, millis = divmod(at_ms, 1000)
    dt = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{millis:03}Z"
    title = f"Page_{chance.randrange(1_000_000)}"
    return {
        "$schema": f"/{TITLE}/1.0.0",
        "meta": {
            "id": f"{chance.getrandbits(128):032x}",
            "dt": dt,
            "stream": STREAM,
            "domain": "en.wikipedia.org",
            "uri": f"https://en.wikipedia.org/wiki/{title}",
            "request_id": f"{chance.getrandbits(128):032x}",
        },
        "dt": dt,
        "wiki_id": "enwiki",
        "change_kind": "edit",
        "comment": "/* Section */ the text of a summary " + "word " * chance.randrange(20),
        "page": {
            "page_id": chance.randrange(10**8),
            "page_title": title,
            "namespace_id": chance.randrange(16),
            "is_redirect": False,
        },
        "performer": {
            "user_id": chance.randrange(10**8),
            "user_text": f"User {chance.randrange(10_000)}",
            "groups": ["*", "user", "autoconfirmed"],
            "is_bot": chance.random() < 0.2,
            "is_system": False,
            "is_temp": False,
            "edit_count": chance.randrange(10_000),
            "registration_dt": "2010-05-04T03:02:01Z",
        },
        "revision": {
            "rev_id": number,
            "rev_parent_id": number - 1,
            "rev_dt": dt,
            "rev_size": chance.randrange(100_000),
            "is_minor_edit": chance.random() < 0.3,
            "rev_sha1": f"{chance.getrandbits(160):040x}",
            "content_model": "wikitext",
            "content_format": "text/x-wiki",
        },
        "timing": {"save_ms": chance.random() * 1000, "parse_ms": chance.random() * 1000},
        "tags": {"editor": "visual", "platform": "desktop"},
        "is_content": True,
        "session": f"{chance.getrandbits(80):020x}",
    }


def prepared(root: Path, events: int) -> tuple[Path, int]:
    """Write settings, a schema and a database of events. Returns the lake's settings and the bytes of an event."""
    (root / "schemas" / TITLE).mkdir(parents=True)
    (root / "var" / "events").mkdir(parents=True)
    schema = {"$id": f"/{TITLE}/1.0.0", "title": TITLE, "type": "object", "properties": PROPERTIES}
    files = {
        f"schemas/{TITLE}/1.0.0.yaml": schema,
        "streams.yaml": {"streams": {STREAM: {"schema_title": TITLE}}},
        "intake.yaml": {
            "schemas": {"base_uris": ["schemas/"], "prepared_path": ""},
            "streams": {"sources": ["streams.yaml"]},
            "sink": {"kind": "sqlite"},
            "log": {"level": "error"},
        },
        "lake.yaml": {"intake": "intake.yaml"},
    }
    for name, value in files.items():
        (root / name).write_text(json.dumps(value), "utf-8")
    chance, total = random.Random(1), 0
    with closing(sqlite3.connect(root / "var" / "events" / "events-0.db")) as database, database:
        database.executescript(f"{SCHEMA}; PRAGMA user_version = {VERSION}")
        for number in range(events):
            at = BEGIN_MS + number * HOURS * 3_600_000 // events
            value = json.dumps(event(chance, number, at), separators=(",", ":"))
            total += len(value)
            database.execute(
                "INSERT INTO event (stored_ns, topic, timestamp_ms, headers, value) VALUES (0, ?, ?, '[]', ?)",
                (STREAM, at, value),
            )
    return root / "lake.yaml", total // events


def run(arguments: list[str]) -> int:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m bench lake")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="print where the time goes, and no figures")
    options = parser.parse_args(arguments)
    rates, found = [], {}
    for _ in range(1 if options.profile else options.rounds):
        with tempfile.TemporaryDirectory() as name:
            config, size = prepared(Path(name), options.events)
            if options.profile:
                return _profile(config)
            began = time.process_time()
            read = _landed(config)
            rates.append(read / (time.process_time() - began))
            found = _files(config) | {"event_bytes": size}
            if found["rows"] != options.events:
                raise SystemExit(f"{options.events} events became {found['rows']} rows")
    with tempfile.TemporaryDirectory() as name:
        rss = _most_rss_mib(prepared(Path(name), options.events)[0])
    figures = {
        "events": options.events,
        "properties": count_of(PROPERTIES),
        "events_per_cpu_s": [round(rate) for rate in sorted(rates)],
        "most_rss_mib": rss,
        **found,
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0


def _landed(config: Path, profile: cProfile.Profile | None = None) -> int:
    settings, base_dir = load(config)
    runner = Runner(settings, base_dir, Catalog(settings, base_dir), Stop())
    try:
        if profile is not None:
            return profile.runcall(runner.run, once=True).read
        return runner.run(once=True).read
    finally:
        runner.close()


def _profile(config: Path) -> int:
    profile = cProfile.Profile()
    _landed(config, profile)
    pstats.Stats(profile).sort_stats("tottime").print_stats(30)
    return 0


def _files(config: Path) -> dict[str, float]:
    """Return the rows, and the files of Parquet before and after a merge."""
    lake = Lake(*load(config), is_writer=False)
    try:
        (table,) = lake.tables()
        tasks = list(table.scan().plan_files())
        began = time.process_time()
        merged = list(compacted(table))
        merging = time.process_time() - began
        after = list(table.scan().plan_files())
    finally:
        lake.close()
    return {
        "rows": sum(task.file.record_count for task in tasks),
        "files": len(tasks),
        "parquet_bytes_per_event": sum(one.file.file_size_in_bytes for one in after)
        // sum(one.file.record_count for one in after),
        "files_merged": len(after),
        "merged_rows_per_cpu_s": round(sum(one.rows for one in merged) / merging) if merged else 0,
    }


def _most_rss_mib(config: Path) -> int:
    """The most memory that the command holds, in a process of its own."""
    command = [sys.executable, "-m", "server", "lake", "-c", str(config), "--once"]
    most = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text("ascii")
            most = max(most, *(int(kib) for kib in re.findall(r"^VmHWM:\s+(\d+)", status, re.MULTILINE)), 0)
            time.sleep(0.05)
    return most // 1024
