"""Read the body of a request whose Upgrade is ignored.

Place: http.reader → HERE → http.reader.
Rule: an Upgrade may be ignored (RFC 9110 section 7.8) and must be: Java's own client offers h2c with every first POST.
The parser stops at the end of such a head. A second parser is given the head of a plain message with the same framing
and reads the body. Its callbacks are the reader's, without those of a head, so trailers are discarded.
Not here: any other protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from httptools import HttpRequestParser

if TYPE_CHECKING:
    from server.http.reader import RequestReader


class BodyCallbacks:
    """The callbacks of the second parser."""

    __slots__ = ("on_body", "on_chunk_complete", "on_chunk_header", "on_message_complete")

    def __init__(self, reader: RequestReader) -> None:
        self.on_body = reader.on_body
        self.on_chunk_header = reader.on_chunk_header
        self.on_chunk_complete = reader.on_chunk_complete
        self.on_message_complete = reader.on_message_complete


def body_parser(reader: RequestReader, length_bytes: int, *, is_chunked: bool) -> Callable[[bytes], None]:
    """Return the ``feed_data`` of a parser that expects the body at once."""
    parser = HttpRequestParser(BodyCallbacks(reader))
    framing = b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: %d" % length_bytes
    parser.feed_data(b"POST / HTTP/1.1\r\nConnection: close\r\n" + framing + b"\r\n\r\n")
    feed: Callable[[bytes], None] = parser.feed_data
    return feed
