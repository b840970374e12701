"""server.shared.ledger: sums per stream that outlive their workers and never count twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from server.intake.books.tally import Tallies, Tally
from server.shared.ledger import LINES, Ledger
from server.shared.lines import OTHERS, PAGES
from server.shared.scoreboard import Scoreboard

ROOT = Path(__file__).parents[3]


def tallies(**accepted: int) -> Tallies:
    made = Tallies()
    for stream, count in accepted.items():
        made.of(stream).accepted = count
    return made


def accepted(ledger: Ledger) -> dict[str, int]:
    return {stream: counts["accepted"] for stream, counts in ledger.totals().items()}


def test_a_stream_is_told_with_all_its_counts() -> None:
    ledger = Ledger()
    books = Tallies()
    tally: Tally = books.of("a.stream")
    tally.accepted, tally.delivered, tally.spooled = 10, 5, 2
    tally.drop("queue_full")
    tally.drop("queue_full")
    tally.drop("internal")
    tally.withdraw()
    tally.replayed = 4
    tally.canaries, tally.old, tally.askew = 3, 2, 1
    ledger.write(3, books)

    (counts,) = ledger.totals().values()
    assert counts == {
        "accepted": 10,
        "delivered": 5,
        "spooled": 2,
        "withdrawn": 1,
        "broker_timeout": 0,
        "queue_full": 2,
        "broker_rejected": 0,
        "event_too_large": 0,
        "internal": 1,
        "replayed": 4,
        "canaries": 3,
        "old": 2,
        "askew": 1,
    }


def test_sums_are_over_workers_and_outlive_them() -> None:
    ledger = Ledger()
    ledger.write(0, tallies(a=1, b=2))
    ledger.write(1, tallies(b=10, c=20))
    assert accepted(ledger) == {"a": 1, "b": 12, "c": 20}
    ledger.retire(1)
    assert accepted(ledger) == {"a": 1, "b": 12, "c": 20}
    ledger.write(1, tallies(c=100))
    ledger.retire(1)
    ledger.retire(1)

    assert accepted(ledger) == {"a": 1, "b": 12, "c": 120}


def test_more_streams_than_lines_share_the_last_one() -> None:
    """Each worker has at most LINES; together they may have more."""
    ledger = Ledger()
    for slot, first in enumerate((0, LINES // 2 + 50)):
        streams = {f"s{number}": 1 for number in range(first, first + LINES // 2 + 50)}
        ledger.write(slot, tallies(**streams))
        ledger.retire(slot)

    told = accepted(ledger)
    assert (len(told), told[OTHERS], sum(told.values())) == (LINES, 101, LINES + 100)


def test_lines_that_have_not_changed_are_left_alone_and_changed_ones_are_not() -> None:
    ledger = Ledger()
    books = tallies(a=1, b=1)
    ledger.write(0, books)
    books.of("b").delivered = 1
    books.of("c").drop("internal")
    ledger.write(0, books)
    books.of("a").withdraw()
    ledger.write(0, books)

    names = ("accepted", "delivered", "internal", "withdrawn")
    told = {stream: [counts[name] for name in names] for stream, counts in ledger.totals().items()}
    assert told == {"a": [1, 0, 0, 1], "b": [1, 1, 0, 0], "c": [0, 0, 1, 0]}


def test_another_process_reads_the_books_and_goes_on_when_their_process_is_gone() -> None:
    code = (
        "import sys, time; from server.shared.ledger import Ledger; from server.intake.books.tally import Tallies;"
        "ledger = Ledger(); books = Tallies(); books.of('a').accepted = 7; ledger.write(1, books);"
        "print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        ledger = Ledger.open(other.pid)
        other.kill()
        other.wait()

    assert accepted(ledger) == {"a": 7}


def test_who_keeps_no_books_has_none_to_read_though_its_descriptors_come_and_go() -> None:
    code = (
        "import os; print('ready', flush=True)\n"
        "while True:\n    for fd in [os.open('/dev/null', os.O_RDONLY) for _ in range(20)]: os.close(fd)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        try:
            other.stdout.readline()
            for _ in range(100):
                with pytest.raises(FileNotFoundError, match="no books"):
                    Ledger.open(other.pid)
        finally:
            other.kill()


def test_workers_beyond_the_pages_are_left_out() -> None:
    ledger = Ledger()
    ledger.write(PAGES, tallies(a=1))

    assert ledger.totals() == {}


def test_the_scoreboard_keeps_the_books_of_a_worker_that_is_gone() -> None:
    board = Scoreboard(2)
    row = board.claim(0, 1)
    assert row is not None
    row.write_books(tallies(a=7))
    board.release(row)
    again = board.claim(0, 2)
    assert again is not None
    again.write_books(tallies(a=1))

    assert accepted(board.ledger) == {"a": 8}
