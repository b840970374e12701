"""HTTP/1.1 without I/O: the bytes of a request, and a reader of responses (RFC 9112).

Only what this client needs: it makes the requests itself, and reads lengths, chunks and bodies that end with the
connection. What it cannot read makes the connection unusable, and the outcome of the request unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from penstock_client.jobs import Answer

MAX_HEAD_BYTES = 64 << 10
MAX_BODY_BYTES = 64 << 20  # The intake repeats refused events in its answers, so these are as large as requests.


class BadAnswer(Exception):  # noqa: N818 - never leaves the package
    """The bytes are no response."""


def request_bytes(method: str, url: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return a request."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [
        f"{method} {target} HTTP/1.1",
        f"Host: {parts.netloc}",
        *(f"{name}: {one}" for name, one in headers.items()),
    ]
    if method != "GET":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class AnswerReader:
    """Reads one response: ``feed`` it bytes until ``answer`` is there. ``keeps``: the connection can be used again."""

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self.keeps = False
        self.has_begun = False
        self._buffer = bytearray()
        self._status = 0
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._left: int | None = None  # Of the body or of a chunk; None: unknown.
        self._state = self._read_head

    def feed(self, received: bytes) -> None:
        """Take bytes; no bytes at all are the end of the connection. Raises BadAnswer."""
        if not received:
            if self._state == self._read_until_end:
                self._finish(keeps=False)
                return
            raise BadAnswer("the connection ended within the response" if self.has_begun else "no response")
        self.has_begun = True
        self._buffer += received
        while self.answer is None and self._state():
            continue

    def _read_head(self) -> bool:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise BadAnswer("the head of the response has no end")
            return False
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + 4]
        version, _, rest = lines[0].partition(" ")
        if version not in ("HTTP/1.1", "HTTP/1.0") or not rest[:3].isdecimal():
            raise BadAnswer("no status line")
        self._status = int(rest[:3])
        self._headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon:
                raise BadAnswer("a header without a colon")
            name, value = name.lower(), value.strip(" \t")
            self._headers[name] = f"{self._headers[name]}, {value}" if name in self._headers else value
        if 100 <= self._status < 200:
            return True  # An interim response: the final one follows.
        connection = self._headers.get("connection", "").lower()
        self.keeps = "close" not in connection and (version == "HTTP/1.1" or "keep-alive" in connection)
        self._choose_body()
        return True

    def _choose_body(self) -> None:
        if self._status in (204, 304):
            self._finish(keeps=self.keeps)
        elif "transfer-encoding" in self._headers:
            if self._headers["transfer-encoding"].lower() != "chunked":
                raise BadAnswer("a transfer coding that is not known")
            self._state = self._read_chunk_size
        elif "content-length" in self._headers:
            length = self._headers["content-length"]
            if not (length.isascii() and length.isdecimal()) or len(length) > 12:
                raise BadAnswer("a length that is no number")
            self._left = int(length)
            self._state = self._read_length
        else:
            self._state = self._read_until_end

    def _read_length(self) -> bool:
        assert self._left is not None
        self._bound(self._left)
        if len(self._buffer) < self._left:
            return False
        self._body += self._buffer[: self._left]
        del self._buffer[: self._left]
        self._finish(keeps=self.keeps and not self._buffer)
        return False

    def _read_until_end(self) -> bool:
        self._body += self._buffer
        self._buffer.clear()
        self._bound(0)
        return False

    def _read_chunk_size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        size = line.partition(";")[0].strip()
        try:
            self._left = int(size, 16)
        except ValueError:
            raise BadAnswer("a chunk without a size") from None
        if self._left < 0 or not size.isalnum():
            raise BadAnswer("a chunk without a size")
        self._bound(self._left)
        self._state = self._read_chunk if self._left else self._read_trailer
        return True

    def _read_chunk(self) -> bool:
        assert self._left is not None
        if len(self._buffer) < self._left + 2:
            return False
        self._body += self._buffer[: self._left]
        if self._buffer[self._left : self._left + 2] != b"\r\n":
            raise BadAnswer("a chunk without an end")
        del self._buffer[: self._left + 2]
        self._state = self._read_chunk_size
        return True

    def _read_trailer(self) -> bool:
        line = self._line()
        if line == "":
            self._finish(keeps=self.keeps and not self._buffer)
        return line is not None

    def _line(self) -> str | None:
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise BadAnswer("a line without an end")
            return None
        line = self._buffer[:end].decode("latin-1")
        del self._buffer[: end + 2]
        return line

    def _bound(self, more: int) -> None:
        if len(self._body) + more > MAX_BODY_BYTES:
            raise BadAnswer("the body is too large")

    def _finish(self, *, keeps: bool) -> None:
        self.keeps = keeps
        self.answer = Answer(self._status, self._headers, bytes(self._body))
