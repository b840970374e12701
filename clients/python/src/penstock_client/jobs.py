"""What the core asks a driver to do: one HTTP request, and what came of it."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from penstock_client.batches import join
from penstock_client.decisions import Failure
from penstock_client.version import VERSION

if TYPE_CHECKING:
    from penstock_client.lanes import Batch, Lane

USER_AGENT = f"penstock-client-python/{VERSION}"


class Answer(NamedTuple):
    """A response. ``headers`` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON; as text if it is none, or nested deeper than Python reads."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return self.body.decode("utf-8", "replace")


class Failed(NamedTuple):
    """A request without an answer, and what is known of why."""

    kind: Failure
    detail: str


# An exception is a mistake of this package: it ends the request's events.
Result = Answer | Failed | Failure | Exception


class Job(NamedTuple):
    """A request to make. ``url`` is whole; ``bodies`` are members of the array to send, None for GET."""

    kind: Literal["events", "receipt", "streams"]
    url: str
    headers: Mapping[str, str]
    bodies: Sequence[bytes] | None
    compress_over: int | None
    lane: Lane | None = None
    batch: Batch | None = None

    def render(self) -> tuple[str, Mapping[str, str], bytes]:
        """Return method, headers and body. It takes milliseconds for large bodies, so call it without a lock."""
        if self.bodies is None:
            return "GET", self.headers, b""
        body = join(self.bodies)
        if self.compress_over is not None and len(body) > self.compress_over:
            # Level 1: half the time of level 6 for a few per cent more bytes. 31 is the form of gzip. In one call, for
            # after each one this thread has to wait for the interpreter.
            return "POST", {**self.headers, "Content-Encoding": "gzip"}, zlib.compress(body, 1, 31)
        return "POST", self.headers, body
