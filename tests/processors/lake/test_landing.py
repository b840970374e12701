"""Events of the embedded sink land in tables, each once, by the hour of their time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.canary.event import DOMAIN
from server.errors import PenstockError, SettingsError
from tests.processors.lake.world import HOUR, NOON, STREAM, World, event, hour_now

pytestmark = pytest.mark.slow(reason="commits to tables")

COUNT = 'SELECT count(*), count(DISTINCT (_partition, _offset)) FROM "shop_order"'


def closed(world: World) -> int:
    """Return the time before which every hour is closed, in milliseconds."""
    return int(world.tables()["shop_order"].properties["penstock.closed_through"])


def test_every_event_that_was_read_is_accounted_for(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(*(event(number) for number in range(10)), event(3), event(4))
    canary = event(20)
    canary["meta"]["domain"] = DOMAIN
    world.put(canary, "no JSON", "[]", event(21, version="7.0.0"), event(22) | {"n": "text"})

    head = world.run().streams[STREAM]

    assert (head.consumed, head.rows, head.canaries, head.duplicates, head.rejected) == (17, 10, 1, 2, 4)
    assert head.is_conserved
    assert head.offsets == {"events-0.db": 18}
    assert world.query(COUNT) == [(10, 10)]
    reasons = dict(world.query("SELECT _offset, reason FROM shop_order__rejected"))
    assert {offset: reason.split(":")[0] for offset, reason in reasons.items()} == {
        14: "it is no JSON",
        15: "it is no JSON object",
        16: "there is no schema of shop/order with the major version 7",
        17: "n",
    }
    assert world.query("SELECT value FROM shop_order__rejected WHERE _offset = 14") == [(b"no JSON",)]


def test_a_second_run_reads_on_where_the_first_ended(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(event(1), event(2))
    first = world.run()
    nothing = world.run()
    world.put(event(3), event(2))

    third = world.run()

    assert (first.read, nothing.read, third.read) == (2, 0, 2)
    head = third.streams[STREAM]
    assert (head.consumed, head.rows, head.duplicates) == (4, 4, 0), "IDs of an hour that is closed are not kept"
    assert world.query("SELECT n, _offset FROM shop_order ORDER BY _offset") == [(1, 1), (2, 2), (3, 3), (2, 4)]


def test_ids_of_open_hours_are_known_after_a_start(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(event(1), event(2), at=hour_now())
    world.run()
    world.put(event(1), event(3), at=hour_now())

    head = world.run().streams[STREAM]

    assert (head.rows, head.duplicates) == (3, 1)


def test_an_event_with_the_id_of_a_rejected_one_is_no_duplicate(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(event(1) | {"n": "text"}, event(1), event(1))

    head = world.run().streams[STREAM]

    assert (head.rows, head.duplicates, head.rejected) == (1, 1, 1)
    assert head.is_conserved


def test_an_event_that_comes_three_hours_late_lands_in_its_own_hour(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(event(1), at=NOON)
    world.put(event(2), at=NOON + 5 * HOUR)
    world.run()
    closed_before = closed(world)
    world.put(event(3), at=NOON + 2 * HOUR)

    world.run()

    assert closed_before > NOON + 6 * HOUR, "all partitions were read to their ends at a later clock"
    hours = [task.file.partition[0] - NOON // HOUR for task in world.tables()["shop_order"].scan().plan_files()]
    assert sorted(hours) == [0, 2, 5]
    assert world.query("SELECT n, epoch_ms(_timestamp) FROM shop_order WHERE n = 3") == [(3, NOON + 2 * HOUR)]


def test_an_hour_stays_open_until_late_events_may_not_come_any_more(tmp_path: Path) -> None:
    world = World(tmp_path, late_s=7_200)
    begun = hour_now()
    world.put(event(1), at=begun)

    world.run()

    assert begun - 2 * HOUR <= closed(world) <= hour_now() - 2 * HOUR


def test_a_canary_alone_closes_the_hours_of_an_idle_stream(tmp_path: Path) -> None:
    world = World(tmp_path)
    canary = event(1)
    canary["meta"]["domain"] = DOMAIN
    world.put(canary)
    begun = hour_now()

    world.run()

    assert begun - HOUR <= closed(world) <= hour_now() - HOUR
    assert world.query(COUNT) == [(0, 0)]


def test_an_idle_partition_holds_nothing_up_and_one_that_appears_later_is_read_whole(tmp_path: Path) -> None:
    world = World(tmp_path)
    begun = hour_now()
    world.put(event(1), file="events-0.db")
    world.put(file="events-1.db")
    world.run()
    world.put(event(2), event(3), file="events-1.db")
    world.put(event(4), file="events-2.db")

    head = world.run().streams[STREAM]

    assert head.offsets == {"events-0.db": 2, "events-1.db": 3, "events-2.db": 2}
    assert world.query("SELECT list(n ORDER BY n) FROM shop_order") == [([1, 2, 3, 4],)]
    assert begun - HOUR <= closed(world) <= hour_now() - HOUR


def test_a_schema_that_grows_in_mid_batch_widens_the_table(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.put(event(1))
    runner = world.runner()  # It has read the schemas now.
    world.schema("shop/order", "1.1.0", {"colour": {"type": "string"}, "m": {"type": "object"}})
    world.put(event(2, version="1.1.0", colour="red"), event(3), event(4, version="1.2.0", shape="round"))
    try:
        head = runner.run(once=True).streams[STREAM]
    finally:
        runner.close()

    assert head.is_conserved and head.rows == 4
    assert world.query("SELECT n, colour, _schema, _extra FROM shop_order ORDER BY n") == [
        (1, None, "/shop/order/1.0.0", None),
        (2, "red", "/shop/order/1.1.0", None),
        (3, None, "/shop/order/1.0.0", None),
        (4, None, "/shop/order/1.2.0", '{"shape":"round"}'),
    ]
    assert world.tables()["shop_order"].properties["penstock.schema"] == "/shop/order/1.1.0"


def test_objects_inside_grow_too(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.schema("shop/order", "1.0.0", {"o": {"type": "object", "properties": {"a": {"type": "integer"}}}})
    world.put(event(1, o={"a": 1}))
    world.run()
    both = {"a": {"type": "integer"}, "b": {"type": "array", "items": {"type": "string"}}}
    world.schema("shop/order", "1.1.0", {"o": {"type": "object", "properties": both}})
    world.put(event(2, version="1.1.0", o={"a": 2, "b": ["x"]}))

    world.run()

    assert world.query("SELECT o.a, o.b FROM shop_order ORDER BY n") == [(1, None), (2, ["x"])]


def test_a_column_whose_type_would_change_ends_the_run_in_plain_words(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.schema("shop/order", "1.0.0", {"x": {"type": "integer"}})
    world.put(event(1, x=1))
    world.run()
    world.schema("shop/order", "1.1.0", {"x": {"type": "string"}})
    world.put(event(2, version="1.1.0", x="1"))

    with pytest.raises(PenstockError, match=r"cannot take the columns of /shop/order/1\.1\.0"):
        world.run()
    assert world.query("SELECT n, x FROM shop_order") == [(1, 1)]


def test_each_major_version_has_a_table_of_its_own(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.schema("shop/order", "2.0.0", {"n": {"type": "string"}})
    world.put(event(1), event(2, version="2.0.0") | {"n": "two"}, event(3))

    head = world.run().streams[STREAM]

    assert head.is_conserved and head.rows == 3
    assert world.query("SELECT n FROM shop_order ORDER BY n") == [(1,), (3,)]
    assert world.query("SELECT n FROM shop_order_v2") == [("two",)]


def test_streams_that_share_a_topic_take_their_own_events_alone(tmp_path: Path) -> None:
    world = World(tmp_path, {STREAM: "shop/order", "shop.return": "shop/order"})
    world.schema("shop/order", "1.0.0", {})
    both = {"schema_title": "shop/order", "topics": ["shop"]}
    world.write("streams.yaml", {"streams": {STREAM: both, "shop.return": both}})
    other: dict[str, Any] = event(2)
    other["meta"]["stream"] = "shop.return"
    world.put(event(1), other, topic="shop")

    told = world.run()

    assert {name: head.consumed for name, head in told.streams.items()} == {STREAM: 1, "shop.return": 1}
    assert world.query("SELECT n FROM shop_return") == [(2,)]


def test_two_streams_whose_tables_would_have_one_name_are_told_apart_by_an_error(tmp_path: Path) -> None:
    world = World(tmp_path, {"shop.order": "shop/order", "shop-order": "shop/order"})
    world.schema("shop/order", "1.0.0", {})
    other: dict[str, Any] = event(2)
    other["meta"]["stream"] = "shop-order"
    world.put(event(1))
    world.put(other, topic="shop-order")

    with pytest.raises(PenstockError, match="the table shop_order belongs to the stream"):
        world.run()


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    runner = world.runner()
    try:
        with pytest.raises(SettingsError, match="in use by another process"):
            world.runner()
    finally:
        runner.close()


def test_two_processes_share_a_catalogue_if_each_has_streams_of_its_own(tmp_path: Path) -> None:
    catalog = {"type": "sql", "uri": f"sqlite:///{tmp_path}/all.db", "warehouse": f"file://{tmp_path}/warehouse"}
    titles = {STREAM: "shop/order", "shop.return": "shop/order"}
    world = World(tmp_path, titles, catalog=catalog, streams=[STREAM], path="one")
    world.schema("shop/order", "1.0.0", {})
    other: dict[str, Any] = event(2)
    other["meta"]["stream"] = "shop.return"
    world.put(event(1))
    world.put(other, topic="shop.return")
    first = world.runner()
    settings = {"intake": "intake.yaml", "catalog": catalog, "streams": ["shop.return"], "path": "two"}
    world.write("lake.yaml", settings)
    second = world.runner()
    try:
        heads = first.run(once=True).streams | second.run(once=True).streams
    finally:
        first.close()
        second.close()

    assert {name: head.rows for name, head in heads.items()} == {STREAM: 1, "shop.return": 1}
    assert world.query("SELECT n FROM shop_order UNION ALL SELECT n FROM shop_return ORDER BY n") == [(1,), (2,)]


def test_a_stream_whose_consumer_is_switched_off_is_left_out(tmp_path: Path) -> None:
    world = World(tmp_path)
    off = {"schema_title": "shop/order", "consumers": {"analytics_hive_ingestion": {"enabled": False}}}
    world.write("streams.yaml", {"streams": {STREAM: off}})
    world.put(event(1))

    told = world.run()

    assert (told.streams, world.tables()) == ({}, {})


def test_a_stream_that_joins_later_makes_no_other_stream_count_an_event_again(tmp_path: Path) -> None:
    """It is read from the beginning, past events of streams that have had them."""
    world = World(tmp_path, {STREAM: "shop/order", "shop.cart": "shop/order"}, streams=[STREAM])
    world.schema("shop/order", "1.0.0", {})
    cart = event(3) | {"meta": {"stream": "shop.cart", "id": "id-3"}}
    world.put(cart, topic="shop.cart")
    world.put(event(1), event(2))
    first = world.run().streams[STREAM]
    world.write("lake.yaml", {"intake": "intake.yaml", "streams": [STREAM, "shop.cart"]})

    told = world.run()
    again = world.run()

    assert first.offsets == {"events-0.db": 4}, "that of the next event"
    assert told.read == 3, "all events of both"
    assert (told.streams[STREAM].consumed, told.streams[STREAM].rows) == (2, 2)
    assert (told.streams["shop.cart"].consumed, told.streams["shop.cart"].rows) == (1, 1)
    assert [again.streams[name] for name in (STREAM, "shop.cart")] == list(told.streams.values())
