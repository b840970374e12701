"""Inputs that are removed and made again under their names are read from their beginning, and hold nothing up."""

from __future__ import annotations

import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from processors.page_change.embedded.inputs import is_successor, named, position_in, shown
from processors.page_change.embedded.watermarks import Watermarks
from processors.page_change.oracle.inputs import Arrival
from processors.page_change.oracle.kafka import Topics
from processors.page_change.oracle.run import prepared, records_of, run_once
from processors.page_change.records import Output
from tests.harness.running import Running, eventually
from tests.processors.page_change.events import NAMES, event
from tests.processors.page_change.runs import process

CREATE = "mediawiki.page-create"


def created(*pages: int) -> list[Arrival]:
    """A creation of each of these pages."""
    return records_of(orjson.dumps(event("page-create", page, page, page_id=page)) for page in pages)


def pages_of(outputs: list[Output]) -> list[int]:
    """The pages of the outputs, side streams included, in order."""
    return [orjson.loads(one.key)["page_id"] for one in outputs if one.key is not None]


def identify(directory: Path, identity: int) -> None:
    with closing(sqlite3.connect(directory / "sink" / "events-0.db")) as database, database:
        database.execute(f"PRAGMA application_id = {identity}")


@pytest.mark.parametrize(("first", "second", "is_another"), [(1, 2, True), (0, 0, False), (0, 2, False), (2, 2, False)])
def test_a_database_in_the_place_of_another_is_read_from_its_beginning(
    tmp_path: Path, first: int, second: int, is_another: bool, caplog: pytest.LogCaptureFixture
) -> None:
    config = prepared(tmp_path, {"eqiad": created(1, 2, 3)})
    identify(tmp_path, first)
    run_once(config)
    other = tmp_path / "other"
    other.mkdir()
    prepared(other, {"eqiad": created(11, 12, 13, 14)})
    identify(other, second)
    (other / "sink" / "events-0.db").replace(tmp_path / "sink" / "events-0.db")
    found = pages_of(run_once(config))

    assert sorted(found) == ([1, 2, 3, 11, 12, 13, 14] if is_another else [1, 2, 3, 14])
    assert ("is another database than before: it is read from its beginning" in caplog.text) is is_another
    assert sorted(pages_of(run_once(config))) == sorted(found)


def test_a_partition_is_named_by_its_log_and_the_identity_of_that() -> None:
    assert named("topic", "Ab-_", "3") == "topic#Ab-_/3"
    assert named("topic", "", "3") == "topic/3"
    assert named("events-0.db", "0000000f") == "events-0.db#0000000f"
    for name in ("topic#Ab-_/3", "topic/3"):
        assert shown(name) == "topic/3"
    for name in ("events-0.db#0000000f", "events-0.db"):
        assert shown(name) == "events-0.db"


@pytest.mark.parametrize(
    ("name", "position", "is_another"),
    [
        ("a#1/0", 7, False),
        ("a#2/0", 0, True),
        ("a#2/1", 4, False),  # What an earlier version has stored.
        ("a/0", 5, False),
        ("b#1/0", 0, False),
    ],
)
def test_positions_are_those_of_the_same_log(name: str, position: int, is_another: bool) -> None:
    stored = {"a#1/0": 7, "a/0": 5, "a/1": 4}

    assert position_in(name, stored) == position
    assert is_successor(name, stored) is is_another


def test_times_are_shown_of_the_partitions_that_are_there() -> None:
    marks = Watermarks(0, {"a#1/0": 5, "a#2/0": 7, "b/0": 8})

    assert marks.times(["a#2/0", "b/0", "c/0"]) == {"a/0": 7, "b/0": 8}


def make_again(topics: Topics) -> None:
    """Delete the topic of creations, and make it with one partition instead of two."""
    admin = AdminClient({"bootstrap.servers": topics.servers})
    (name,) = [one for one in topics.read if one.endswith(f"eqiad.{CREATE}")]
    admin.delete_topics([name])[name].result(30)
    eventually(lambda: name not in admin.list_topics(timeout=10).topics)
    eventually(lambda: admin.create_topics([NewTopic(name, 1)])[name].exception(30) is None)


@pytest.mark.kafka
@pytest.mark.slow(reason="starts a broker")
def test_a_topic_that_is_made_again_is_read_from_its_beginning(topics: Topics, tmp_path: Path) -> None:
    topics.produce({"eqiad": created(*range(1, 21))})
    config = topics.settings(tmp_path, commit_s=0.1)
    process(sys.executable, config)
    make_again(topics)
    topics.produce({"eqiad": created(*range(21, 61))})
    command = ["-m", "server", "process", "page-change", "-c", str(config)]
    with Running(command, tmp_path / "log") as one:
        one.says(f"{CREATE} was deleted and made again: it is read from its beginning")
        eventually(lambda: set(pages_of(topics.outputs())) == set(range(1, 61)))
        make_again(topics)
        topics.produce({"eqiad": created(*range(61, 71))})
        eventually(lambda: set(pages_of(topics.outputs())) == set(range(1, 71)))
        one.says(f"{CREATE} was deleted and made again: it is read from its beginning", times=2)
        admin = AdminClient({"bootstrap.servers": topics.servers})
        (name,) = [each for each in topics.read if each.endswith("codfw.mediawiki.page-delete")]
        admin.delete_topics([name])[name].result(30)
        one.says(f"partition {name}/0 is gone: nothing waits for it any more")
        topics.produce({"eqiad": created(71)})
        eventually(lambda: 71 in pages_of(topics.outputs()))
        one.signal(signal.SIGTERM)
        ended = one.exit_code()

    found = topics.outputs()

    assert ended == 0
    assert set(pages_of(found)) == set(range(1, 72))
    # The others are late, because the first run was at the ends of all inputs. What is read before the new topic is
    # noticed is read once more.
    assert sorted(pages_of([one for one in found if one.stream == NAMES.output])) == list(range(1, 21))
