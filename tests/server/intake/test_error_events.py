"""server.intake.error_events: an error event for every invalid event, within bounds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from server.boot.generation import read
from server.intake import error_events
from server.intake.arrival import Clock
from server.intake.error_events import ErrorEvents
from server.intake.event import Event
from server.intake.pipeline import make_pipeline
from server.intake.verdict import Verdict

VIOLATION = Verdict("schema_violation", "'.test' should be string")
ERROR_SCHEMA = Path(__file__).parents[3] / "server" / "examples" / "schemas" / "error" / "2.1.0.yaml"


class Made:
    """Error events over a list in place of a sink, with a clock that a test sets."""

    def __init__(self, settings_path: Path, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> None:
        self.now = 100.0
        monkeypatch.setattr("server.intake.error_events.time.monotonic", lambda: self.now)
        self.sent: list[Any] = []
        generation = read(settings_path, ["intake.error_stream=job.errors", *overrides])
        pipeline = make_pipeline(generation.config, generation.schemas.find, generation.snapshot.find)
        self.events = ErrorEvents(pipeline, self._submit, Clock(), generation.config)

    def _submit(self, event: Event) -> None:
        self.sent.append(json.loads(event.value))

    def add(self, *raws: bytes) -> None:
        async def main() -> None:
            for raw in raws:
                self.events.add(Event(0, raw), VIOLATION)
            await asyncio.sleep(0)

        asyncio.run(main())


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Made]:
    folder = tmp_path / "schemas" / "error"
    folder.mkdir(parents=True)
    (folder / "2.1.0.yaml").write_bytes(ERROR_SCHEMA.read_bytes())
    (tmp_path / "streams.yaml").write_text('{"streams": {"job.errors": {"schema_title": "error"}}}')
    settings = {
        "schemas": {"base_uris": ["schemas"]},
        "streams": {"sources": ["streams.yaml"]},
        "sink": {"kind": "memory"},
    }
    (tmp_path / "penstock.yaml").write_text(json.dumps(settings))
    return lambda *overrides: Made(tmp_path / "penstock.yaml", monkeypatch, *overrides)


def test_an_error_event_says_what_was_wrong_with_which_event(make: Callable[..., Made]) -> None:
    made = make()
    raw = b'{"$schema":"/a/b/1.0.0","meta":{"stream":"s","domain":"d","request_id":"r","uri":"https://x.org/?a"},"test":1}'

    made.add(raw)

    (sent,) = made.sent
    assert sent["error_type"] == "schema_violation"
    assert sent["message"] == "'.test' should be string"
    assert (sent["errored_schema_uri"], sent["errored_stream_name"]) == ("/a/b/1.0.0", "s")
    assert sent["raw_event"] == raw.decode()
    assert {sent["meta"][name] for name in ("domain", "request_id", "uri")} == {"d", "r", "https://x.org/?a"}


@pytest.mark.parametrize(
    "raw", [b"7", b"null", b"[]", b"{", b'{"meta":7}', b'{"$schema":7,"meta":{"uri":"a b\\\\","stream":[]}}']
)
def test_whatever_was_refused_has_an_error_event(make: Callable[..., Made], raw: bytes) -> None:
    made = make()

    made.add(raw)

    (sent,) = made.sent
    assert sent["errored_stream_name"] == "unknown"
    assert sent["meta"]["uri"] == "unknown"


def test_what_was_refused_is_named_by_the_configured_fields(make: Callable[..., Made]) -> None:
    made = make("intake.stream_field=[meta.stream, stream]")

    made.add(b'{"stream":"s"}')

    assert made.sent[0]["errored_stream_name"] == "s"


def test_a_long_event_is_cut(make: Callable[..., Made]) -> None:
    made = make()

    made.add(b'{"x":"' + b"y" * 200_000 + b'"}')

    assert len(made.sent[0]["raw_event"]) == error_events.MAX_RAW_CHARS


def test_the_rate_is_bounded_and_what_is_over_it_is_counted(make: Callable[..., Made]) -> None:
    made = make("intake.error_events_per_s=2")

    made.add(*[b"{}"] * 5)
    made.now += 0.5
    made.add(*[b"{}"] * 5)

    assert len(made.sent) == 3
    assert (made.events.produced, made.events.dropped) == (3, 7)


def test_less_than_one_a_second_is_a_rate_too_and_nought_is_none(make: Callable[..., Made]) -> None:
    made = make("intake.error_events_per_s=0.5")
    made.add(b"{}", b"{}")
    made.now += 2
    made.add(b"{}")
    none = make("intake.error_events_per_s=0")
    none.add(b"{}")

    assert len(made.sent) == 2
    assert none.sent == []


def test_those_that_wait_are_bounded(make: Callable[..., Made]) -> None:
    made = make("intake.error_events_per_s=1000000")

    made.add(*[b"{}"] * (error_events.MAX_WAITING + 5))

    assert made.events.dropped == 5


def test_without_an_error_stream_they_are_counted_only(make: Callable[..., Made]) -> None:
    made = make("intake.error_stream=''")

    made.add(b"{}")

    assert made.sent == []
    assert made.events.dropped == 1


def test_they_are_made_in_turns_and_all_at_once_at_the_end(make: Callable[..., Made]) -> None:
    made = make()
    submit = made.events._submit

    def slow(event: Event) -> str | None:
        made.now += 1.0  # Longer than a turn.
        return submit(event)

    async def main() -> None:
        made.events._submit = slow
        for _ in range(6):
            made.events.add(Event(0, b"{}"), VIOLATION)
        for turns in range(1, 4):
            await asyncio.sleep(0)
            assert len(made.sent) == turns
        made.events.flush()
        assert len(made.sent) == 6

    asyncio.run(main())


def test_no_tree_is_built_of_a_refused_event(make: Callable[..., Made], monkeypatch: pytest.MonkeyPatch) -> None:
    """250,000 nodes took 400 MB: what is decoded is the few texts that are told of it."""
    made = make()
    decoded: list[int] = []
    decode = msgspec.json.decode

    def counted(raw: Any, **more: Any) -> Any:
        decoded.append(len(bytes(raw)))
        return decode(raw, **more)

    monkeypatch.setattr(msgspec.json, "decode", counted)
    made.add(b'{"noise":[' + b"{}," * 100_000 + b'{}],"$schema":"/a/b/1.0.0","meta":{"stream":"s"}}')

    assert made.sent[0]["errored_stream_name"] == "s"
    assert max(decoded) < 100
