"""server.timing.turns: time is shared among clients, whatever the number of their jobs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from server.timing.turns import MAX_BEGUN, Turns


class Loop:
    """Turns when told to; a job's piece takes as long as it says."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.soon: list[Callable[[], None]] = []
        self.turns = Turns(self.soon.append, lambda: self.now_s)
        self.done: list[str] = []

    def turn(self) -> None:
        self.soon.pop(0)()

    def run(self) -> list[str]:
        while self.soon:
            self.turn()
        return self.done

    def job(self, client: str, pieces: int = 1, piece_s: float = 0.001) -> Piecework:
        job = Piecework(self, client, pieces, piece_s)
        self.turns.take(client, job)
        return job


class Piecework:
    def __init__(self, loop: Loop, client: str, pieces: int, piece_s: float) -> None:
        self._loop = loop
        self._client = client
        self.left = pieces
        self._piece_s = piece_s
        self.is_broken = False
        self.wanted = True
        self.late = False
        self.ends: list[str] = []

    def is_wanted(self) -> bool:
        return self.wanted

    def is_late(self) -> bool:
        return self.late

    def refuse(self) -> None:
        self.ends.append("refused")

    def go_on(self, time_s: float) -> bool:
        self._loop.now_s += self._piece_s
        if self.is_broken:
            raise ZeroDivisionError
        self.left -= 1
        if not self.left:
            self._loop.done.append(self._client)
        return not self.left

    def on_bug(self) -> None:
        self.ends.append("bug")

    def drop(self) -> None:
        self.ends.append("dropped")


def test_a_client_that_comes_new_is_next_however_many_jobs_another_has() -> None:
    loop = Loop()
    for _ in range(100):
        loop.job("greedy", 120)
    for _ in range(50):
        loop.turn()
    loop.job("polite")
    loop.turn()
    loop.turn()

    assert loop.done == ["polite"]


@pytest.mark.parametrize("others", [1, 10, 100])
def test_a_small_job_waits_for_no_more_than_one_turn_beside_any_number_of_greedy_clients(others: int) -> None:
    loop = Loop()
    for number in range(others):
        loop.job(f"greedy {number}", 1_000)
    for _ in range(3 * others):
        loop.turn()
    for _ in range(5):
        loop.job("polite")
        for _ in range(others + 1):
            loop.turn()

    assert loop.done == ["polite"] * 5


def test_time_is_shared_and_not_turns() -> None:
    loop = Loop()
    slow, quick = loop.job("slow", 1_000, 0.010), loop.job("quick", 1_000, 0.001)
    for _ in range(330):
        loop.turn()

    assert 9 <= (1_000 - quick.left) / (1_000 - slow.left) <= 11


def test_who_comes_back_at_once_has_no_advantage() -> None:
    loop = Loop()
    steady = loop.job("steady", 1_000)
    for _ in range(60):
        if loop.done.count("again") == 0 or loop.done[-1] == "again":
            loop.job("again")
        loop.turn()

    assert 1_000 - steady.left >= 25


def test_a_few_jobs_of_a_client_take_turns_and_the_others_begin_after_them() -> None:
    loop = Loop()
    jobs = [loop.job("one", 10) for _ in range(MAX_BEGUN + 3)]
    for _ in range(2 * MAX_BEGUN):
        loop.turn()

    assert [job.left for job in jobs] == [8] * MAX_BEGUN + [10] * 3
    assert loop.run() == ["one"] * len(jobs)


def test_a_job_that_fails_is_answered_and_the_next_has_its_turn() -> None:
    loop = Loop()
    broken = loop.job("one")
    broken.is_broken = True
    loop.job("one")

    assert (loop.run(), broken.ends) == (["one"], ["bug"])
    assert not loop.turns.has_any()


def test_a_job_that_nobody_wants_any_more_has_no_turn() -> None:
    loop = Loop()
    jobs = [loop.job("one", 5) for _ in range(3)]
    for job in jobs[:2]:
        job.wanted = False
    loop.turn()

    assert [job.left for job in jobs] == [5, 5, 4]
    assert [job.ends for job in jobs] == [["dropped"], ["dropped"], []]


def test_what_is_late_is_refused_though_it_has_not_begun() -> None:
    loop = Loop()
    jobs = [loop.job("one", 5) for _ in range(MAX_BEGUN + 5)]
    for job in jobs[MAX_BEGUN : MAX_BEGUN + 4]:
        job.late = True
    loop.turn()

    assert [job.ends for job in jobs] == [[]] * MAX_BEGUN + [["refused"]] * 4 + [[]]
    assert loop.run() == ["one"] * (MAX_BEGUN + 1)


def test_nothing_is_kept_of_clients_that_wait_for_nothing() -> None:
    loop = Loop()
    for number in range(1_000):
        loop.job(f"client {number}", 2)
    loop.run()

    assert (loop.turns._lines, loop.turns._order, loop.turns.has_any()) == ({}, [], False)
