"""A stream that waits for nobody: what it keeps, drops, counts and says. (In a served process: tests.process.)"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import IO

import pytest

from server.host import stdio
from server.host.stdio import Unwaited


class Pipe:
    """A stream into a pipe that is full at first."""

    def __init__(self) -> None:
        reader, self.writer = os.pipe()
        self.reader: IO[bytes] = os.fdopen(reader, "rb", buffering=0)
        os.set_blocking(reader, False)
        self.resumed: list[int] = []
        self.stream = Unwaited(self.writer, self.resumed.append)
        while self.is_filled():
            continue

    def is_filled(self) -> bool:
        try:
            return os.write(self.writer, b"-" * 4096) > 0
        except BlockingIOError:
            return False

    def read(self) -> bytes:
        """All that is there, but for what filled it."""
        pieces = iter(lambda: self.reader.read(65_536), None)
        return b"".join(piece for piece in pieces if piece).lstrip(b"-")

    def close(self) -> None:
        self.reader.close()
        os.close(self.writer)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


def test_what_is_not_taken_is_kept_in_its_order_and_written_later(pipe: Pipe) -> None:
    for number in range(3):
        print(number, file=pipe.stream)
    pipe.read()
    print(3, file=pipe.stream)

    assert pipe.read() == b"0\n1\n2\n3\n"
    assert (pipe.stream.dropped, pipe.resumed) == (0, [])


def test_beyond_the_bound_whole_lines_are_dropped_and_their_number_is_told_once(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdio, "MAX_BYTES", 10)
    for _ in range(5):
        pipe.stream.write("1234\n")
    pipe.read()
    pipe.stream.flush()
    pipe.stream.flush()

    assert (pipe.read(), pipe.stream.dropped, pipe.resumed) == (b"1234\n1234\n", 3, [3])


def test_a_long_text_is_written_piece_by_piece_and_whole(pipe: Pipe) -> None:
    text = "x" * 200_000 + "\n"
    pipe.read()
    pipe.stream.write(text)
    found = b""
    while len(found) < len(text):
        found += pipe.read()
        pipe.stream.flush()

    assert found == text.encode()


def test_a_reader_that_has_gone_is_no_error(pipe: Pipe) -> None:
    pipe.reader.close()
    print("nobody", file=pipe.stream)
    pipe.stream.finish()

    assert pipe.resumed == []


def test_a_child_writes_nothing_of_its_parent(pipe: Pipe) -> None:
    print("of the parent", file=pipe.stream)
    pipe.stream.begin_child()
    pipe.read()
    print("of the child", file=pipe.stream)

    assert pipe.read() == b"of the child\n"


def test_the_end_waits_for_a_slow_reader_and_not_for_one_that_stands_still(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stdio, "FINISH_S", 0.01)
    print("last words", file=pipe.stream, end="")
    pipe.stream.finish()
    assert pipe.read() == b""

    pipe.stream.finish()
    assert pipe.read() == b"last words\n"


@pytest.mark.parametrize("text", ["\ud800", "Bogotá"])
def test_a_text_that_is_not_unicode_is_written_escaped(pipe: Pipe, text: str) -> None:
    pipe.read()
    print(text, file=pipe.stream)

    assert pipe.read().decode() == text.encode("utf-8", "backslashreplace").decode() + "\n"
