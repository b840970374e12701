"""The answers to requests whose events are not taken: too many, no JSON, no room, a drain, a bug of ours.

Place: intake.receive → HERE → http.request.
Rule: refusing is the cheapest thing that a worker does: a text, a count, one reply.
Not here: what is wrong with single events (intake.verdict), sizes of heads and bodies, and their 413 and 431
(http.limits), types and encodings that are not taken (http.around.refused_kinds).
"""

# hot path

from __future__ import annotations

import logging
import re
import traceback
from typing import TYPE_CHECKING, Final

from server.intake.text.cut import FULL as HELD
from server.intake.text.hints import hint
from server.intake.verdict import RETRY_AFTER_S
from server.log import Limited

if TYPE_CHECKING:
    from server.http.request import Request
    from server.intake.books.counts import Counts

FULL: Final = "The broker is away, or too many events wait for it. Send them again later."
DRAINING: Final = "This server is shutting down. Send the events again; another one will take them."
BUG: Final = "internal: the server failed on this request, and has logged it. Try again later."
TOO_MANY: Final = "The request has more than the {} events that are taken at a time. Send them in smaller batches."

IN_QUERY: Final = (
    "In a query only GET /v1/beacon and GET /v1/pixel.gif take an event: its JSON alone, percent-encoded, without a "
    "name and an equals sign before it. A POST has it in its body."
)

_BRACE: Final = re.compile(rb"[{\[]|%7b|%5b", re.IGNORECASE)
_trouble = Limited(logging.getLogger("intake"))


class Refusals:
    """Answers requests whose events are not taken, and counts them in ``counts``."""

    def __init__(self, counts: Counts, max_events: int) -> None:
        self._counts = counts
        self._too_many = TOO_MANY.format(max_events)

    def fault(self, request: Request, fault: int | str) -> None:
        """Answer a request whose body gives no events: 400 with the reason, 503 if it has no room, 413 if it has too
        many (intake.text.cut)."""
        if isinstance(fault, str):
            advice = IN_QUERY if not request.body and _BRACE.search(request.query) else hint(request.body)
            request.problem(400, f"{fault} {advice}".rstrip())
        elif fault == HELD:
            self.full(request)
        else:
            self._counts.refused_many += 1
            request.problem(413, self._too_many)

    def draining(self, request: Request) -> None:
        """Answer 503: the worker is about to end."""
        self._counts.refused_draining += 1
        request.problem(503, DRAINING, retry_after_s=RETRY_AFTER_S)

    def full(self, request: Request) -> None:
        """Answer 503: neither the sink nor the spool has room."""
        self._counts.refused_full += 1
        request.problem(503, FULL, retry_after_s=RETRY_AFTER_S)

    def bug(self, request: Request) -> None:  # cold: an exception of ours, after the turn in which the request came
        """Answer 500, while the exception is being handled."""
        text = "a request failed with an internal error\n%s"
        _trouble.warning("request", text, traceback.format_exc(), request_id=request.request_id)
        request.problem(500, BUG)
