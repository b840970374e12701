"""A file-like object that takes the lines in which a sink's records are read, one by one.

Place: the ``read`` of a sink's kind → HERE → recovery.candidates, recovery.stored.
Rule: a line is handed on when it is whole.
Not here: what is in a line (sink.sqlite.reader).
"""

from __future__ import annotations

import io
from abc import abstractmethod
from typing import Any


class WholeLines(io.RawIOBase):
    """Cuts what is written to it into lines."""

    def __init__(self) -> None:
        super().__init__()
        self._rest = b""

    @abstractmethod
    def take(self, line: bytes) -> None:
        """Take one line, without its end."""

    def writable(self) -> bool:
        return True

    def write(self, chunk: Any, /) -> int:
        *whole, self._rest = (self._rest + bytes(chunk)).split(b"\n")
        for line in whole:
            self.take(line)
        return len(chunk)
