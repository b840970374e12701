"""An answer to a request that gets no stream, in the form of EventStreams' errors.

Place: ask, streams, start, admission → HERE → http.request.
Rules: the body is problem JSON (RFC 9457) with the members ``type``, ``title``, ``detail`` and ``status`` that clients
of Wikimedia's EventStreams know, and further ones that say what was asked and what there is.
Not here: when a request is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from server.http.problem import NO_STORE
from server.http.response import PROBLEM_TYPE, phrase_of

if TYPE_CHECKING:
    from server.http.request import Request


class RefusedError(Exception):
    """One refusal, raised where it is found and answered at the top of the request."""

    def __init__(self, status: int, kind: str, title: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.retry_after_s = int(more.pop("retry_after_s", 0))
        self.lines: bytes = more.pop("lines", b"")
        self.body = {"status": status, "type": kind, "title": title, "detail": detail, **more}

    def answer(self, request: Request) -> None:
        """Answer the request with this refusal."""
        request.reply(
            self.status,
            phrase_of(self.status),
            orjson.dumps(self.body),
            PROBLEM_TYPE,
            self.retry_after_s,
            NO_STORE + self.lines,
        )


def bad_request(detail: str, kind: str = "bad_request", title: str = "Bad Request", **more: Any) -> RefusedError:
    """Return a refusal of a request that is wrong in itself."""
    return RefusedError(400, kind, title, detail, **more)
