"""The scoreboard: what one process writes, another reads."""

from __future__ import annotations

import os
import time

import pytest

from server.shared.row import ALL_SOCKETS, DRAINING, NOT_TAKING, READY, ProcessCount, State, WorkerRow
from server.shared.scoreboard import Scoreboard


def claim(board: Scoreboard, slot: int = 0, generation: int = 1) -> WorkerRow:
    row = board.claim(slot, generation)
    assert row is not None
    return row


def test_the_master_sees_what_a_worker_wrote() -> None:
    """State, pid, beat, connections and counters cross the fork, without a pipe."""
    board = Scoreboard(4)
    row = claim(board, slot=3, generation=7)
    before = time.monotonic_ns()
    pid = os.fork()
    if pid == 0:
        row.pid = os.getpid()
        row.connections = 5
        row.counters[ProcessCount.TASK_FAILURES] = 11
        row.set_state(READY)
        os._exit(0)
    os.waitpid(pid, 0)

    assert (row.state, row.pid, row.slot, row.generation, row.connections) == (READY, pid, 3, 7, 5)
    assert row.counted()[ProcessCount.TASK_FAILURES] == 11
    assert row.beat_ns >= before


def test_a_claimed_row_is_clean_and_booting() -> None:
    """Nothing of the worker before is left in it."""
    board = Scoreboard(1)
    row = claim(board)
    row.counters[ProcessCount.TASK_FAILURES] = 3
    row.connections = 9
    row.set_last_call(ALL_SOCKETS)
    row.set_state(DRAINING)
    board.release(row)
    again = claim(board)

    assert (again.state, again.connections, again.is_last_call(0)) == (State.BOOTING, 0, False)
    assert not any(again.counted())


def test_there_are_no_more_rows_than_the_board_has() -> None:
    """A row that is released can be claimed again."""
    board = Scoreboard(2)
    first, _ = claim(board), claim(board)

    assert board.claim(0, 1) is None
    board.release(first)
    assert claim(board).index == first.index


def test_totals_keep_the_counts_of_workers_that_are_gone() -> None:
    """A sum never goes down."""
    board = Scoreboard(2)
    for count in (5, 7):
        row = claim(board)
        row.counters[ProcessCount.TASK_FAILURES] = count
        row.beat()
        if count == 5:
            board.release(row)

    assert board.totals()[ProcessCount.TASK_FAILURES] == 12
    assert [row.counted()[ProcessCount.TASK_FAILURES] for row in board.live()] == [7]


def test_counters_reach_the_map_on_the_beat() -> None:
    """Not before: they are plain integers of the worker."""
    row = claim(Scoreboard(1))
    row.counters[ProcessCount.LOG_LINES_DROPPED] += 1

    assert row.counted()[ProcessCount.LOG_LINES_DROPPED] == 0
    row.beat()
    assert row.counted()[ProcessCount.LOG_LINES_DROPPED] == 1


def test_the_least_load_is_that_of_workers_that_take_connections() -> None:
    """One that boots, drains, is full or is late is waited for by nobody."""
    board = Scoreboard(3)
    idle, busy, booting = claim(board), claim(board), claim(board)
    busy.set_taking(True)
    busy.connections = 8
    busy.set_opening(2)

    assert (board.least_load(), busy.load, booting.load) == (10, 10, 0)
    idle.set_taking(True)
    assert board.least_load() == 0
    idle.set_taking(False)
    assert board.least_load() == 10


def test_a_late_worker_is_back_with_its_next_beat() -> None:
    """The master takes its load away, the worker's own beat gives it back."""
    board = Scoreboard(1)
    row = claim(board)
    row.set_taking(True)
    row.ignore_load()

    assert board.least_load() == NOT_TAKING
    row.beat()
    assert board.least_load() == 0


def test_a_released_row_bears_no_load() -> None:
    """A dead worker holds no connections."""
    board = Scoreboard(2)
    row = claim(board)
    row.set_taking(True)
    board.release(row)

    assert board.least_load() == NOT_TAKING
    assert board.live() == []


@pytest.mark.parametrize(
    ("sockets", "is_last"), [(0, [False] * 3), (0b101, [True, False, True]), (ALL_SOCKETS, [True] * 3)]
)
def test_a_last_call_names_sockets_one_by_one(sockets: int, is_last: list[bool]) -> None:
    """Bit n is the n-th listening socket."""
    row = claim(Scoreboard(1))
    row.set_last_call(sockets)

    assert [row.is_last_call(index) for index in range(3)] == is_last


def test_everybody_sees_which_streams_a_worker_serves_with() -> None:
    board = Scoreboard(2)
    row = claim(board)
    assert row.streams == (0, 0)

    row.set_streams(0xFFF_FFFF_FFFF_FFFF, 1_700_000_000_000)
    assert [live.streams for live in board.live()] == [(0xFFF_FFFF_FFFF_FFFF, 1_700_000_000_000)]
    board.release(row)
    assert claim(board).streams == (0, 0)
