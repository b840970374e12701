"""Write events, comments and positions as Server-Sent Events or as lines of JSON, and wrap them for the wire.

Place: group and client → HERE → socket.
Rules: the fields of an event stand in KafkaSSE's order: event, id, data. A comment or a gap has no id, so that it never
moves a client's position; a position alone is an id without data, which dispatches no event. A wire has no state:
what is made for one client of a group is right for all of them, also compressed. gzip allows that because each piece
ends with a full flush and refers to nothing before it; what a client needs for itself is the checksum at the end. Each
piece in zstd is a frame of its own (RFC 8878 section 3.1).
Not here: what is sent (group, client).
"""

from __future__ import annotations

import sys
import zlib
from typing import Any, Final, Literal

import orjson

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Encoding = Literal["", "gzip", "zstd"]

LEVEL: Final = 1  # Level 6 saves another 10 % of small pieces, for three times the CPU.
_GZIP_HEAD: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\x03"
_GZIP_LAST: Final = b"\x03\x00"  # An empty block that is marked as the last one.


class Wire:
    """One way to send. ``key`` is equal for equal ones."""

    __slots__ = ("encoding", "is_chunked", "is_sse", "key")

    def __init__(self, *, is_sse: bool, encoding: Encoding, is_chunked: bool) -> None:
        self.is_sse = is_sse
        self.encoding: Encoding = encoding
        self.is_chunked = is_chunked
        self.key = (is_sse, encoding, is_chunked)

    # Frames.

    def event(self, position: bytes, text: bytes) -> bytes:
        """Return one event."""
        return b"event: message\nid: %b\ndata: %b\n\n" % (position, text) if self.is_sse else text + b"\n"

    def position(self, position: bytes) -> bytes:
        """Return the position alone, or a blank line where lines of JSON have no place for it."""
        return b"id: %b\n\n" % position if self.is_sse else b"\n"

    def comment(self, text: bytes) -> bytes:
        """Return a comment, which clients pass over; a blank line in lines of JSON."""
        return b":%b\n\n" % text if self.is_sse else b"\n"

    def notice(self, kind: str, said: dict[str, Any]) -> bytes:
        """Return an event of another kind than ``message``, such as ``gap`` and ``error``, without an id."""
        text = orjson.dumps(said if self.is_sse else {kind: said})
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), text) if self.is_sse else text + b"\n"

    def retry(self, after_ms: int) -> bytes:
        """Return the wish that the client waits so long before it connects again."""
        return b"retry: %d\n\n" % after_ms if self.is_sse else b""

    # The wire.

    def opening(self) -> bytes:
        """Return what precedes the first piece."""
        return self._chunk(_GZIP_HEAD) if self.encoding == "gzip" else b""

    def wrap(self, plain: bytes) -> bytes:
        """Return a piece as it is sent."""
        if not plain:
            return b""
        if self.encoding == "gzip":
            packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
            return self._chunk(packer.compress(plain) + packer.flush(zlib.Z_FULL_FLUSH))
        return self._chunk(zstd.compress(plain, LEVEL) if self.encoding == "zstd" else plain)

    def closing(self, checksum: int, size_bytes: int, position: bytes) -> bytes:
        """Return what follows the last piece. ``position`` goes into a trailer."""
        end = b""
        if self.encoding == "gzip":
            trailer = checksum.to_bytes(4, "little") + (size_bytes & 0xFFFFFFFF).to_bytes(4, "little")
            end = self._chunk(_GZIP_LAST + trailer)
        return end + b"0\r\nLast-Event-ID: %b\r\n\r\n" % position if self.is_chunked else end

    def _chunk(self, piece: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(piece), piece) if self.is_chunked else piece
