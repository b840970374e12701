"""Names, values and times at the edges of what JSON, Arrow, Iceberg and DuckDB can hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.processors.lake.world import HOUR, NOON, STREAM, Head, World, arrow, event, landing

pytestmark = pytest.mark.slow(reason="commits to tables")

TEXT = {"type": "string"}
LONG = {"type": "integer"}
DOUBLE = {"type": "number"}
TIME = {"type": "string", "format": "date-time", "maxLength": 128}


def array(items: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def record(**properties: Any) -> dict[str, Any]:
    """Return the schema of an object."""
    return {"type": "object", "properties": properties}


def map_of(values: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a map."""
    return {"type": "object", "additionalProperties": values}


def landed(root: Path, properties: dict[str, Any], *events: object, at: int = NOON) -> tuple[World, Head]:
    """Land events of a schema with these properties besides the plain ones."""
    world = World(root)
    world.schema("shop/order", "1.0.0", properties)
    world.put(*events, at=at)
    head = world.run().streams[STREAM]
    assert head.is_conserved
    assert head.consumed == len(events)
    return world, head


NAMES = {
    "é": "é",
    "日本": "日本",
    "😀": "_",
    "a-b": "a_b",
    "1x": "_1x",
    'q"u': "q_u",
    "it's": "it_s",
    "c.d": "c_d",
    "e\nf": "e_f",
    "_x20": "_x20",
    "select": "select",
}


def test_any_name_has_a_column(tmp_path: Path) -> None:
    values = {name: f"value of {name}" for name in NAMES}

    world, _ = landed(tmp_path, dict.fromkeys(NAMES, TEXT), event(1, **values))

    quoted = ", ".join(f'"{column}"' for column in NAMES.values())
    assert world.query(f"SELECT {quoted} FROM shop_order") == [tuple(values.values())]


def test_any_name_can_be_that_of_a_member_inside(tmp_path: Path) -> None:
    parts = dict.fromkeys(NAMES, LONG)
    schema = {
        "o": record(**parts),
        "l": array(record(**parts)),
        "m": map_of(array(record(**parts))),
        "n2": map_of(record(o=record(**parts))),
    }
    value = {name: number for number, name in enumerate(NAMES)}
    row = {column: number for number, column in enumerate(NAMES.values())}

    world, _ = landed(
        tmp_path, schema, event(1, o=value, l=[value, None], m={"k k": [value]}, n2={"k-k": {"o": value}})
    )

    assert world.query("SELECT o, l, m, n2 FROM shop_order") == [
        (row, [row, None], {"k k": [row]}, {"k-k": {"o": row}}),
    ]


def test_a_member_without_a_name_is_kept(tmp_path: Path) -> None:
    world, _ = landed(tmp_path, {"": TEXT, "o": record(**{"": TEXT, "a": LONG})}, event(1) | {"": "x", "o": {"": "y"}})

    assert [json.loads(extra) for (extra,) in world.query("SELECT _extra FROM shop_order")] == [{"": "x", "o.": "y"}]


def test_lists_in_lists(tmp_path: Path) -> None:
    schema = {"a": array(array(LONG)), "b": array(array(record(c=array(TEXT)))), "c": array(map_of(array(TIME)))}
    noon = "2026-01-01T12:00:00Z"

    world, head = landed(
        tmp_path,
        schema,
        event(1, a=[[1], [], [2, 3], None], b=[[{"c": ["x"]}, {}], []], c=[{"k": [noon]}]),
        event(2, a=[1]),
        event(3, a=[["1"]]),
    )

    assert world.query("SELECT a, b, c FROM shop_order") == [
        (
            [[1], [], [2, 3], None],
            [[{"c": ["x"]}, {"c": None}], []],
            [{"k": [datetime(2026, 1, 1, 12, tzinfo=UTC)]}],
        )
    ]
    assert (head.rows, head.rejected) == (1, 2)


def test_integers_that_64_bits_hold_are_exact_and_others_are_rejected(tmp_path: Path) -> None:
    largest, least = 2**63 - 1, -(2**63)
    longer = [largest + 1, least - 1, 10**400, 1e300]

    world, head = landed(
        tmp_path,
        {"i": LONG, "l": array(LONG), "j": {"type": ["integer", "string"]}},
        event(1, i=largest, l=[least], j=2**80),
        *(event(number, i=value) for number, value in enumerate(longer, 2)),
        event(8, l=[largest + 1]),
        json.dumps(event(9, i=0)).replace('"i": 0', '"i": 1' + "0" * 5000),
    )

    assert world.query("SELECT i, l, j FROM shop_order") == [(largest, [least], str(2**80))]
    assert head.rejected == 6


def test_numbers_at_the_ends_of_a_double(tmp_path: Path) -> None:
    numbers = [-0.0, 5e-324, 1.7976931348623157e308, 2**70]

    world, head = landed(
        tmp_path,
        {"f": DOUBLE},
        *(event(number, f=value) for number, value in enumerate(numbers)),
        *(json.dumps(event(9, f=0)).replace('"f": 0', f'"f": {text}') for text in ("NaN", "Infinity", "1e999")),
    )

    assert [repr(value) for (value,) in world.query("SELECT f FROM shop_order ORDER BY n")] == [
        repr(float(value)) for value in numbers
    ]
    assert head.rejected == 3


TIMES = {
    "0001-01-01T00:00:00Z": datetime(1, 1, 1, tzinfo=UTC),
    "9999-12-31T23:59:59.999999Z": datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC),
    "9999-12-31T23:59:59+14:00": datetime(9999, 12, 31, 9, 59, 59, tzinfo=UTC),
    "1582-10-10T00:00:00Z": datetime(1582, 10, 10, tzinfo=UTC),
    "1969-12-31T23:59:59.5Z": datetime(1969, 12, 31, 23, 59, 59, 500_000, UTC),
    "2026-01-01T00:00:00.123456789Z": datetime(2026, 1, 1, 0, 0, 0, 123_456, UTC),
}
NO_TIMES = (
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "0000-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "",
)


def test_times_at_the_ends_of_the_calendar(tmp_path: Path) -> None:
    texts = [*TIMES, *NO_TIMES]

    world, head = landed(tmp_path, {"t": TIME}, *(event(number, t=text) for number, text in enumerate(texts)))

    assert [at for (at,) in world.query("SELECT t FROM shop_order ORDER BY n")] == list(TIMES.values())
    assert head.rejected == len(NO_TIMES)


@pytest.mark.parametrize("at", [0, -1, -HOUR - 5, landing.LEAST_MS, landing.MOST_MS])
def test_the_time_of_a_record_can_be_any_of_the_calendar(tmp_path: Path, at: int) -> None:
    world, head = landed(tmp_path, {}, event(1), "no JSON", at=at)

    assert (head.rows, head.rejected) == (1, 1)
    assert world.query("SELECT epoch_ms(_timestamp) FROM shop_order") == [(at,)]
    assert world.run().read == 0


@pytest.mark.parametrize("at", [landing.LEAST_MS - 1, landing.MOST_MS + 1, 2**62, -(2**62)])
def test_a_record_outside_the_calendar_is_rejected_and_kept(tmp_path: Path, at: int) -> None:
    world, head = landed(tmp_path, {}, event(1), "no JSON", at=at)

    assert head.rejected == 2
    assert [reason for (reason,) in world.query("SELECT reason FROM shop_order__rejected ORDER BY _offset")] == [
        f"the time of the record, {at} ms, is in no calendar",
        "it is no JSON: JSON is malformed: invalid character (byte 4)",
    ]


def test_json_that_is_nested_too_deeply_is_rejected(tmp_path: Path) -> None:
    deep = json.dumps(event(1, j=0)).replace('"j": 0', '"j": ' + "[" * 100_000 + "]" * 100_000)

    _, head = landed(tmp_path, {"j": {}}, "[" * 100_000, deep, deep.replace('"j"', '"unknown"'), event(2, j=[[[1]]]))

    assert (head.rows, head.rejected) == (1, 3)


def test_objects_in_lists_and_maps_grow(tmp_path: Path) -> None:
    world, _ = landed(
        tmp_path,
        {"l": array(record(a=LONG)), "m": map_of(record(a=LONG)), "x": LONG},
        event(1, l=[{"a": 1}], m={"k": {"a": 1}}, x=1),
    )
    world.schema("shop/order", "1.1.0", {"l": array(record(b=TEXT, a=LONG)), "m": map_of(record(a=LONG, b=TEXT))})
    world.put(event(2, version="1.1.0", l=[{"a": 2, "b": "z"}], m={"k": {"b": "q"}}))

    head = world.run().streams[STREAM]

    assert head.is_conserved
    assert world.query("SELECT l, m, x FROM shop_order ORDER BY n") == [
        ([{"a": 1, "b": None}], {"k": {"a": 1, "b": None}}, 1),
        ([{"a": 2, "b": "z"}], {"k": {"a": None, "b": "q"}}, None),
    ]


def test_large_events_are_packed_by_their_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "PACK_BYTES", 3_000)
    packed: list[int] = []
    real = arrow.table_of

    def table_of(rows: Any, schema: Any) -> Any:
        packed.append(len(rows))
        return real(rows, schema)

    monkeypatch.setattr(arrow, "table_of", table_of)

    landed(tmp_path, {"x": TEXT}, *(event(number, x="y" * 1_000) for number in range(10)))

    assert max(packed) == 3
    assert sum(packed) == 10
