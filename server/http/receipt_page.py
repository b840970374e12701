"""GET /v1/receipts/{id}: what became of a request, on any worker of the host.

Place: http.routes → HERE → server.rings.
Rules: an identity that no ring has is looked for once more after WAIT_S: another worker notes in pieces. What is older
than an hour, or than what the rings can hold, is 410 where the identity tells its age (UUIDv7), else 404.
Not here: who notes what (intake.receipts).
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import orjson

from server.rings import KEPT_S, Rings

if TYPE_CHECKING:
    from server.http.request import Request

PATH: Final = "/v1/receipts/"
WAIT_S: Final = 0.12  # Twice the tick of intake.receipts, and a margin.
NO_STORE: Final = b"Cache-Control: no-store\r\n"
UNKNOWN: Final = "No request of this identity was accepted on this host within the last hour."
EXPIRED: Final = "What became of this request is not kept any more: for an hour, or for as long as there is room."


class ReceiptPage:
    """``flush`` makes this worker's own notes readable."""

    def __init__(self, rings: Rings, flush: Callable[[], None]) -> None:
        self._rings = rings
        self._flush = flush

    def handle(self, request: Request) -> None:
        """200 with the counts, 404 or 410."""
        identity = unquote(request.path[len(PATH) :].decode("latin-1"))
        self._flush()
        if not self._answer(request, identity):
            asyncio.get_running_loop().call_later(WAIT_S, self._answer_last, request, identity)

    def _answer(self, request: Request, identity: str) -> bool:
        found = self._rings.find(identity.encode(), time.time())
        if found is not None:
            request.reply(200, "OK", orjson.dumps(found), more=NO_STORE)
        return found is not None

    def _answer_last(self, request: Request, identity: str) -> None:
        if not self._answer(request, identity):
            is_gone = 0 < _made_s(identity) < max(time.time() - KEPT_S, self._rings.oldest_s())
            request.problem(410 if is_gone else 404, EXPIRED if is_gone else UNKNOWN)


def _made_s(identity: str) -> float:
    """When a UUIDv7 was made; 0.0 for any other identity."""
    try:
        number = uuid.UUID(identity)
    except ValueError:
        return 0.0
    return (number.int >> 80) / 1000 if number.version == 7 else 0.0
