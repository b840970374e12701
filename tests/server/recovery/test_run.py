"""A run of a recovery against sinks that are full, slow or refuse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from server.intake.arrival import Arrival
from server.intake.event import Event
from server.intake.verdict import Verdict
from server.record import Record
from server.recovery.refused import Refused, key_of_id
from server.recovery.report import MOST_KINDS, Report
from server.recovery.run import Recovery
from server.sink.base import OnAck
from server.sink.memory.sink import MemorySink


def refused(number: int) -> Refused:
    return Refused(f"error-{number}", b"%d" % number, 5, b'"t"', frozenset({key_of_id(str(number))}))


def judged(raw: bytes, _arrival: Arrival) -> Event:
    return Event(0, raw, topic="t")


class Scripted(MemorySink):
    """Takes events, and acks the n-th at once with what ``outcome(n)`` says: None or an error type."""

    def __init__(self, outcome: Callable[[int], str | None], refuses: Callable[[int], str | None] = lambda n: None):
        super().__init__(max_outstanding=10)
        self._outcome, self._refuses = outcome, refuses
        self.values: list[bytes] = []
        self.fullness: list[bool] = []

    def submit(self, record: Record, on_ack: OnAck) -> str | None:
        number = len(self.values)
        if (refusal := self._refuses(number)) is not None:
            return refusal
        self.values.append(record.value)
        asyncio.get_running_loop().call_soon(on_ack, self._outcome(number), None)
        return None

    def is_full(self) -> bool:
        return bool(self.fullness) and self.fullness.pop()

    def classify(self, error: Any) -> str:
        return str(error)

    async def drain(self, deadline: float) -> int:
        await asyncio.sleep(0)
        return 0


def run(sink: Scripted, count: int, per_s: float = 1e6, judge: Callable[[bytes, Arrival], Event] = judged) -> Report:
    report = Report("s", found=count)
    recovery = Recovery(judge, set(), report, per_s)
    asyncio.run(recovery.store_all((refused(number) for number in range(count)), sink))
    return report


@pytest.mark.parametrize("error_type", ["broker_timeout", "queue_full", "batch_too_large", "internal"])
def test_after_a_failure_that_may_pass_nothing_overtakes_and_the_rest_is_left(error_type: str) -> None:
    sink = Scripted(lambda number: None, lambda number: error_type if number == 3 else None)
    report = run(sink, 10)

    assert sink.values == [b"0", b"1", b"2"]
    assert (report.recovered, report.left, report.failed, report.is_whole) == (3, 7, 0, False)
    assert error_type in report.stopped


def test_an_ack_that_fails_ends_the_run() -> None:
    report = run(Scripted(lambda number: "broker_timeout"), 1)

    assert (report.recovered, report.left) == (0, 1)
    assert "run the command again" in report.stopped


@pytest.mark.parametrize("error_type", ["broker_rejected", "event_too_large"])
def test_an_event_that_the_sink_refuses_for_good_does_not_hold_up_the_others(error_type: str) -> None:
    report = run(Scripted(lambda number: error_type if number == 1 else None), 4)

    assert (report.recovered, report.failed, report.left) == (3, 1, 0)
    assert [(kind.error_type, kind.examples) for kind in report.sorted_kinds()] == [(error_type, ["1"])]


def test_a_full_sink_is_waited_for() -> None:
    sink = Scripted(lambda number: None)
    sink.fullness = [False, True, True]
    report = run(sink, 2)

    assert (report.recovered, sink.fullness) == (2, [])


def test_a_run_that_is_stopped_sends_no_further_event() -> None:
    recovery = Recovery(judged, set(), Report("s", found=3), 1e6)
    sink = Scripted(lambda number: None)
    recovery.stop("it was interrupted")
    recovery.stop("again")
    asyncio.run(recovery.store_all([refused(1), refused(2)], sink))

    assert (sink.values, recovery.report.stopped) == ([], "it was interrupted")


def test_the_pace_is_kept() -> None:
    recovery = Recovery(judged, set(), Report("s"), 100)

    assert recovery.due(0.0) == pytest.approx(2)
    assert recovery.due(1.0) == pytest.approx(102)


def test_kinds_of_errors_are_bounded_and_places_in_lists_are_one_kind() -> None:
    report = Report("s", most_examples=0)
    for number in range(MOST_KINDS + 5):
        report.refuse("schema_violation", f"'.a{number}[{number}]' should be integer", b"{}")
        report.refuse("schema_violation", f"'.list[{number}]' should be integer", b"{}")

    assert len(report.kinds) == MOST_KINDS + 1
    assert report.sorted_kinds()[0].text == "'.list[]' should be integer"
    assert report.refused == 2 * (MOST_KINDS + 5) == sum(kind.count for kind in report.kinds.values())


def test_a_verdict_of_the_judge_is_reported_with_the_event() -> None:
    def judge(raw: bytes, _arrival: Arrival) -> Event:
        return Event(0, raw, Verdict("schema_violation", "'.a' should be integer"))

    report = run(Scripted(lambda number: None), 1, judge=judge)

    assert [(kind.error_type, kind.text, kind.examples) for kind in report.sorted_kinds()] == [
        ("schema_violation", "'.a' should be integer", ["0"])
    ]
