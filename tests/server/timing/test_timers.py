"""Timers and tasks outlive an exception, which is counted and logged with its stack."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server.host import stdio
from server.shared.row import ProcessCount
from server.timing import timers
from server.timing.timers import Timer, failures, hand_over, watch


class Loop:
    """Calls when it is told to."""

    def __init__(self) -> None:
        self.due: list[tuple[int, Callable[[], object]]] = []  # In milliseconds.
        self.now_ms = 0

    def time(self) -> float:
        return self.now_ms / 1000

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Handle:
        one = self.now_ms + round(delay * 1000), callback
        self.due.append(one)
        return Handle(self, one)

    def turn(self) -> None:
        """Let all that is scheduled happen at the first instant that something is due."""
        self.now_ms = min(at for at, _ in self.due)
        due = [one for one in self.due if one[0] == self.now_ms]
        self.due = [one for one in self.due if one not in due]
        for _, callback in due:
            callback()


class Handle:
    def __init__(self, loop: Loop, one: tuple[int, Callable[[], object]]) -> None:
        self._loop = loop
        self._one = one

    def cancel(self) -> None:
        if self._one in self._loop.due:
            self._loop.due.remove(self._one)


class Work:
    def __init__(self) -> None:
        self.done = 0

    def fail(self) -> None:
        raise OSError(24, "Too many open files")

    def do(self) -> None:
        self.done += 1


class Noting:
    """Notes when it is called."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.at_ms: list[int] = []

    def do(self) -> None:
        self.at_ms.append(self._loop.now_ms)


@pytest.fixture(autouse=True)
def from_zero() -> Iterator[None]:
    timers.begin_child()
    yield
    timers.begin_child()


def test_a_function_that_raises_stops_neither_the_others_nor_the_next_time(caplog: pytest.LogCaptureFixture) -> None:
    loop, work = Loop(), Work()
    Timer(loop, 1.0, work.fail, work.do).start()
    for _ in range(4):
        loop.turn()

    assert (work.done, failures()) == (5, 5)
    said = [record.getMessage() for record in caplog.records if record.name == "timers"]
    assert len(said) == 1  # Once in a while, with its stack.
    assert said[0].startswith("Work.fail failed and will run again") and "Too many open files" in said[0]


def test_a_timer_that_was_cancelled_does_not_come_again_even_by_itself() -> None:
    loop = Loop()

    def cancel() -> None:
        timer.cancel()

    timer = Timer(loop, 1.0, cancel)
    timer.start()

    assert loop.due == []


def test_timers_fire_together_whenever_they_were_started() -> None:
    """A process that has nothing else to do wakes for all of them at once."""
    loop = Loop()
    often, seldom = Noting(loop), Noting(loop)
    loop.now_ms = 1_000_013
    Timer(loop, 0.05, often.do).start()
    loop.now_ms += 20
    Timer(loop, 0.25, seldom.do).start()
    for _ in range(10):
        loop.turn()

    assert often.at_ms == [1_000_013, *range(1_000_050, 1_000_501, 50)]
    assert seldom.at_ms == [1_000_033, 1_000_250, 1_000_500]


def test_a_timer_that_was_late_is_on_time_again() -> None:
    loop = Loop()
    work = Noting(loop)
    timer = Timer(loop, 0.25, work.do)
    timer.start()
    loop.now_ms = 330
    late_s = loop.time() - timer.due_s
    loop.due.pop()[1]()
    loop.turn()

    assert work.at_ms == [0, 330, 500]
    assert late_s == pytest.approx(0.08)


def test_the_pace_of_a_timer_changes_at_once_also_from_within() -> None:
    loop = Loop()
    work = Noting(loop)
    rests = [False]

    def rest() -> None:
        if rests[0]:
            timer.pace(None)

    timer = Timer(loop, 0.25, work.do, rest)
    timer.start()
    timer.pace(0.05)
    loop.turn()
    rests[0] = True
    loop.turn()
    assert (work.at_ms, loop.due) == ([0, 50, 100], [])

    loop.now_ms, rests[0] = 310, False
    timer.pace(0.05)
    loop.turn()
    timer.hurry(0.25)
    timer.hurry(0.25)
    loop.turn()
    assert work.at_ms == [0, 50, 100, 350, 350, 350, 500]
    timer.cancel()
    timer.hurry(0.05)
    timer.pace(0.05)
    assert loop.due == []


def test_a_callback_and_a_task_that_catch_nothing_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise ValueError("a task")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        watch(loop)
        loop.call_soon(Work().fail)
        task = loop.create_task(fail())
        await asyncio.wait([task])
        del task  # Nobody asks what became of it.
        await asyncio.sleep(0)

    asyncio.run(main())

    assert failures() == 2
    assert "a callback or a task failed" in caplog.text


def test_what_a_loop_says_without_an_exception_is_said_and_not_counted(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        watch(loop)
        loop.call_exception_handler({"message": "an unclosed transport"})

    asyncio.run(main())

    assert failures() == 0
    assert "an unclosed transport" in caplog.text


def test_every_process_hands_over_what_it_counts_of_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdio, "dropped", lambda: 7)
    Timer(Loop(), 1.0, Work().fail).start()
    counters = [0] * len(ProcessCount)
    hand_over(counters)

    assert (counters[ProcessCount.LOG_LINES_DROPPED], counters[ProcessCount.TASK_FAILURES]) == (7, 1)


def test_what_failed_before_the_fork_is_the_parents() -> None:
    Timer(Loop(), 1.0, Work().fail).start()
    timers.begin_child()

    assert failures() == 0


SERVER = Path(__file__).parents[3] / "server"

# What paces itself, and how it goes on after an exception.
OWN_PACE = {
    "sink/kafka/producer.py:_tick": "catches, and is called again in `finally`",
    "sink/spool/writer.py:_write": "catches, and is called again",
    "catalog/snapshot_follower.py:_slice": "catches; the next snapshot begins again",
    "pages/documents.py:_turn": "catches, and is called again in `finally`",
    "pages/receipt.py:_turn": "is called again in `finally`",
}


def calls_itself_later() -> Iterator[str]:
    """Functions that give themselves to ``call_later`` or ``call_at``."""
    for path in sorted(SERVER.rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and any(
                isinstance(node, ast.Call)
                and ast.unparse(node.func).rpartition(".")[2] in ("call_later", "call_at")
                and any(ast.unparse(argument) == f"self.{function.name}" for argument in node.args)
                for node in ast.walk(function)
            ):
                yield f"{path.relative_to(SERVER).as_posix()}:{function.name}"


def test_whatever_comes_again_and_again_is_a_timer_or_says_how_it_outlives_an_exception() -> None:
    assert set(calls_itself_later()) == OWN_PACE.keys()
