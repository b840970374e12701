"""Where the stream configuration comes from: off, given, or fetched with an ETag and a time to live.

A fetched configuration that has gone stale stays in use while the address does not answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from penstock_client.decisions import backoff_s
from penstock_client.jobs import USER_AGENT, Answer, Failed, Job, Result
from penstock_client.options import Options
from penstock_client.streams import Streams

NEVER = float("inf")
RETRY_CAP_S = 60.0


class StreamSource:
    """``streams`` is what events are judged by now; None: every stream is taken."""

    def __init__(self, options: Options, now_s: float) -> None:
        given = options.streams
        self.streams = Streams(given) if isinstance(given, Mapping) else None
        self._options = options
        self._is_fetched = given == "fetch"
        self._due_s = now_s if self._is_fetched else NEVER
        self._etag = ""
        self._failures = 0

    def is_awaited(self) -> bool:
        """Whether events wait for the first answer."""
        return self._is_fetched and self.streams is None

    def due_s(self) -> float:
        """Return when it is to be fetched."""
        return self._due_s

    def hurry(self, now_s: float) -> None:
        """Ask at once if events wait for it."""
        if self.is_awaited() and self._due_s != NEVER:
            self._due_s = min(self._due_s, now_s)

    def job(self, now_s: float) -> Job:
        """Return the request. Until its result is there, none is due."""
        self._due_s = NEVER
        headers = {"User-Agent": USER_AGENT, **self._options.headers}
        if self._etag:
            headers["If-None-Match"] = self._etag
        return Job("streams", self._options.streams_url, headers, None, None)

    def use(self, result: Result, now_s: float, random: float) -> str | None:
        """Take the result; return what is wrong with it, if anything is."""
        problem = self._read(result)
        if problem is None:
            self._failures = 0
            self._due_s = now_s + self._options.streams_ttl_s * (1 + random / 10)
        else:
            self._failures += 1
            self._due_s = now_s + max(backoff_s(self._failures, random, cap_s=RETRY_CAP_S), 0.1)
        return problem

    def _read(self, result: Result) -> str | None:
        if not isinstance(result, Answer):
            return result.detail if isinstance(result, Failed) else str(result)
        if result.status == 304 and self.streams is not None:
            return None
        if result.status != 200:
            return f"the answer is {result.status}"
        body = result.json()
        declared = body.get("streams") if isinstance(body, dict) else None
        if isinstance(declared, list) and not declared:
            declared = {}
        if not isinstance(declared, dict):
            return "the answer has no streams"
        try:
            self.streams = Streams(declared)
        except re.error as error:
            return f"a regular expression cannot be read: {error}"
        self._etag = result.headers.get("etag", "")
        return None
