"""server.shared.examples: the newest event of each finding, over all workers, whole or not at all."""

from __future__ import annotations

import os

from server.shared.examples import ENTRIES, ENTRY_BYTES, Example, Examples, ExamplesPage
from server.shared.lines import PAGES


def page_of(examples: Examples, index: int) -> ExamplesPage:
    page = examples.page(index)
    assert page is not None
    return page


def test_the_newest_example_of_all_processes_is_read() -> None:
    examples = Examples()
    page_of(examples, 0).put("a", b'{"n":1}', 5)
    page_of(examples, 0).put("b", b"{}", 9)
    pid = os.fork()
    if pid == 0:
        page_of(examples, 1).put("a", b'{"n":2}', 6)
        page_of(examples, 1).put("b", b"[]", 8)
        os._exit(0)
    os.waitpid(pid, 0)

    assert examples.read() == {"a": Example('{"n":2}', 6), "b": Example("{}", 9)}
    page_of(examples, 0).put("a", b"{}", 7)
    assert examples.read()["a"] == Example("{}", 7)
    assert examples.page(PAGES) is None


def test_an_entry_that_is_half_written_is_passed_over() -> None:
    memory = memoryview(bytearray(ENTRIES * ENTRY_BYTES))
    page = ExamplesPage(memory)
    page.put("a", b"first", 1)
    page.put("b", b"second", 2)
    memory[20] ^= 1

    assert list(page.read()) == ["b"]


def test_a_long_event_is_cut_and_findings_beyond_the_entries_have_none() -> None:
    page = page_of(Examples(), 0)
    for number in range(ENTRIES + 3):
        page.put(f"n{number}", b"x" * 10_000, number)
    page.put("n0", b"again", 1)
    found = page.read()

    assert len(found) == ENTRIES
    assert found["n0"].text == "again"
    assert 2_000 < len(found["n1"].text) < ENTRY_BYTES
