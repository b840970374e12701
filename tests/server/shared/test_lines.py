"""server.shared.lines: numbers by name that outlive their worker, and never more names than there is room for."""

from __future__ import annotations

import os

from server.shared.lines import OTHERS, PAGES, Lines, LinesPage


def page_of(lines: Lines, index: int) -> LinesPage:
    page = lines.page(index)
    assert page is not None
    return page


def test_sums_cross_the_fork_and_outlive_their_worker() -> None:
    lines = Lines(8, 2, 1)
    pid = os.fork()
    if pid == 0:
        page_of(lines, 0).write([("a", [1, 2, 9])])
        os._exit(0)
    os.waitpid(pid, 0)
    page_of(lines, 1).write([("b", [10, 20, 5]), ("a", [3, 4, 7])])

    assert lines.totals() == {"a": [4, 6], "b": [10, 20]}
    assert lines.gauges() == {"a": [[9], [7]], "b": [[5]]}
    lines.retire(0)
    assert lines.totals() == {"a": [4, 6], "b": [10, 20]}
    assert lines.gauges() == {"a": [[7]], "b": [[5]]}


def test_a_page_is_written_again_and_again_and_used_again() -> None:
    lines = Lines(8, 1)
    page = page_of(lines, 0)
    for count in (1, 5, 5, 9):
        page.write([("a", [count]), ("b", [count * 2])])
    lines.retire(0)
    page_of(lines, 0).write([("b", [1])])

    assert lines.totals() == {"a": [9], "b": [19]}


def test_names_without_room_share_the_last_line() -> None:
    lines = Lines(3, 1)
    page_of(lines, 0).write([(f"n{at}", [1]) for at in range(6)])
    page_of(lines, 1).write([(f"m{at}", [1]) for at in range(2)])

    assert page_of(lines, 0).read() == {"n0": [1], "n1": [1], OTHERS: [4]}
    lines.retire(0)
    lines.retire(1)
    assert lines.totals() == {"n0": [1], "n1": [1], OTHERS: [6]}


def test_a_long_name_is_cut_and_workers_beyond_the_pages_are_left_out() -> None:
    lines = Lines(2, 1)
    page_of(lines, 0).write([("é" * 300, [1])])

    (name,) = lines.totals()
    assert name.startswith("é" * 128)
    assert lines.page(PAGES) is None
