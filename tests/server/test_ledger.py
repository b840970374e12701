"""server.ledger: sums per stream that outlive their workers and never count twice."""

from __future__ import annotations

from server.intake.tally import Tallies, Tally
from server.ledger import LINES, PAGES, Ledger, Page
from server.scoreboard import Scoreboard


def tallies(**accepted: int) -> Tallies:
    made = Tallies()
    for stream, count in accepted.items():
        made.of(stream).accepted = count
    return made


def page_of(ledger: Ledger, index: int) -> Page:
    page = ledger.page(index)
    assert page is not None
    return page


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
    page_of(ledger, 3).write(books)

    (counts,) = ledger.totals().values()
    assert counts == {
        "accepted": 10,
        "delivered": 5,
        "spooled": 2,
        "broker_timeout": 0,
        "queue_full": 2,
        "broker_rejected": 0,
        "event_too_large": 0,
        "internal": 1,
    }


def test_sums_are_over_workers_and_outlive_them() -> None:
    ledger = Ledger()
    page_of(ledger, 0).write(tallies(a=1, b=2))
    page_of(ledger, 1).write(tallies(b=10, c=20))
    assert accepted(ledger) == {"a": 1, "b": 12, "c": 20}
    ledger.retire(1)
    assert accepted(ledger) == {"a": 1, "b": 12, "c": 20}
    page_of(ledger, 1).write(tallies(c=100))
    ledger.retire(1)
    ledger.retire(1)

    assert accepted(ledger) == {"a": 1, "b": 12, "c": 120}


def test_more_streams_than_lines_share_the_last_one() -> None:
    ledger = Ledger()
    page_of(ledger, 0).write(tallies(**{f"s{number}": 1 for number in range(LINES + 50)}))

    assert sum(accepted(ledger).values()) == LINES + 50
    assert accepted(ledger)["(others)"] == 51
    ledger.retire(0)
    assert sum(accepted(ledger).values()) == LINES + 50


def test_workers_beyond_the_pages_are_left_out() -> None:
    assert Ledger().page(PAGES) is None


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
