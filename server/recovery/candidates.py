"""The error events of one stream, in the order in which they were stored, kept in a file until they are judged.

Place: the ``read`` of the sink's kind → HERE → recovery.run.
Rule: memory holds the keys of the events alone, 100 bytes each.
Not here: what an error event holds (recovery.refused).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import BinaryIO

import msgspec
from msgspec import Raw, Struct

from server.recovery.lines import WholeLines
from server.recovery.refused import Refused, Repairs, refused_of, stream_of


class _Line(Struct):
    """The part of a line of ``penstock events`` that is used."""

    value: Raw


class Candidates(WholeLines):
    """Takes the lines of the error stream, and writes the error events of ``stream`` into ``file``. ``unusable`` counts
    those that hold no event."""

    def __init__(self, file: BinaryIO, stream: str, since: datetime | None, repairs: Repairs) -> None:
        super().__init__()
        self._stream = stream
        self._since_ms = int(since.timestamp() * 1000) if since is not None else 0
        self._repairs = repairs
        self._decode = msgspec.json.Decoder(_Line).decode
        self._file = file
        self.keys: set[bytes] = set()
        self.count = 0
        self.unusable = 0

    def take(self, line: bytes) -> None:
        error_event = bytes(self._decode(line).value)
        if stream_of(error_event) != self._stream:
            return
        refused = refused_of(error_event, self._repairs)
        if refused is None:
            self.unusable += 1
        elif refused.received_ms >= self._since_ms:
            self.count += 1
            self.keys |= refused.keys
            self._file.write(error_event + b"\n")

    def events(self) -> Iterator[Refused]:
        """Yield the refused events, oldest first."""
        self._file.seek(0)
        for line in self._file:
            refused = refused_of(line[:-1], self._repairs)
            assert refused is not None
            yield refused
