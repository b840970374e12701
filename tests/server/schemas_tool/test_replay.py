"""``penstock schemas replay``: shares, kinds of errors, sources, exit codes."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from server.__main__ import main
from server.schemas.judges import Bundle
from server.schemas_tool.trying.replay import MOST_KINDS, Replay
from tests.server.schemas_tool.repository import FIRST, put
from tests.server.sink.test_events import plain, store

SCHEMA = FIRST.replace("properties:", "properties:\n  $schema: {type: string}\n  meta: {type: object}").replace(
    "{type: string}\nex", "{type: string, maxLength: 4}\nex"
)


def an_event(number: Any, dt: str = "2026-11-01T00:00:00Z", title: str = "shop/order") -> dict[str, Any]:
    return {"$schema": f"/{title}/1.0.0", "meta": {"dt": dt}, "number": number}


def refused(event: Any) -> dict[str, Any]:
    return {"$schema": "/error/2.1.0", "raw_event": event if isinstance(event, str) else json.dumps(event)}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    put(tmp_path, "1.0.0", SCHEMA.replace("maxLength: 4", "maxLength: 40"))
    put(tmp_path, "1.1.0", SCHEMA.replace("1.0.0", "1.1.0"))
    return tmp_path


def replayed(
    capsys: pytest.CaptureFixture[str], root: Path, events: list[Any], *options: str
) -> tuple[int, dict[str, Any]]:
    file = root / "events.ndjson"
    file.write_text("".join(f"{event if isinstance(event, str) else json.dumps(event)}\n" for event in events))
    code = main(["schemas", "replay", str(root), str(file), "--format", "json", *options])
    return code, json.loads(capsys.readouterr().out)


def test_events_that_would_be_refused_are_counted_by_error(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = [an_event("A-1"), an_event("A-1000"), an_event("A-2000"), an_event(5), an_event("A", title="shop/cart")]
    code, told = replayed(capsys, repository, [*events, "no JSON"])
    order = told["titles"]["shop/order"]

    assert (code, told["of_other_titles"], told["unreadable"]) == (1, 1, 1)
    assert (order["version"], order["accepted"], order["newly_invalid"], order["percent"]) == ("1.1.0", 4, 3, 75)
    assert [(kind["keyword"], kind["where"], kind["count"]) for kind in order["errors"]] == [
        ("maxLength", ".number", 2),
        ("type", ".number", 1),
    ]
    assert order["errors"][0]["examples"] == [events[1]]


def test_events_that_had_been_refused_are_judged_again(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = [refused(an_event("A-1")), refused(an_event(5)), refused("cut off")]
    code, told = replayed(capsys, repository, events)
    order = told["titles"]["shop/order"]

    assert (code, order["refused"], order["newly_valid"], order["accepted"]) == (0, 2, 1, 0)


def test_a_share_may_be_allowed(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = [an_event("A-1"), an_event("A-1000")]

    assert replayed(capsys, repository, events, "--most", "49")[0] == 1
    assert replayed(capsys, repository, events, "--most", "50")[0] == 0


def test_another_version_can_be_named(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named = ("--title", "shop/order", "--to", "1.0.0")

    assert replayed(capsys, repository, [an_event("A-1000")], *named)[0] == 0
    for options in (["--to", "1.0.0"], ["--title", "shop/order", "--to", "3.0.0"], ["--title", "shop/cart"]):
        assert main(["schemas", "replay", str(repository), *options]) == 3


def test_no_event_is_an_outcome_of_its_own(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replayed(capsys, repository, [])[0] == 2


def test_older_events_are_passed_over(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = [an_event("A-1000", "2026-01-01T00:00:00Z"), an_event("A-1", "2026-03-01T00:00:00Z")]

    assert replayed(capsys, repository, events, "--since", "2026-02-01T00:00:00Z")[0] == 0
    assert replayed(capsys, repository, events, "--since", "99999d")[0] == 1
    assert main(["schemas", "replay", str(repository), "--since", "yesterday"]) == 3


def test_lines_of_a_recording_and_of_standard_input_are_read(
    repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = json.dumps({"event": an_event("A-1000"), "verdict": "accepted"})
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    assert main(["schemas", "replay", str(repository), "-"]) == 1
    said = capsys.readouterr().out
    assert said.startswith("shop/order 1.1.0: 1 of 1 accepted events would be refused (100.00 %)")
    assert "  1 × .number should NOT be longer than 4 characters\n" in said


def test_stored_events_of_an_embedded_sink_are_read(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = [json.dumps(an_event(number)).encode() for number in ("A-1", "A-1000")]
    store(repository / "data", *(plain(value) for value in values))
    settings = ["--set", "sink.kind=sqlite", "--set", f"sink.sqlite.path={repository / 'data'}"]
    code = main(["schemas", "replay", str(repository), "--format", "json", *settings])
    order = json.loads(capsys.readouterr().out)["titles"]["shop/order"]

    assert (code, order["accepted"], order["newly_invalid"]) == (1, 2, 1)


def test_kinds_and_examples_are_bounded() -> None:
    """Names of properties come from clients, so that kinds of errors could be as many as events."""
    schema = {"type": "object", "properties": {"$schema": {}}, "additionalProperties": {"type": "null"}}
    replay = Replay({"a": ("1.0.0", Bundle(schema))}, 1)
    for at in range(MOST_KINDS + 50):
        replay.take({"$schema": "/a/1.0.0", f"x{at}": 1})
    outcome = replay.titles["a"]

    assert outcome.newly_invalid == MOST_KINDS + 50
    assert len(outcome.errors) == MOST_KINDS + 1
    assert all(len(kind.examples) <= 1 for kind in outcome.errors.values())
    assert sum(kind.count for kind in outcome.errors.values()) == outcome.newly_invalid
