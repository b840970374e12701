"""One run: steps in their order, bounded in number, and ended by their deadlines."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

from server.canary.event import Canary, NoExampleError
from server.canary.plan import Check
from server.canary.run import Outcome, Run
from server.canary.verdict import Reply
from server.config.canary_settings import CanarySettings
from server.sink.watch import Found, Mark, Sought, WatchError

LONG_S = 600.0


class Log:
    """A sink in memory, and how many canaries are under way in it. ``fault`` is raised by a step of that name."""

    def __init__(self) -> None:
        self.stored: list[bytes] = []
        self.skew_s = 0.0
        self.faults: dict[str, str] = {}
        self.steps: list[str] = []
        self.opened = self.closed = 0

    def watch(self) -> Log:
        self._step("watch")
        self.opened += 1
        return self

    def mark(self, topic: str, within_s: float) -> Mark:
        self._step("mark")
        return Mark(topic, {"0": len(self.stored)})

    def find(self, mark: Mark, needle: bytes, within_s: float) -> Sought:
        self._step("find")
        for at, value in enumerate(self.stored):
            if at >= mark.ends["0"] and needle in value:
                return Sought(Found("0", at, int((time.time() + self.skew_s) * 1000)), is_at_end=True)
        return Sought(is_at_end="lag" not in self.faults)

    def close(self) -> None:
        self.closed += 1

    def _step(self, name: str) -> None:
        self.steps.append(name)
        if name in self.faults:
            raise WatchError(self.faults[name])


class Intake:
    """An intake that stores what it is sent, or does as it is told."""

    def __init__(self, log: Log, answer: Callable[[], Awaitable[Reply]] | None = None) -> None:
        self._log = log
        self._answer = answer
        self.under_way = self.most = 0

    async def read(self, url: str, needle: bytes, on_open: Callable[[], None]) -> str:
        raise AssertionError("no stream is public")

    async def post(self, check: Check, canary: Canary) -> Reply:
        self._log.steps.append("post")
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0)
            if self._answer is not None:
                return await self._answer()
            self._log.stored.append(canary.text)
            return Reply(201)
        finally:
            self.under_way -= 1


def event_of(check: Check) -> Canary:
    if check.stream == "without":
        raise NoExampleError("the schema has no examples")
    return Canary(f"id-of-{check.stream}", f"{{id-of-{check.stream}}}".encode())


def check(stream: str) -> Check:
    return Check(stream, "t", "http://t", f"topic.{stream}", "a/b")


def run(log: Log, intake: Intake, *streams: str, **settings: float | int) -> list[Outcome]:
    given = CanarySettings(**settings)  # type: ignore[arg-type]
    one = Run(given, "kafka", event_of, log.watch, intake)
    return asyncio.run(one.outcomes([check(stream) for stream in streams]))


def stages(outcomes: list[Outcome]) -> list[str]:
    return [outcome.verdict.stage for outcome in outcomes]


def test_the_end_is_noted_before_a_canary_is_sent_and_found_behind_it() -> None:
    log = Log()
    log.stored.append(b"{id-of-a}")  # Not of this run.

    (outcome,) = run(log, Intake(log), "a")

    assert log.steps == ["watch", "mark", "post", "find"]
    assert outcome.verdict.is_ok and outcome.roundtrip_s is not None


def test_an_event_of_an_earlier_run_is_not_taken_for_this_one() -> None:
    log = Log()
    log.stored.append(b"{id-of-a}")

    async def lose() -> Reply:
        return Reply(201)

    assert stages(run(log, Intake(log, lose), "a")) == ["kafka"]


def test_each_canary_has_a_verdict_of_its_own_and_watches_are_used_again() -> None:
    log = Log()

    outcomes = run(log, Intake(log), "a", "without", "b", "c", concurrency=1)

    assert stages(outcomes) == ["done", "example", "done", "done"]
    assert [outcome.check.stream for outcome in outcomes] == ["a", "without", "b", "c"]
    assert log.opened == 1


def test_no_more_than_the_settings_say_are_under_way() -> None:
    log = Log()
    intake = Intake(log)

    assert set(stages(run(log, intake, *"abcdefgh", concurrency=3))) == {"done"}
    assert 1 <= intake.most <= 3
    assert log.opened <= 3


def test_faults_of_reading_are_of_the_consumer_only_where_the_event_was_accepted() -> None:
    async def refuse() -> Reply:
        return Reply(503, "503 broker_timeout")

    for step in ("watch", "mark"):
        log = Log()
        log.faults[step] = "brokers are down"
        assert stages(run(log, Intake(log), "a")) == ["consumer"]
        assert stages(run(log, Intake(log, refuse), "a")) == ["kafka"]
    log = Log()
    log.faults["find"] = "brokers are down"
    assert stages(run(log, Intake(log), "a", "b", concurrency=1)) == ["consumer", "consumer"]
    assert (log.opened, log.steps.count("post")) == (2, 2)  # A watch that failed is not used again.


def test_a_consumer_that_lags_and_a_wrong_clock_are_named() -> None:
    log = Log()
    log.faults["lag"] = ""

    async def lose() -> Reply:
        return Reply(201)

    assert stages(run(log, Intake(log, lose), "a")) == ["consumer"]
    late = Log()
    late.skew_s = -3600.0
    assert stages(run(late, Intake(late), "a")) == ["clock"]


def test_a_black_hole_ends_by_the_deadline_of_the_run_with_a_verdict_on_everything() -> None:
    log = Log()

    async def never() -> Reply:
        await asyncio.sleep(LONG_S)
        return Reply(201)

    outcomes = run(log, Intake(log, never), "a", "b", concurrency=1, run_s=0.2)

    assert stages(outcomes) == ["http", "http"]
    assert [outcome.verdict.detail[:8] for outcome in outcomes] == ["no answe", "not sent"]


def test_a_search_that_does_not_return_does_not_hold_the_run_and_is_closed_after_it() -> None:
    class Stuck(Log):
        def find(self, mark: Mark, needle: bytes, within_s: float) -> Sought:
            released.wait(LONG_S)
            assert self.closed == 0
            returned.set()
            return Sought()

    released, returned = threading.Event(), threading.Event()
    log = Stuck()

    try:
        assert stages(run(log, Intake(log), "a", run_s=2.0)) == ["consumer"]
    finally:
        released.set()
    assert returned.wait(LONG_S)
