"""What an event is told whose schema or stream cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.boot.generation import read
from server.config.settings import Config
from server.intake.pipeline import make_pipeline
from server.intake.text.name_hints import NameHints
from server.intake.verdict import failed
from tests.server.intake.test_pipeline import event, prepare


def test_a_broken_schema_is_an_error_that_no_retry_mends() -> None:
    pipeline = make_pipeline(Config(), lambda _: ("broken_schema", "for the log"), lambda _: None)

    answer = failed([prepare(pipeline, event())])

    assert (answer.status, answer.retry_after_s) == (500, 0)
    assert b'"error_type":"internal"' in answer.body and b"schema '/test/event/1.0.0' is broken" in answer.body
    assert b"retry_after_s" not in answer.body and b"for the log" not in answer.body


@pytest.mark.parametrize(
    ("raw", "end"),
    [
        (event("plian"), "; did you mean 'plain'?"),
        (event(title="test/evnt"), "; did you mean '/test/event/1.0.0'?"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(settings_path: Path, raw: bytes, end: str) -> None:
    generation = read(settings_path, [])
    schemas, snapshot = generation.schemas, generation.snapshot
    hints = NameHints(snapshot.streams(), schemas.versions)
    verdict = prepare(make_pipeline(generation.config, schemas.find, snapshot.find, hints=hints), raw).verdict

    assert verdict is not None and verdict.text.endswith(end)
