"""The plan for Spark has the columns of the lake, as types of Spark."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from processors.lake.columns import Field, Kind, ListOf, MapOf, Plain, Record
from processors.lake.spark import type_of
from tests.harness.running import ROOT
from tests.processors.lake.world import STREAM, World

TYPES: dict[str, Kind] = {
    "STRING": Plain.TEXT,
    "TIMESTAMP": Plain.INSTANT,
    "BIGINT": Plain.LONG,
    "DOUBLE": Plain.DOUBLE,
    "BOOLEAN": Plain.BOOLEAN,
    "ARRAY<MAP<STRING, BIGINT>>": ListOf(MapOf(Plain.LONG)),
    "STRUCT<`a b`: STRING, `c``d`: STRING>": Record(
        (Field("a b", "a b", Plain.JSON), Field("c`d", "c`d", Plain.LOOSE))
    ),
}


@pytest.mark.parametrize("text", TYPES)
def test_the_type_of_a_column(text: str) -> None:
    assert type_of(TYPES[text], is_read=True) == text


def test_events_are_read_by_their_own_names_and_written_by_those_of_the_columns() -> None:
    kind = Record((Field("$schema", "_schema", Plain.TEXT),))

    assert type_of(kind, is_read=True) == "STRUCT<`$schema`: STRING>"
    assert type_of(kind, is_read=False) == "STRUCT<`_schema`: STRING>"


@pytest.mark.slow(reason="starts the command")
def test_the_command_prints_each_table(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.schema("shop/order", "2.0.0", {"when": {"type": "string", "format": "date-time", "maxLength": 40}})
    command = [sys.executable, "-m", "server", "lake", "-c", str(world.config), "--spark"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, done.stderr
    first, second = msgspec.json.decode(done.stdout)
    assert (first["stream"], first["table"], first["topics"], first["schemas"]) == (
        STREAM,
        "shop_order",
        [STREAM],
        "/shop/order/1.",
    )
    assert (
        first["read"]
        == "STRUCT<`$schema`: STRING, `meta`: STRUCT<`stream`: STRING, `id`: STRING, `domain`: STRING>, `n`: BIGINT>"
    )
    assert first["write"] == first["read"].replace("$schema", "_schema")
    assert (second["table"], second["schemas"]) == ("shop_order_v2", "/shop/order/2.")
    assert second["read"].endswith("`when`: TIMESTAMP>")
