"""Why something could not be fetched.

Place: fetch.client, fetch.stream_source → HERE → whoever asked.
Rule: a message names the URL and what was wrong, for logs; nothing of it reaches a client of the intake.
Not here: what follows (fetch.retry, fetch.stream_source, fetch.fetched_schemas).
"""

from __future__ import annotations


class FetchError(Exception):
    """``may_pass`` says whether another attempt could go better; the server may have named a time for it."""

    def __init__(self, message: str, *, may_pass: bool, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.may_pass = may_pass
        self.retry_after_s = retry_after_s


class AbsentError(FetchError):
    """The server is sure that there is nothing at this URL."""

    def __init__(self, message: str) -> None:
        super().__init__(message, may_pass=False)
