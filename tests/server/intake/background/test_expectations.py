"""server.intake.background.expectations: accepted events that fail expectations of their schema are counted."""

from __future__ import annotations

import asyncio
import json
import logging
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from server.intake.arrival import Arrival
from server.intake.background import checks as background
from server.intake.background import expectations
from server.intake.background.budget import Budget
from server.intake.background.checks import BackgroundChecks
from server.intake.background.counts import MOST_RULES, AllCheckCounts, CheckName
from server.intake.background.expectations import ExpectationCheck
from server.intake.background.sampler import LEAST_SHARE, Check, Sampler
from server.intake.event import Event
from server.log import Limited
from server.schemas.repository import Expectations
from tests.server.intake.background.tried import RECEIVED, Tried, event
from validators.expectations import Expectation

LARGE = "large ones have a size"
PLACE = "#/properties/size/x-expect"


@pytest.fixture
def tried(settings_path: Path) -> Tried:
    return Tried(settings_path)


def test_accepted_events_are_counted_by_expectation_with_an_example_of_each(tried: Tried) -> None:
    small = event("odd", kind="large", size=200)
    found = tried.take(small, event("odd", kind="large", size=201), event("odd", kind="large"), event("odd", size=1001))

    assert found == {
        ("odd", "", ""): [4, 3, 0, 0],
        ("odd", "", LARGE): [4, 2, 0, 0],
        ("odd", "", PLACE): [4, 1, 0, 0],
    }
    assert tried.kept[0] == (CheckName("odd", "expect", "", LARGE).line(), small)
    assert [name.rpartition("\t")[2] for name, _ in tried.kept] == [LARGE, PLACE]


def test_versions_of_a_schema_share_the_counts_of_expectations_that_they_have_in_common(tried: Tried) -> None:
    found = tried.take(event("odd", size=1001), event("odd", "1.1.0", size=1001, kind="a", more=1))

    assert found[("odd", "", "")] == [2, 2, 0, 0]
    assert found[("odd", "", PLACE)] == [2, 2, 0, 0]
    assert found[("odd", "", "few properties")] == [1, 1, 0, 0]


def test_refused_events_are_not_judged_and_observed_ones_are(tried: Tried) -> None:
    found = tried.take(event("odd", kind=1, size=1001), event("odd.observed", kind=1, size=1001))

    assert ("odd", "", PLACE) not in found
    assert found[("odd.observed", "", PLACE)] == [1, 1, 0, 0]


def test_expectations_and_a_shadow_schema_judge_the_same_events(tried: Tried) -> None:
    found = tried.take(event("odd.both", size=1001))

    assert found[("odd.both", "1.1.0", "")] == [1, 0, 0, 0]
    assert found[("odd.both", "", PLACE)] == [1, 1, 0, 0]


@pytest.mark.parametrize("raw", [event("odd.never", size=1001), event("odd.unchecked", size=1001), event("plain", n=1)])
def test_without_expectations_there_is_no_check_and_nothing_sees_events(tried: Tried, raw: bytes) -> None:
    prepared = tried.pipeline.prepare(0, raw, Arrival(*RECEIVED, {}))

    assert prepared.verdict is None
    assert prepared.route.checks == ()
    assert tried.sees is None


def test_expectations_that_cannot_be_used_are_told_and_the_others_are_used(
    tried: Tried, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version 1.2.0 has no other: its events have no check."""
    monkeypatch.setattr(expectations, "_limited", Limited(logging.getLogger("intake")))
    found = tried.take(event("odd", size=1), event("odd", size=1), event("odd", "1.2.0", size=1))

    assert caplog.text.count("the expectation /t/o/1.0.0#/x-expect/1 judges no events: is not a schema") == 1
    assert found == {("odd", "", ""): [2, 0, 0, 0], ("odd", "", LARGE): [2, 0, 0, 0], ("odd", "", PLACE): [2, 0, 0, 0]}


def test_the_number_of_rules_of_a_stream_is_bounded_and_all_are_counted(tried: Tried) -> None:
    counts = tried.checks.counts.of(CheckName("odd", "expect", ""))
    for number in range(MOST_RULES + 9):
        counts.of(f"rule {number}")[0] += 1
        counts.broken(f"rule {number}", b"{}")

    found = {rule: numbers for (stream, _, rule), numbers in tried.seen().items() if stream == "odd" and rule}
    assert len(found) == MOST_RULES + 1
    assert found["(others)"] == [9, 9, 0, 0]
    assert sum(numbers[1] for numbers in found.values()) == MOST_RULES + 9


class Taken:
    """A check that notes which events were put to it."""

    rate = 1.0

    def judge(self, value: bytes, is_refused: bool) -> None:
        raise NotImplementedError

    def skip(self) -> None:
        self.skipped = getattr(self, "skipped", 0) + 1


class OneCheck:
    checks = (Taken(),)


def chosen_of(sampler: Sampler, taken: list[bytes], events: int) -> int:
    taken.clear()
    until = 0
    for _ in range(events // 100):
        until = until - 100 if until >= 100 else sampler.take([Event(0, b"", route=OneCheck())] * 100, until)
    return len(taken)


def test_a_busy_worker_chooses_fewer_events_and_a_quiet_one_all_again() -> None:
    taken: list[bytes] = []
    sampler = Sampler(lambda _check, value, _is_refused: taken.append(value))
    sampler.add(1.0)

    assert chosen_of(sampler, taken, 10_000) == 10_000
    for _ in range(4):
        sampler.adapt(is_less=True)
    assert 400 < chosen_of(sampler, taken, 10_000) < 900
    for _ in range(20):
        sampler.adapt(is_less=True)
    assert sampler.share == LEAST_SHARE
    for _ in range(20):
        sampler.adapt(is_less=False)
    assert chosen_of(sampler, taken, 10_000) == 10_000


def test_a_queue_that_was_full_halves_the_choice_and_an_empty_one_doubles_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "MOST_WAITING", 2)
    checks, check = BackgroundChecks(lambda _: ("", ""), lambda _: ()), Taken()
    checks.work = checks._waiting.clear  # type: ignore[method-assign]
    checks._sampler.add(1.0)
    shares = []

    async def test() -> None:
        for put in (3, 1, 3, 3, 0):
            for _ in range(put):
                checks._put(check, b"", False)
            checks._turn()
            shares.append(checks._sampler.share)

    asyncio.run(test())

    assert shares == [0.5, 1.0, 0.5, 0.25, 0.5]


def many(count: int) -> bytes:
    return b'{"more":[' + b",".join([b"[]"] * count) + b"]," + event("odd", size=1001)[1:]


def test_an_event_of_very_many_values_is_judged_by_the_expectations_that_it_is_not_too_dear_for(
    tried: Tried, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing interrupts a judgement. The one of the size has one schema, the other eight."""
    monkeypatch.setattr(expectations, "MOST_STEPS", 400)
    found = tried.take(many(100), event("odd", size=1001))

    assert found[("odd", "", "")] == [2, 2, 0, 0]
    assert found[("odd", "", PLACE)] == [2, 2, 0, 0]
    assert found[("odd", "", LARGE)] == [1, 0, 0, 1]


def test_an_event_that_is_too_dear_for_all_is_skipped_and_later_ones_are_judged(
    tried: Tried, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expectations, "MOST_STEPS", 100)
    found = tried.take(many(200), event("odd", size=1001))

    assert found[("odd", "", "")] == [1, 1, 0, 1]
    assert found[("odd", "", PLACE)] == [1, 1, 0, 1]
    assert found[("odd", "", LARGE)] == [1, 0, 0, 1]


class Told:
    """Expectations of one size, which note that they judge. ``fails`` are the names of those that fail."""

    def __init__(self, count: int, fails: str = "") -> None:
        self.judged: list[str] = []
        self.counts = AllCheckCounts().of(CheckName("s", "expect", ""))
        usable = tuple(
            Expectation(name, name, partial(self._check, name, name in fails)) for name in "abcdefgh"[:count]
        )
        self.check = ExpectationCheck(1.0, "/s", lambda: Expectations(usable), self.counts)

    def _check(self, name: str, is_odd: bool, _value: bytes) -> list[Any] | None:
        self.judged.append(name)
        return [] if is_odd else None

    def numbers(self, rule: str) -> list[int]:
        return self.counts.of(rule)


LIST = b"[" + b"1," * 39 + b"1]"


def test_a_judgement_that_takes_long_pauses_between_expectations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expectations, "MOST_STEPS", 100)
    told, goes = Told(5, fails="bd"), []
    check: Check | None = told.check
    while check is not None:
        check = check.judge(LIST, False)
        goes.append("".join(told.judged))

    assert goes == ["ab", "abcd", "abcde"]
    assert told.counts.numbers == [1, 1, 0, 0]
    assert [told.numbers(name)[1] for name in "abcde"] == [0, 1, 0, 1, 0]


def test_what_is_left_of_a_judgement_is_judged_before_later_events_and_counted_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(expectations, "MOST_STEPS", 100)
    told, checks = Told(5), BackgroundChecks(lambda _: ("", ""), lambda _: (), budget=Once())

    async def test() -> None:
        checks._put(told.check, LIST, False)
        checks._put(told.check, b"{}", False)
        for _ in range(2):
            checks.work()
        checks.close()

    asyncio.run(test())

    assert "".join(told.judged) == "abcd"
    assert told.counts.numbers == [1, 0, 0, 1]
    assert [told.numbers(name)[3] for name in "abcde"] == [0, 0, 0, 0, 1]
    assert checks._bytes == 0


class Once(Budget):
    """A budget for one check in each turn."""

    def begin(self) -> None:
        super().begin()
        self._has_time = True

    def has_time(self) -> bool:
        had, self._has_time = self._has_time, False
        return had


def test_an_event_too_large_to_be_searched_for_a_pattern_is_skipped_by_its_expectation(
    settings_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = settings_path.parent / "schemas" / "t" / "o" / "1.0.0.yaml"
    schema = json.loads(path.read_text())
    kind = {"type": "string", "maxLength": 9, "pattern": "a[ab]{20}c"}
    path.write_text(json.dumps({**schema, "x-expect": {"title": "a kind", "properties": {"kind": kind}}}))
    monkeypatch.setattr(expectations, "MOST_STEPS", 40)
    found = Tried(settings_path).take(event("odd", size=1, note=" " * 1_000), event("odd", size=1))

    assert found[("odd", "", "")] == [2, 0, 0, 0]
    assert found[("odd", "", "a kind")] == [1, 0, 0, 1]
