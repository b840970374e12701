"""Log the faults of clients: at most one line per kind every 10 s, with a count and an example.

Place: worker, on the beat → HERE → the log; it reads the counters of intake.books.counts and http.server.
Rules: nothing is logged on the way of an event. Kinds come from closed sets. An example names the request, and the
stream if it is declared; the text that the client sent is shown only if ``log.client_text`` allows it, because it may
be personal.
Not here: faults of the service (logged where they occur), metrics (measures).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from server.intake.verdict import INVALID_TYPES

if TYPE_CHECKING:
    from server.http.server import HttpServer
    from server.intake.books.counts import Counts

LINE_EVERY_S: Final = 10.0

_logger = logging.getLogger("clients")


class Troubles:
    """The log lines about clients of one worker."""

    def __init__(self, server: HttpServer, counts: Counts, *, shows_text: bool) -> None:
        self._server = server
        self._counts = counts
        self._shows_text = shows_text
        self._said: dict[str, int] = {}
        self._due_s: dict[str, float] = {}

    def look(self, now_s: float, *, is_last: bool = False) -> None:
        """Log what has happened since the last line of each kind, if a line is due; at the end log everything."""
        counts, server = self._counts, self._server
        for error_type, count in counts.by_type.items():
            if more := self._more(error_type, count, now_s, is_last):
                self._say_events(error_type, more)
        for limit, count in server.refused.items():
            if limit != "idle" and (more := self._more(f"limit {limit}", count, now_s, is_last)):
                _logger.info("%d requests or connections exceeded the limit %s", more, limit, extra={"kind": limit})
        if more := self._more("parse", server.parse_errors, now_s, is_last):
            _logger.info(
                "%d connections were closed: their bytes were not an HTTP request", more, extra={"kind": "parse"}
            )
        if more := self._more("full", counts.refused_full, now_s, is_last):
            what = "%d requests were answered 503: the broker is away, or too many events wait for it"
            _logger.warning(what, more, extra={"kind": "full"})

    def _more(self, kind: str, count: int, now_s: float, is_last: bool) -> int:
        """Return how many have not been logged yet."""
        said = self._said.get(kind, 0)
        if count == said or (now_s < self._due_s.get(kind, 0.0) and not is_last):
            return 0
        self._said[kind] = count
        self._due_s[kind] = now_s + LINE_EVERY_S
        return count - said

    def _say_events(self, error_type: str, count: int) -> None:
        example = self._counts.examples.pop(error_type, None)
        more = {"kind": error_type, "count": count}
        if example is not None:
            more |= {"stream": example.stream, "request_id": example.request_id}
            if self._shows_text:
                more["text"] = example.text
        shown = {name: value for name, value in more.items() if value != ""}
        if error_type in INVALID_TYPES:
            _logger.info("%d events were not accepted: %s", count, error_type, extra=shown)
        else:
            _logger.warning("%d events failed: %s", count, error_type, extra=shown)
