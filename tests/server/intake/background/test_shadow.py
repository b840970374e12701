"""server.intake.background: a stream tries a version of its schema, and no answer depends on it."""

from __future__ import annotations

import asyncio
import functools
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from server.intake.arrival import Arrival
from server.intake.background import checks as background
from server.intake.background.budget import MOST_S, Budget
from server.intake.background.checks import BackgroundChecks
from server.intake.background.counts import MOST_RULES, TIME, AllCheckCounts, CheckName, parsed
from server.schemas.repository import SchemaRepository
from server.shared.scoreboard import CHECK_NAME_BYTES
from tests.server.intake.background.tried import RECEIVED, Tried, event
from tests.server.intake.test_receive import Bench, settled

LONG = "#/properties/note/maxLength"


@pytest.fixture
def tried(settings_path: Path) -> Tried:
    return Tried(settings_path)


def test_what_the_version_would_refuse_is_counted_by_rule_with_an_example(tried: Tried) -> None:
    long = event("shorter", n=1, note="x" * 9)
    found = tried.take(event("shorter", n=1), long, event("shorter", n=1, note="x" * 9, size="l"), event("plain", n=1))

    assert found == {
        ("shorter", "1.1.0", ""): [3, 2, 0, 0],
        ("shorter", "1.1.0", LONG): [0, 2, 0, 0],
        ("shorter", "1.1.0", "#/properties/size/type"): [0, 1, 0, 0],
    }
    assert tried.kept[0] == (CheckName("shorter", "shadow", "1.1.0", LONG).line(), long)
    assert len(tried.kept) == 2


def test_what_the_version_would_accept_is_counted_and_its_defaults_are_filled_in(tried: Tried) -> None:
    found = tried.take(event("latest", n=1.5), event("latest"), event("latest", n="x"), event("latest", n=1))

    assert found == {("latest", "2.0.0", ""): [4, 0, 2, 0]}


def test_an_event_that_takes_too_many_steps_is_skipped_and_counted(settings_path: Path) -> None:
    path = settings_path.parent / "schemas" / "t" / "e" / "1.1.0.yaml"
    schema = json.loads(path.read_text())
    schema["properties"]["more"] = {"items": {"not": {"anyOf": [{"multipleOf": 101 + n} for n in range(80)]}}}
    path.write_text(json.dumps(schema))
    found = Tried(settings_path).take(event("shorter", n=1, more=[1] * 9_000), event("shorter", n=1, more=[101]))

    assert found[("shorter", "1.1.0", "")] == [1, 1, 0, 1]


def test_a_shadow_schema_whose_defaults_take_too_many_steps_skips_the_event(settings_path: Path) -> None:
    path = settings_path.parent / "schemas" / "t" / "e" / "1.1.0.yaml"
    schema = json.loads(path.read_text())
    each = {"if": {"allOf": [{"minProperties": 0}] * 900}, "then": {"properties": {"d": {"default": 1}}}}
    schema["properties"]["more"] = {"type": "array", "items": each}
    path.write_text(json.dumps(schema))
    found = Tried(settings_path).take(event("shorter", n=1, more=[{}] * 4_000))

    assert found[("shorter", "1.1.0", "")] == [0, 0, 0, 1]


def test_events_that_name_the_version_themselves_are_not_judged_twice(tried: Tried) -> None:
    assert tried.take(event("shorter", "1.1.0", n=1), event("latest", "2.0.0", n=1)) == {}


def test_a_property_that_is_missing_is_named(tried: Tried) -> None:
    found = tried.take(event("unchecked", note="x"))

    assert found[("unchecked", "1.1.0", "#/required n")] == [0, 1, 0, 0]


def test_observed_keyed_and_unvalidated_events_are_judged_too(tried: Tried) -> None:
    found = tried.take(event("observed"), event("keyed", n=1, note="x" * 9), event("job.a", n=1), event("job.b", n=1))

    assert found[("observed", "2.0.0", "")] == [1, 0, 0, 0]
    assert found[("keyed", "1.1.0", "")] == [1, 1, 0, 0]
    assert found[("/^job\\./", "1.1.0", "")] == [2, 0, 0, 0]


def test_without_the_setting_there_is_no_check_and_nothing_sees_events(tried: Tried) -> None:

    routes = [
        tried.pipeline.prepare(0, event(stream, n=1), Arrival(*RECEIVED, {})).route for stream in ("plain", "never")
    ]

    assert [route.checks for route in routes if route is not None] == [(), ()]
    assert tried.take(event("plain", n=1), event("never", n=1)) == {}
    assert tried.sees is None
    assert tried.take(event("shorter", n=1))[("shorter", "1.1.0", "")][0] == 1
    tried.checks.forget()
    assert tried.sees is None


def test_a_tenth_is_judged_unless_the_stream_says_otherwise(tried: Tried) -> None:
    """Also next to a stream all of whose events are judged."""
    random.seed(1)
    before = tried.take(*[event("tenth", n=1)] * 900)
    found = tried.take(event("shorter", n=1), *[event("tenth", n=1), event("shorter", n=1)] * 400)

    assert 60 < before[("tenth", "1.1.0", "")][0] < 130
    assert 20 < found[("tenth", "1.1.0", "")][0] - before[("tenth", "1.1.0", "")][0] < 70
    assert found[("shorter", "1.1.0", "")][0] >= 400


def test_a_version_that_does_not_exist_judges_nothing(tried: Tried, caplog: pytest.LogCaptureFixture) -> None:
    found = tried.take(event("gone", n=1), event("gone", n=1))

    assert found == {("gone", "9.0.0", ""): [0, 0, 0, 2]}
    assert caplog.text.count("the shadow schema /t/e/9.0.0 judges no events") == 1


def test_an_exception_fails_its_check_alone(tried: Tried, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("server.intake.background.shadow._rules", fail)
    found = tried.take(event("shorter", n=1, note="x" * 9), event("shorter", n=1))

    assert found[("shorter", "1.1.0", "")][3] == 1


class Clocks:
    """The clocks of a budget: of the wall, of the process, and of its thread."""

    def __init__(self) -> None:
        self.wall = self.process = self.thread = 0.0

    def budget(self) -> Budget:
        return Budget(lambda: self.wall, lambda: self.process, lambda: self.thread)

    def work(self, seconds: float) -> None:
        self.wall += seconds
        self.process += seconds
        self.thread += seconds


class Held:
    """A check that takes half a millisecond, or eight if its event is large."""

    def __init__(self, clocks: Clocks) -> None:
        self.rate, self.clocks, self.judged, self.skipped = 1.0, clocks, 0, 0

    def judge(self, value: bytes, is_refused: bool) -> None:
        self.clocks.work(0.0005 if value == b"{}" else 0.008)
        self.judged += 1

    def skip(self) -> None:
        self.skipped += 1


@pytest.mark.parametrize(
    ("process_s", "least", "most"),
    [(1.0, 0.009, 0.012), (0.1, 0.0009, 0.0012), (0.0, 0.0009, 0.0011)],
    ids=["busy", "starved", "idle"],
)
def test_checks_take_their_share_of_time_and_no_more(process_s: float, least: float, most: float) -> None:
    """``process_s``: the CPU that the worker gets in a second."""
    clocks = Clocks()
    checks, check = BackgroundChecks(lambda _: ("", ""), lambda _: (), budget=clocks.budget()), Held(clocks)

    async def test() -> None:
        for value in (b"large", *[b"{}"] * (background.MOST_WAITING + 6)):
            checks._put(check, value, False)
        while clocks.wall < 2_000:
            before_s = clocks.thread
            checks.work()
            assert clocks.thread - before_s <= MOST_S + 0.0005 or check.judged <= 11
            for _ in range(20):
                checks._put(check, b"{}", False)
            clocks.wall += 0.025
            clocks.process += 0.025 * process_s

    asyncio.run(test())

    assert check.skipped > 7
    assert least <= clocks.thread / clocks.wall <= most
    assert checks.counts.line(TIME)[0] == pytest.approx(clocks.thread * 1e6, rel=0.01)
    waiting, skipped = len(checks._waiting), check.skipped
    checks.close()
    assert check.skipped == skipped + waiting


def test_what_waits_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "MOST_BYTES", 10)
    checks, check = BackgroundChecks(lambda _: ("", ""), lambda _: ()), Held(Clocks())

    async def test() -> None:
        for _ in range(5):
            checks._put(check, b"123456", False)

    asyncio.run(test())

    assert (len(checks._waiting), check.skipped) == (2, 3)


def test_rules_and_names_are_bounded() -> None:
    counts = AllCheckCounts()
    check = counts.of(CheckName("s" * 249, "shadow", "1.0.0"))
    for number in range(MOST_RULES + 9):
        check.broken(f"#/properties/{number}/" + "é" * 600, b"{}")
    lines = [parsed(line) for line, _ in counts.lines()]

    assert len(lines) == MOST_RULES + 2
    assert {name.stream for name in lines if name is not None} == {"s" * 249}
    assert max(len(line.encode()) for line, _ in counts.lines()) <= CHECK_NAME_BYTES
    assert sum(numbers[1] for _, numbers in counts.lines()) == MOST_RULES + 9
    assert counts.of(check.name) is check


class Failing:
    """Schemas whose expectations cannot be looked up."""

    def __init__(self, schemas: SchemaRepository) -> None:
        self.has_expectations = schemas.has_expectations

    def expectations(self, _: object) -> None:
        raise ZeroDivisionError


EVENTS = st.builds(
    event,
    st.sampled_from(
        [
            *("plain", "shorter", "latest", "tenth", "observed", "keyed", "unchecked", "job.a", "nowhere"),
            *("odd", "odd.both", "odd.observed", "odd.unchecked", "odd.never"),
        ]
    ),
    st.sampled_from(["1.0.0", "1.1.0", "1.2.0", "2.0.0", "3.0.0"]),
    n=st.sampled_from([1, 1.5, "x", None]),
    kind=st.sampled_from(["large", "small", 1]),
    size=st.sampled_from([1, 201, 1001, "x"]),
    note=st.sampled_from(["", "x" * 9, "x" * 41, 1]),
)
BODIES = (
    EVENTS | st.sampled_from([b"", b"{", b"[]", b"[1]"]) | st.lists(EVENTS).map(lambda all_: b"[%b]" % b",".join(all_))
)


@pytest.mark.slow(reason="each example reads the settings twice")
@given(st.lists(BODIES, max_size=8), st.booleans())
@hypothesis_settings(max_examples=50, deadline=None)
def test_answers_and_records_are_the_same_with_and_without(
    settings_path: Path, bodies: list[bytes], is_broken: bool
) -> None:
    """Also where the check raises for every event. Some events fail expectations of their schema."""

    async def answers(with_checks: Callable[[Bench], BackgroundChecks] | None) -> list[Any]:
        bench = Bench(settings_path)
        checks = None if with_checks is None else with_checks(bench)
        await bench.sink.open()
        given = []
        for body in bodies:
            request = bench.post(body)
            await request.answered()
            given.append((request.replies, getattr(request, "more", None)))
            if checks is not None:
                checks.work()
        await settled()
        records = [(one.topic, one.key, one.value, one.timestamp_ms, one.headers) for one in bench.sink.records]
        await bench.sink.close()
        return [given, records]

    def checked(bench: Bench) -> BackgroundChecks:
        schemas = bench.generation.schemas
        find: Any = schemas.find if not is_broken else None
        expecting: Any = Failing(schemas) if is_broken else schemas
        checks = BackgroundChecks(find, schemas.versions, expecting=expecting)
        bench.pipeline._router._checks = checks.of
        checks.on_needed = functools.partial(setattr, bench.receiver, "choose")
        return checks

    assert asyncio.run(answers(None)) == asyncio.run(answers(checked))
