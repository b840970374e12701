"""`penstock events --stream`: a stream without events is declared, or does not exist."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from server.commands import events, init
from server.config.load import load
from server.sink.sqlite.file import SCHEMA


@pytest.fixture
def intake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The settings of an intake that has stored one event of hello.greeting, and one of a stream since removed."""
    init.run(tmp_path)
    capsys.readouterr()
    directory = tmp_path / "var" / "events"
    directory.mkdir(parents=True)
    with closing(sqlite3.connect(directory / "events-0.db")) as database, database:
        database.execute(SCHEMA)
        database.executemany(
            "INSERT INTO event (stored_ns, topic, key, timestamp_ms, headers, value) VALUES (?,?,?,?,?,?)",
            [(1, topic, None, 1, "{}", '{"n":1}') for topic in ("hello.greeting", "old.stream")],
        )
    return tmp_path / "intake.yaml"


def shown(intake: Path, stream: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    loaded = load(intake, [], {})
    code = events.run(loaded.config, loaded.base_dir, stream, follow=False)
    return code, capsys.readouterr().err


@pytest.mark.parametrize("stream", ["hello.greeting", "old.stream"])
def test_events_that_are_stored_are_printed_whether_their_stream_is_declared_or_not(
    intake: Path, stream: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert shown(intake, stream, capsys) == (0, "")


def test_a_declared_stream_without_events_is_no_mistake(intake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = shown(intake, "my-intake.error.validation", capsys)

    assert code == 0
    assert "no event of the stream my-intake.error.validation is stored; there are events of hello.greeting" in said


@pytest.mark.parametrize(
    ("stream", "hint"),
    [
        ("hello.greetings", "did you mean hello.greeting?"),
        ("old.streams", "did you mean old.stream?"),
        ("nope", "declared are hello.greeting, my-intake.error.validation"),
    ],
)
def test_a_stream_that_does_not_exist_is_an_error_with_the_nearest(
    intake: Path, stream: str, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = shown(intake, stream, capsys)

    assert code == 1
    assert f"there is no stream {stream}, and no event of it is stored" in said
    assert hint in said


def test_where_any_name_is_accepted_every_stream_exists(intake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    intake.write_text(intake.read_text().replace('sources: ["streams.yaml"]', "sources: []"))
    code, said = shown(intake, "nope", capsys)

    assert code == 0
    assert "no event of the stream nope is stored" in said
