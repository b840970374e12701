"""Every path that EventStreams serves, written once.

Place: the tables of routes (requests, pages), metrics → HERE.
Rule: as server.paths.Paths.
Not here: methods and handlers.
"""

from __future__ import annotations

from enum import StrEnum


class StreamPaths(StrEnum):
    """A member is a text: it stands in a table of routes as it is."""

    BELOW_STREAM = "/v2/stream/*"
    STREAMS = "/v2/streams"
    UI = "/v2/ui"
    HEALTH = "/healthz"
    READINESS = "/readyz"
    INFO = "/_info"
    ROBOTS = "/robots.txt"
    ROOT = "/"
