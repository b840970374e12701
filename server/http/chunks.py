"""Chunked bodies: join tiny pieces as they arrive, and read the size that a chunk announces.

Place: http.reader → HERE, after each read that leaves a body unfinished.
Rules: chunks of one byte are legal (RFC 9112 section 7.1): 4 million pieces joined at the end would hold the loop for
80 ms. httptools tells when a chunk begins, not how large it is: the size is read from the line that the parser has just
accepted. A line that does not look like a chunk's size line is a trailer and announces nothing.
Not here: parsing (httptools), limits (http.reader).
"""

# hot path

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from server.http.limits import CHUNK_BYTES, SLICE_BYTES

if TYPE_CHECKING:
    from server.http.limits import RequestLimits
    from server.http.problem import Refusal

MANY_PIECES: Final = 256
_KEPT_BYTES: Final = 64  # Kept of a size line that continues in the next read: the digits come first, then extensions.
_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]+)(?:;.*)?\r\n", re.DOTALL)


class Pieces(list[bytes]):
    """The pieces of a body, of which all but the newest are joined. ``came`` is how many arrived."""

    __slots__ = ("_before", "_joined")

    def __init__(self, pieces: list[bytes]) -> None:
        super().__init__(pieces)
        self._joined = 0  # How many entries at the beginning are joined ones,
        self._before = 0  # and how many pieces were joined into them.

    @property
    def came(self) -> int:
        return self._before + len(self) - self._joined

    def join(self) -> None:
        """Join the pieces that came since the last call into one, if there are more than MANY_PIECES."""
        if len(self) - self._joined > MANY_PIECES:
            self._before = self.came
            self[self._joined :] = [b"".join(self[self._joined :])]
            self._joined = len(self)


class Chunks:
    """The chunks of one body. ``on_begin`` and ``on_end`` are the parser's on_chunk_header and on_chunk_complete."""

    __slots__ = ("_at_bytes", "_bounds", "_is_new", "_is_open", "_line", "_read_bytes")

    def __init__(self, bounds: RequestLimits) -> None:
        self._bounds = bounds
        self._read_bytes = 0  # Bytes of the body before the last read.
        self._at_bytes = 0  # Where in the body the newest chunk begins.
        self._is_new = self._is_open = False
        self._line = b""

    def on_begin(self, body_bytes: int) -> None:
        self._at_bytes = body_bytes
        self._is_new = self._is_open = True

    def on_end(self) -> None:
        self._is_new = self._is_open = False

    def framing_bytes(self, fed_bytes: int, body_bytes: int) -> int:
        """Return how many bytes of the last read were not body."""
        before_bytes, self._read_bytes = self._read_bytes, body_bytes
        return fed_bytes - (body_bytes - before_bytes)

    def judge(self, received: bytes | memoryview, body_bytes: int, fed_bytes: int, number: int) -> Refusal | None:
        """Refuse a body that is mostly framing, and a chunk that announces more than the limit. ``number`` pieces came
        in ``fed_bytes``, of which ``received`` are the last."""
        bounds = self._bounds
        if fed_bytes - body_bytes - number * CHUNK_BYTES > bounds.max_head_bytes + SLICE_BYTES:
            return bounds.big_framing
        if self._at_bytes + self._announced_bytes(received, body_bytes - self._at_bytes) > bounds.max_body_bytes:
            return bounds.big_body
        return None

    def _announced_bytes(self, received: bytes | memoryview, data_bytes: int) -> int:
        """The size of the chunk that began in ``received``, which holds ``data_bytes`` of its data; 0: none began."""
        line, self._line = self._line, b""
        if not self._is_open:
            self._line = (line + bytes(received)).rpartition(b"\n")[2][:_KEPT_BYTES]
        if not self._is_new:
            return 0
        self._is_new = False
        text = line + bytes(received[: len(received) - data_bytes])
        found = _SIZE_LINE.fullmatch(text, text.rfind(b"\n", 0, -1) + 1)
        return int(found[1], 16) if found is not None else 0


def joined(pieces: list[bytes]) -> Pieces:
    """Return the same body in fewer pieces."""
    fewer = pieces if isinstance(pieces, Pieces) else Pieces(pieces)
    fewer.join()
    return fewer


def number_of(pieces: list[bytes]) -> int:
    """Return how many pieces arrived, joined or not."""
    return pieces.came if isinstance(pieces, Pieces) else len(pieces)
