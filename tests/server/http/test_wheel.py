"""The wheel misses no deadline and is never early."""

from __future__ import annotations

import random

from server.http.wheel import MAX_STEP_S, TICK_S, Timed, Wheel


class Entry:
    """Something with a deadline, which notes when it was called."""

    def __init__(self, wheel: Wheel, deadline: float) -> None:
        self.wheel = wheel
        self.deadline = deadline
        self.bucket: set[Timed] | None = None
        self.called_at: list[float] = []
        wheel.add(self)

    def on_deadline(self) -> None:
        self.called_at.append(self.wheel.now)
        self.deadline = self.wheel.now + 1000.0


def _turn(wheel: Wheel, loop_s: float, seconds: float) -> float:
    until_s = loop_s + seconds
    while loop_s < until_s:
        loop_s += TICK_S
        wheel.turn(loop_s)
    return loop_s


def test_deadlines_pass_in_time() -> None:
    wheel = Wheel(50.0, 5.0)
    entries = [Entry(wheel, delay / 10) for delay in range(1, 400)]
    _turn(wheel, 50.0, 50.0)

    for delay, entry in enumerate(entries, 1):
        assert len(entry.called_at) == 1
        assert 0 <= entry.called_at[0] - delay / 10 <= 2 * TICK_S


def test_moved_deadlines_pass_in_time() -> None:
    """Moved at will, by no less than the shortest limit from now: nobody tells the wheel."""
    dice = random.Random(7)
    wheel = Wheel(0.0, 3.0)
    loop_s = 0.0
    entries = [Entry(wheel, 3.0) for _ in range(50)]
    for _ in range(200):
        for entry in entries:
            if dice.random() < 0.3:
                entry.deadline = wheel.after(dice.choice([3.0, 4.0, 70.0]))
                entry.called_at.clear()
            elif entry.called_at:
                assert entry.called_at[0] <= wheel.now
        overdue = [entry for entry in entries if entry.deadline < wheel.now - 2 * TICK_S]
        assert not overdue
        loop_s = _turn(wheel, loop_s, TICK_S)


def test_a_removed_entry_is_not_called_even_when_removed_in_the_same_turn() -> None:
    wheel = Wheel(0.0, 5.0)
    first, second = Entry(wheel, 1.0), Entry(wheel, 1.0)
    first.on_deadline = lambda: wheel.remove(second)  # type: ignore[method-assign]
    second.on_deadline = lambda: wheel.remove(first)  # type: ignore[method-assign]
    _turn(wheel, 0.0, 3.0)

    assert (first.bucket is None) != (second.bucket is None)


def test_time_stands_still_while_the_loop_does() -> None:
    wheel = Wheel(0.0, 5.0)
    entry = Entry(wheel, 2 * MAX_STEP_S)
    wheel.turn(60.0)
    assert wheel.now == MAX_STEP_S
    assert entry.called_at == []
    _turn(wheel, 60.0, 2 * MAX_STEP_S)

    assert len(entry.called_at) == 1


def test_a_limit_shorter_than_a_tick_is_kept_to_the_tick() -> None:
    wheel = Wheel(0.0, 0.01)
    entry = Entry(wheel, wheel.after(0.01))
    _turn(wheel, 0.0, 3 * TICK_S)

    assert len(entry.called_at) == 1
