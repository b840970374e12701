"""Run the processor on made-up histories, from the inputs in a sink to the output in a sink, and judge it.

Place: command → HERE → inputs, a runner, checker.
Rules: everything happens in one directory.
Not here: the histories (history), the verdict (checker).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import orjson

from processors.page_change.catalog import open_catalog
from processors.page_change.draft import Bounds
from processors.page_change.embedded.run import Runner
from processors.page_change.embedded.store import NAME
from processors.page_change.format import Names
from processors.page_change.oracle.checker import Report, check
from processors.page_change.oracle.history import Wiki
from processors.page_change.oracle.inputs import Arrival, Inputs, spread
from processors.page_change.records import Output
from processors.page_change.settings import load
from processors.page_change.times import millis_of
from server.sink.sqlite.file import SCHEMA, STEM, SUFFIX, VERSION

EXAMPLE: Final = Path(__file__).parents[1] / "example"
SERVER_SCHEMAS: Final = Path(__file__).parents[3] / "server" / "examples" / "schemas"
_INSERT: Final = """
INSERT INTO event (stored_ns, topic, key, timestamp_ms, headers, value) VALUES (0, ?, NULL, ?, '[]', ?)
"""


def judged(directory: Path, seed: int, pages: int) -> Report:
    """Run one seed."""
    wiki, inputs = history_of(seed, pages)
    outputs = consolidated(directory, inputs.centres)
    return verdict_on(wiki, inputs, outputs)


def history_of(seed: int, pages: int, name: str = "examplewiki") -> tuple[Wiki, Inputs]:
    """Make the history of a wiki by a seed, and its inputs."""
    wiki = Wiki(seed, pages, name)
    wiki.run()
    bounds = Bounds()
    return wiki, spread(wiki, seed, bounds.disorder_ms, bounds.reorder_ms)


def verdict_on(wiki: Wiki, inputs: Inputs, outputs: Sequence[Output]) -> Report:
    """Judge the records of the output and of the side streams."""
    names = Names()
    changes = (orjson.loads(one.value) for one in outputs if one.stream == names.output)
    asides = (orjson.loads(one.value) for one in outputs if one.stream in (names.late, names.inconsistent))
    return check(wiki, inputs.late_pages, changes, asides, names.output, (names.late, names.inconsistent))


def records_of(lines: Iterable[bytes]) -> list[Arrival]:
    """Return the records of source events in the order of the lines."""
    found = []
    for line in lines:
        event = orjson.loads(line)
        at = millis_of(event["meta"]["dt"])
        assert at is not None
        found.append(Arrival(event["meta"]["stream"], at, event["page_id"], line))
    return found


def consolidated(directory: Path, centres: Mapping[str, Sequence[Arrival]]) -> list[Output]:
    """Run the processor to the end of these inputs. Returns all records that it wrote, in order."""
    return run_once(prepared(directory, centres))


def run_once(config: Path) -> list[Output]:
    """Run the processor with these settings to the end of its inputs. Returns all records of its output, in order."""
    settings, base_dir = load(config)
    running = Runner(settings, base_dir, open_catalog(settings, base_dir))
    try:
        running.run(once=True)
    finally:
        running.close()
    return stored(base_dir / settings.path)


def prepared(directory: Path, centres: Mapping[str, Sequence[Arrival]], **settings: object) -> Path:
    """Write inputs into an embedded sink, with the settings of an intake and a processor. Returns those of the
    processor."""
    sink = directory / "sink"
    sink.mkdir()
    for number, (centre, arrivals) in enumerate(centres.items()):
        with closing(sqlite3.connect(sink / f"{STEM}-{number}{SUFFIX}")) as database, database:
            database.execute(SCHEMA)
            database.execute(f"PRAGMA user_version = {VERSION}")
            prefix = centre if centre in ("eqiad", "codfw") else "codfw"
            rows = ((f"{prefix}.{one.stream}", one.at, one.raw.decode()) for one in arrivals)
            database.executemany(_INSERT, rows)
    intake = {
        "schemas": {"base_uris": [str(EXAMPLE / "schemas"), str(SERVER_SCHEMAS)], "prepared_path": ""},
        "streams": {"sources": [str(EXAMPLE / "streams.yaml")]},
        "sink": {"kind": "sqlite", "sqlite": {"path": "sink"}, "topic_prefix": "eqiad."},
        "service_name": "penstock",
        "intake": {"error_stream": Names().error},
        "log": {"level": "warning"},
    }
    (directory / "intake.yaml").write_bytes(orjson.dumps(intake))
    path = directory / "page-change.yaml"
    path.write_bytes(orjson.dumps({"intake": "intake.yaml", "path": "out", **settings}))
    return path


def stored(directory: Path) -> list[Output]:
    """Return the records in the store of a processor, in the order in which they were written."""
    with closing(sqlite3.connect(directory / NAME)) as database:
        rows = database.execute("SELECT topic, key, timestamp_ms, value FROM event ORDER BY id").fetchall()
    return [
        Output(topic.partition(".")[2], None if key is None else key.encode(), at, value.encode())
        for topic, key, at, value in rows
    ]
