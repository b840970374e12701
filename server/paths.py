"""Every path that the workers serve, written once.

Place: the tables of routes (worker.process, intake.receive, pages), auth.access, metrics.http_metrics → HERE.
Rules: a path that ends with ``*`` stands for all that begin so. Metrics have a label for each path, in this order; one
that is served and not named here is counted as ``other``.
Not here: methods and handlers (the tables of routes), what a path means to its clients (pages/openapi.yaml).
"""

from __future__ import annotations

from enum import StrEnum


class Paths(StrEnum):
    """A member is a text: it stands in a table of routes as it is."""

    EVENTS = "/v1/events"
    BEACON = "/v1/beacon"
    PIXEL = "/v1/pixel.gif"
    VALIDATE = "/v1/validate"
    RECEIPTS = "/v1/receipts/*"
    TEST_EVENTS = "/v1/_test/events"
    SCHEMAS = "/v1/schemas"
    BELOW_SCHEMAS = "/v1/schemas/*"
    STREAM_CONFIGS = "/v1/stream-configs"
    BELOW_STREAM_CONFIGS = "/v1/stream-configs/*"
    WIKI_STREAM_CONFIGS = "/v1/streamconfigs"
    WIKI_API = "/w/api.php"
    HEALTH = "/healthz"
    READINESS = "/readyz"
    INFO = "/_info"
    NAME = "/_info/name"
    VERSION = "/_info/version"
    ROBOTS = "/robots.txt"
    ROOT = "/"
