"""server.intake.books.tally: a line for each declaration, and sums that agree with the lines."""

from __future__ import annotations

from server.intake.books.tally import MAX_TALLIES, Tallies
from server.shared.lines import OTHERS


def test_the_sums_over_all_streams_are_those_of_the_streams() -> None:
    books = Tallies()
    for stream in ("a", "b", "a"):
        books.of(stream).keep()
        books.of(stream).drop("internal")
        books.of(stream).drop("queue_full")

    assert (books.spooled, books.dropped) == (3, 6)
    assert books.spooled == sum(tally.spooled for tally in books)
    assert books.dropped == sum(sum(tally.dropped.values()) for tally in books)


def test_what_was_withdrawn_is_settled_and_not_dropped() -> None:
    books = Tallies()
    tally = books.of("a")
    tally.accepted = 3
    tally.withdraw()
    assert (tally.in_flight(), tally.dropped, books.dropped) == (2, {}, 0)


def test_what_has_no_line_of_its_own_shares_the_last() -> None:
    books = Tallies()
    for number in range(MAX_TALLIES + 50):
        books.of(f"s{number}").keep()

    assert len(list(books)) == MAX_TALLIES + 1
    assert (books.of("yet another").stream, books.of(OTHERS).spooled) == (OTHERS, 50)
    assert books.of("s7").stream == "s7"
