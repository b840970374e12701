"""A document to publish: its parts, its rendering piece by piece, and its plain and compressed form.

Place: server.pages.published describes a document → HERE ← pages.documents renders and caches it.
Rule: a step makes one piece, hashes and compresses it. The caller decides how many steps are done at a time.
Not here: slices of time, the cache (pages.documents); the content of a document (server.pages.published).
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, Final

from msgspec import Struct

if TYPE_CHECKING:
    from server.http.request import Request

MIN_GZIP_BYTES: Final = 512  # For smaller documents the header Content-Encoding costs as much as compressing saves.
GZIP_LEVEL: Final = 5  # Settings repeat themselves: level 9 takes twice as long for 2 % less.

JSON_TYPE: Final = b"application/json"
HTML_TYPE: Final = b"text/html; charset=utf-8"
CORS: Final = b"Access-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: Date, ETag, X-Request-Id\r\n"
# A page shows texts of settings and schemas: nothing in it may ever run.
HTML_ONLY: Final = b"Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n"
_GZIP_WINDOW: Final = 31  # By this number zlib writes the head and the checksum of gzip.


Key = tuple[Hashable, ...]


class PageDocument(Struct):
    """A document to render. ``parts`` are its bytes, piece by piece; an empty piece is a step without a result.

    ``keep_s`` is how long it may be cached; None: for the life of the worker. ``lines`` are further header lines, each
    with CRLF. Documents with the same ``key`` are the same; if it is empty, those of the same path, query and kind are.
    """

    parts: Iterator[bytes]
    content_type: bytes = JSON_TYPE
    max_age_s: int = 600
    keep_s: float | None = None
    lines: bytes = b""
    key: Key = ()


class Wrong(Struct):
    """The reason why there is no document. It becomes problem JSON, which names the wrong parameter, if any."""

    status: int
    detail: str
    parameter: str = ""
    retry_after_s: int = 0


class RenderedPage(Struct):
    """A rendered document: both forms and its header lines."""

    body: bytes
    compressed: bytes
    tag: bytes
    content_type: bytes
    lines: bytes
    until_s: float | None


class Making:
    """A document being rendered, and the requests that wait for it."""

    __slots__ = ("_compressed", "_compressor", "_hash", "_pieces", "document", "is_kept", "key", "waiting")

    def __init__(self, key: Key, document: PageDocument) -> None:
        self.key = key
        self.document = document
        self.is_kept = True
        self.waiting: list[Request] = []
        self._pieces: list[bytes] = []
        self._compressed: list[bytes] = []
        self._compressor = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
        self._hash = hashlib.sha256(document.content_type)

    def step(self) -> bool:
        """Make one more piece. Returns False if the document was whole already."""
        piece = next(self.document.parts, None)
        if piece is None:
            return False
        if piece:
            self._pieces.append(piece)
            self._hash.update(piece)
            self._compressed.append(self._compressor.compress(piece))
        return True

    def whole(self, now_s: float) -> RenderedPage:
        """Return the rendered document."""
        document = self.document
        self._compressed.append(self._compressor.flush())
        body = b"".join(self._pieces)
        is_page = document.content_type == HTML_TYPE
        lines = b"%sCache-Control: public, max-age=%d\r\nVary: Accept, Accept-Encoding\r\n%s%s" % (
            CORS,
            document.max_age_s,
            HTML_ONLY if is_page else b"",
            document.lines,
        )
        return RenderedPage(
            body=body,
            compressed=b"".join(self._compressed) if len(body) >= MIN_GZIP_BYTES else b"",
            tag=self._hash.hexdigest()[:32].encode(),
            content_type=document.content_type,
            lines=lines,
            until_s=None if document.keep_s is None else now_s + document.keep_s,
        )
