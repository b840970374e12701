"""server.intake.pipeline: the route of the last event serves the next one of the same names, and no other."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from server.boot.generation import read
from server.catalog.stream import Stream
from server.intake.pipeline import Pipeline, make_pipeline
from tests.server.intake.conftest import write
from tests.server.intake.test_pipeline import error_type, event, prepare


def test_events_of_one_schema_go_to_the_topics_of_their_streams(pipeline: Pipeline) -> None:
    names = ["plain", "plain", "ours", "plain", "ours", "ours"]

    topics = [prepare(pipeline, event(name)).topic for name in names * 2]

    assert topics == [{"plain": "dc1.plain", "ours": "a.topic.of.its.own"}[name] for name in names * 2]


def test_streams_that_change_change_every_event_after_them(settings_path: Path) -> None:
    generation = read(settings_path, [])
    pipeline = make_pipeline(generation.config, generation.schemas.find, generation.snapshot.find)

    def moved(name: str) -> Stream | None:
        stream = generation.snapshot.find(name)
        return None if stream is None else msgspec.structs.replace(stream, topic="moved")

    before = [prepare(pipeline, event()).topic for _ in range(3)]
    pipeline.use(moved)
    after = [prepare(pipeline, event()).topic for _ in range(3)]

    assert (before, after) == (["dc1.plain"] * 3, ["moved"] * 3)


def test_an_event_without_the_object_that_names_its_stream_is_no_bug(tmp_path: Path) -> None:
    """Its schema does not ask for it, so it passes the check, and there is no name to compare."""
    settings = write(tmp_path)
    file = tmp_path / "schemas/test/event/1.0.0.yaml"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"required": []}))
    generation = read(settings, [])
    pipeline = make_pipeline(generation.config, generation.schemas.find, generation.snapshot.find)
    raws = [event(), event(), b'{"$schema":"/test/event/1.0.0"}', b'{"$schema":"/test/event/1.0.0","meta":{}}']

    assert [error_type(prepare(pipeline, raw)) for raw in raws] == [None, None, "missing_stream", "missing_stream"]
