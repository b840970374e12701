"""Errors of fetching.

Place: fetch.client, fetch.stream_source → HERE → their callers.
Rule: a message names the URL and the fault, for logs; nothing of it reaches a client of the intake.
Not here: how errors are handled (fetch.retry, fetch.stream_source, fetch.fetched_schemas).
"""

from __future__ import annotations


class FetchError(Exception):
    """A fetch failed. ``may_pass``: another attempt may succeed, for which the server may have named a time."""

    def __init__(self, message: str, *, may_pass: bool, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.may_pass = may_pass
        self.retry_after_s = retry_after_s


class AbsentError(FetchError):
    """The server is sure that there is nothing at this URL."""

    def __init__(self, message: str) -> None:
        super().__init__(message, may_pass=False)
