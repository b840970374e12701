"""The facts that a filter may name about a row of the console.

Place: console.rows makes them of copies → HERE → server.filter, for the page, the interface, ``tail`` and ``expect``.
Rule: a fact is in the summary of a row under its own name, so that the page shows what a filter sees.
Not here: the language (server.filter).
"""

from __future__ import annotations

from typing import Final

from server.console.copying.copies import VERDICTS
from server.filter.facts import Fact, Facts, Kind

FACTS: Final = Facts(
    [
        Fact("verdict", Kind.WORD, VERDICTS, "what became of the event, or of a request without one"),
        Fact("stream", Kind.TEXT, meaning="the stream that the event names"),
        Fact("schema", Kind.TEXT, meaning="the URI of the event's schema"),
        Fact("error", Kind.TEXT, meaning="the error_type of an event that was not accepted"),
        Fact("status", Kind.NUMBER, meaning="the HTTP status of the answer"),
        Fact("method", Kind.TEXT, meaning="the method of the request"),
        Fact("path", Kind.TEXT, meaning="the path of the request"),
        Fact("request", Kind.TEXT, meaning="the ID of the request"),
        Fact("test", Kind.TEXT, meaning="the test session that the request names"),
        Fact("at", Kind.TIME, meaning="the time of receipt"),
        Fact("ms", Kind.NUMBER, meaning="milliseconds until the answer"),
        Fact("bytes", Kind.NUMBER, meaning="bytes of the event, or of the body of a request without one"),
        Fact("hasty", Kind.FLAG, meaning="whether the answer did not wait for the outcome"),
        Fact("canary", Kind.FLAG, meaning="whether the event is a canary"),
        Fact("dry", Kind.FLAG, meaning="whether the event was not sent, because its test session is dry"),
        Fact("warnings", Kind.NUMBER, meaning="warnings about the event, in a strict test session"),
        Fact("worker", Kind.NUMBER, meaning="the slot of the worker"),
        Fact("topic", Kind.TEXT, meaning="the topic of an accepted event"),
    ]
)
