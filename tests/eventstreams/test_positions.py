"""A position's text says all of it, in both forms, and a wrong text is no position."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventstreams.flow import positions
from eventstreams.flow.positions import Entry, PositionError, Positions, parse
from eventstreams.record import Place, Record

TOPICS = st.text("abc.XYZ09_-", min_size=1, max_size=20)
STARTS = st.dictionaries(
    st.tuples(TOPICS, st.integers(0, 200)),
    st.tuples(st.integers(0, 1 << 40), st.none() | st.integers(0, 1 << 45)),
    min_size=1,
    max_size=120,
)


def entries_of(starts: dict[Place, tuple[int, int | None]], logs: dict[Place, str] | None = None) -> set[Entry]:
    return {Entry(*place, at, ms, (logs or {}).get(place, "")) for place, (at, ms) in starts.items()}


@given(STARTS, st.text("abcXYZ019_-", max_size=22), st.data())
def test_a_text_is_read_as_the_position_that_it_was_written_of(
    starts: dict[Place, tuple[int, int | None]], cluster: str, more: st.DataObject
) -> None:
    logs = {place: more.draw(st.sampled_from(["", "L1", "L-2_"])) for place in starts}
    position = Positions(cluster, starts, logs)
    text = position.text().decode()
    found = parse(text)

    assert (set(found.entries), found.cluster) == (entries_of(starts, logs), cluster)
    assert position.copy().text().decode() == text
    assert "\n" not in text


@given(STARTS, st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 3), st.sampled_from(["", "L1", "L2"]))))
def test_logs_that_are_put_are_in_the_text(
    starts: dict[Place, tuple[int, int | None]], put: list[tuple[str, int, str]]
) -> None:
    position = Positions("K1", starts)
    logs = dict.fromkeys(starts, "")
    for topic, partition, log in put:
        position.text()
        position.put((topic, partition), 7, None, log)
        starts[topic, partition], logs[topic, partition] = (7, None), log

    assert set(parse(position.text().decode()).entries) == entries_of(starts, logs)


def test_the_log_is_named_once_per_topic_and_where_it_is_another_one() -> None:
    starts: dict[Place, tuple[int, int | None]] = {("a", 0): (3, 17), ("a", 1): (5, None), ("a", 2): (6, None)}
    text = Positions("K1", starts, {("a", 0): "L1", ("a", 1): "L1", ("a", 2): "L2"}).text()

    assert json.loads(text) == [
        {"topic": "a", "partition": 0, "offset": 3, "timestamp": 17, "log": "L1", "cluster": "K1"},
        {"topic": "a", "partition": 1, "offset": 5},
        {"topic": "a", "partition": 2, "offset": 6, "log": "L2"},
    ]


def test_the_text_is_kafka_sse_s_with_the_cluster_once() -> None:
    text = Positions("K1", {("b", 1): (5, None), ("a", 0): (3, 17)}).text()

    assert json.loads(text) == [
        {"topic": "a", "partition": 0, "offset": 3, "timestamp": 17, "cluster": "K1"},
        {"topic": "b", "partition": 1, "offset": 5},
    ]


def test_a_long_position_has_the_compact_form() -> None:
    starts: dict[Place, tuple[int, int | None]] = {("topic", at): (1 << 40, 1 << 40) for at in range(100)}
    text = Positions("K1", starts).text()

    assert text.startswith(b"c1.K1;topic/0:")
    assert len(text) < positions.COMPACT_FROM_BYTES < 100 * 60
    assert set(parse(text.decode()).entries) == entries_of(starts)


def test_a_step_notes_the_next_offset_and_the_largest_timestamp() -> None:
    position = Positions("K1", {("a", 0): (0, None)})
    for offset, ms in ((0, 50), (4, 20), (5, 30)):
        position.advance(Record("a", 0, offset, ms, None, b""))

    assert (position.next, position.timestamps) == ({("a", 0): 6}, {("a", 0): 50})


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "{}",
        "[1]",
        '[{"topic":"a"}]',
        '[{"topic":"a","partition":-1,"offset":1}]',
        '[{"topic":"a","partition":true,"offset":1}]',
        '[{"topic":"a","partition":0}]',
        '[{"topic":"a","partition":0,"offset":-2}]',
        '[{"topic":"a","partition":0,"offset":1.5}]',
        '[{"topic":"a","partition":0,"offset":99999999999999999999}]',
        '[{"topic":"a","partition":0,"offset":1},{"topic":"a","partition":0,"offset":2}]',
        '[{"topic":"a","partition":0,"offset":1,"log":1}]',
        "c1.K1;a=L1;b/0:1",
        "c1.K1;a=/0:1",
        "c1.K1",
        "c1.K1;a/0:1;a/0:2",
        "c1.K1;a/0",
        "c1.K1;a/0:1@x",
        "[" * 100_000,
        "[" * 10_000,
    ],
)
def test_a_wrong_text_is_no_position(text: str) -> None:
    with pytest.raises(PositionError):
        parse(text)
