"""Answer reads with documents that are made once and cached: JSON, or a page for browsers.

Place: http.routes → HERE → http.request; the caller's ``ask`` provides the content.
Rules:
1. A document is made in slices of ``SLICE_S`` with pauses ``PAUSE`` times as long between them: events on the same loop
   wait for one slice, however large the document, and all readers together take a quarter of the loop's time, however
   many different documents they ask for. Requests for a document that is being made wait together.
2. Documents are cached until ``forget``, or for ``keep_s``, in bounded number and bytes; the least recently used one
   is evicted first. Waiting requests are bounded too; further ones are answered 503. A document is made once, however
   the question is written (``PageDocument.key``): parameters that change nothing do not make it again.
3. Every answer supports ``If-None-Match``, may be compressed, and may be read by any web page: these are public
   documents, and cookies and credentials are never read.
Not here: how a document is made (pages.document), its content (server.pages.published).
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import orjson

from server.http.around.accept import takes_gzip, wants_page
from server.http.around.preflight import Preflight
from server.http.fields import elements
from server.http.problem import INTERNAL
from server.http.response import PROBLEM_TYPE, phrase_of
from server.log import Limited
from server.pages.document import CORS, Key, Making, PageDocument, RenderedPage, Wrong

if TYPE_CHECKING:
    from server.http.request import Request
    from server.http.routes import Handler

SLICE_S: Final = 0.001
PAUSE: Final = 3
MAX_KEPT: Final = 512
MAX_KEPT_BYTES: Final = 33_554_432  # 10,000 streams with their settings are 6 MB, compressed 0.3 MB.
MAX_QUERY_BYTES: Final = 1_024  # Questions with longer queries are not cached in ``_keys``.
MAX_WAITING: Final = 256

PREFLIGHT: Final = Preflight("GET, HEAD", 86_400, more=CORS + b"Vary: Origin\r\n").handle

Ask = Callable[[bytes, bytes, bool], PageDocument | Wrong]  # Path, query, whether a page for a browser is wanted.


class Documents:
    """Handles every route whose answers are documents. Everything runs on the loop thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ask: Ask, log: logging.Logger) -> None:
        self._loop = loop
        self._ask = ask
        self._limited = Limited(log)
        self._keys: dict[tuple[bytes, bytes, bool], Key] = {}  # By path, query and kind as the client wrote them.
        self._made: OrderedDict[Key, RenderedPage] = OrderedDict()
        self._made_bytes = 0
        self._making: OrderedDict[Key, Making] = OrderedDict()
        self._waiting = 0

    def forget(self) -> None:
        """Empty the cache: the sources have changed. Documents that are being made are answered, not cached."""
        self._keys.clear()
        self._made.clear()
        self._made_bytes = 0
        for making in self._making.values():
            making.is_kept = False

    def routes(self, paths: Sequence[str]) -> dict[str, dict[str, Handler]]:
        """Return the routes of ``paths``; a path that ends with ``*`` serves all paths that begin so."""
        return {path: {"GET": self.handle, "OPTIONS": PREFLIGHT} for path in paths}

    def handle(self, request: Request) -> None:
        """Answer now, or when the document is made."""
        question = (request.path, request.query, wants_page(request.headers.get(b"accept", b"")))
        key, asked = self._keys.get(question), None
        if key is None:
            asked = self._ask(*question)
            if isinstance(asked, Wrong):
                _refuse(request, asked)
                return
            key = self._remember(question, asked)
        made = self._made.get(key)
        if made is not None and (made.until_s is None or self._loop.time() < made.until_s):
            self._made.move_to_end(key)
            _send(request, made)
            return
        making = self._making.get(key)
        if making is not None and not making.is_kept:
            _refuse(request, Wrong(503, "The settings have just changed. Try again.", retry_after_s=1))
            return
        if making is None:
            asked = asked or self._ask(*question)
            if isinstance(asked, Wrong):
                _refuse(request, asked)
                return
            making = Making(key, asked)
        if self._waiting >= MAX_WAITING:
            _refuse(request, Wrong(503, "Too many requests for documents are waiting. Try again.", retry_after_s=1))
            return
        self._waiting += 1
        making.waiting.append(request)
        if len(making.waiting) > 1:
            return
        self._making[key] = making
        if len(self._making) == 1:
            self._turn()

    def _remember(self, question: tuple[bytes, bytes, bool], document: PageDocument) -> Key:
        key = document.key or question
        if len(question[1]) <= MAX_QUERY_BYTES:
            if len(self._keys) >= MAX_KEPT:
                self._keys.clear()
            self._keys[question] = key
        return key

    def _turn(self) -> None:
        """Do one slice of the next document, and schedule the next slice after a pause."""
        began_s = self._loop.time()
        _, making = next(iter(self._making.items()))
        made: RenderedPage | None = None
        try:
            is_under_way = self._slice(making, began_s + SLICE_S)
            if not is_under_way:
                made = making.whole(self._loop.time())
        except Exception:
            self._limited.warning("document", "a document could not be made\n%s", traceback.format_exc())
            is_under_way = False
        try:
            if not is_under_way and making.key in self._making:
                self._settle(making, made)
        finally:  # Other requests wait for their documents, even if answering these fails.
            if self._making:
                self._loop.call_later(PAUSE * max(self._loop.time() - began_s, SLICE_S), self._turn)

    def _slice(self, making: Making, until_s: float) -> bool:
        """Do steps until ``until_s``. Returns False when the document is whole."""
        while self._loop.time() < until_s:
            if not making.step():
                return False
        return True

    def _settle(self, making: Making, made: RenderedPage | None) -> None:
        del self._making[making.key]
        self._waiting -= len(making.waiting)
        if made is not None and making.is_kept:
            self._keep(making.key, made)
        for request in making.waiting:
            if made is None:
                INTERNAL.handle(request)
            else:
                _send(request, made)

    def _keep(self, key: Key, made: RenderedPage) -> None:
        before = self._made.pop(key, None)
        self._made_bytes += _size(key, made) - (_size(key, before) if before is not None else 0)
        self._made[key] = made
        while self._made_bytes > MAX_KEPT_BYTES or len(self._made) > MAX_KEPT:
            oldest, gone = self._made.popitem(last=False)
            self._made_bytes -= _size(oldest, gone)


def _size(key: Key, made: RenderedPage) -> int:
    return len(repr(key)) + len(made.body) + len(made.compressed) + 1_000


def _send(request: Request, made: RenderedPage) -> None:
    headers = request.headers
    is_compressed = bool(made.compressed) and takes_gzip(headers.get(b"accept-encoding", b""))
    tag = b'"%s-gzip"' % made.tag if is_compressed else b'"%s"' % made.tag
    lines = b"ETag: %s\r\n%s" % (tag, made.lines)
    if _is_known(made.tag, headers.get(b"if-none-match", b"")):
        request.reply(304, phrase_of(304), more=lines)
    elif is_compressed:
        request.reply(200, "OK", made.compressed, made.content_type, more=lines + b"Content-Encoding: gzip\r\n")
    else:
        request.reply(200, "OK", made.body, made.content_type, more=lines)


def _refuse(request: Request, wrong: Wrong) -> None:
    title = phrase_of(wrong.status)
    problem: dict[str, object] = {
        "type": "about:blank",
        "title": title,
        "status": wrong.status,
        "detail": wrong.detail,
    }
    if wrong.parameter:
        problem["parameter"] = wrong.parameter
    body = orjson.dumps(problem, option=orjson.OPT_APPEND_NEWLINE)
    request.reply(wrong.status, title, body, PROBLEM_TYPE, wrong.retry_after_s, CORS + b"Cache-Control: no-store\r\n")


def _is_known(tag: bytes, given: bytes) -> bool:
    """Whether the client has the document, in either form (RFC 9110 section 13.1.2, weak comparison)."""
    if not given:
        return False
    tags = [each.removeprefix(b"W/") for each in elements(given)]
    return b"*" in tags or b'"%s"' % tag in tags or b'"%s-gzip"' % tag in tags
