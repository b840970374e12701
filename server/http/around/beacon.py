"""Accept events in the query of a GET, for pages that can load a picture and nothing else.

Place: http.routes → HERE → intake.receive; its answer → HERE → http.protocol.
Rules:
1. The event is the first field of the query that begins with a brace or a bracket; an ampersand inside it is written
   %26, as encodeURIComponent does. The other fields are parameters.
2. It is percent-decoded once; a plus sign stays a plus sign. If the result begins with a percent sign, it was encoded
   twice, since no JSON begins so, and is decoded once more. One trailing semicolon, which old scripts append, is
   dropped.
3. With any verdict, the answer is 204 or a picture, and must not be cached. A text that is not JSON, or that there
   is no room for, is refused as in a POST.
Not here: the way of the event (intake.receive), the length of a URL (http.limits).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from server.http import problem
from server.http.request import MAX_PARAMS
from server.text import percent

if TYPE_CHECKING:
    from server.http.request import Answering, Request

NO_STORE: Final = b"Cache-Control: no-store, no-cache, must-revalidate, private, max-age=0\r\nPragma: no-cache\r\n"

# One transparent pixel, in the fewest bytes that every browser takes.
PIXEL: Final = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)


def event_of(query: bytes) -> bytes:
    """Return the JSON text in a query; empty if there is none."""
    for field in query.split(b"&", MAX_PARAMS)[:MAX_PARAMS]:
        text = percent.decode(field)
        if text[:1] == b"%":
            text = percent.decode(text)
        if text.lstrip()[:1] in (b"{", b"["):
            return text.rstrip().removesuffix(b";")
    return b""


class _Masked:
    """Stands between a request and its connection, and turns a success into 204 or the picture."""

    __slots__ = ("_answering", "_picture")

    def __init__(self, answering: Answering, picture: bytes) -> None:
        self._answering = answering
        self._picture = picture

    def answer(self, request: Request, status: int, phrase: str, body: bytes, content_type: bytes, more: bytes) -> None:
        """Like ``Connection.answer``."""
        more = more.replace(problem.NO_STORE, b"") + NO_STORE
        if 200 <= status < 300 and self._picture:
            self._answering.answer(request, 200, "OK", self._picture, b"image/gif", more)
        elif 200 <= status < 300:
            self._answering.answer(request, 204, "No Content", b"", b"", more)
        else:
            self._answering.answer(request, status, phrase, body, content_type, more)


class Beacon:
    """The handlers of /v1/beacon and /v1/pixel.gif. ``receive`` handles a request as a POST to /v1/beacon, and reads
    its body as JSON under any headers."""

    def __init__(self, receive: Callable[[Request], None]) -> None:
        self._receive = receive

    def handle(self, request: Request) -> None:
        """Handle GET /v1/beacon: answer 204."""
        self._take(request, b"")

    def handle_pixel(self, request: Request) -> None:
        """Handle GET /v1/pixel.gif: answer with the picture."""
        self._take(request, PIXEL)

    def _take(self, request: Request, picture: bytes) -> None:
        request.body = event_of(request.query)
        request.answering = _Masked(request.answering, picture)
        self._receive(request)
