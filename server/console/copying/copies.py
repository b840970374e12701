"""The copies of requests that workers hand to the console, as bytes on their channel.

Place: console.copying.tap encodes them in a worker → console.copying.channel → HERE → console.arrivals.
Rules: both ends belong to one generation of one program, so the form has no versions. Values were masked before they
are encoded.
Not here: when a copy is made (console.copying.tap), what the page shows of it (console.rows).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

# The heads of parts on the channel: the number of the sender, of its copy, of this part, and of all parts.
PART_HEAD: Final = 16


class EventCopy(msgspec.Struct, array_like=True, gc=False):
    """One event of a request. ``value`` is the event as it was stored, or as it came if it was refused; ``verdict`` one
    of VERDICTS; ``problems`` are AJV's errors."""

    index: int
    value: bytes
    verdict: str
    error_type: str = ""
    text: str = ""
    problems: list[Any] = []
    stream: str = ""
    schema_uri: str = ""
    topic: str = ""
    key: bytes = b""
    timestamp_ms: int = 0
    is_cut: bool = False
    partition: int = -1  # Where the broker has it, if that is known.
    offset: int = -1
    ack_ms: float = 0.0  # From the hand-over to the sink until its outcome; 0: there is none yet.


class Outcome(msgspec.Struct, array_like=True, gc=False):
    """The outcome of an event, known after its copy was made. ``number`` is that of the copy, ``index`` that
    of the event."""

    number: int
    index: int
    verdict: str
    partition: int
    offset: int
    ack_ms: float


class RequestCopy(msgspec.Struct, array_like=True, gc=False):
    """One request and its answer. ``number`` counts the copies of one sender from 1; ``skipped`` are requests since the
    last copy of which none was made. ``status`` 0: no answer was sent, or it is an event that failed after the answer.
    ``left_out`` events are not in the copy. ``is_dry`` events were answered as if they had been sent, and were not.
    ``outcomes`` are of earlier copies of this sender."""

    sender: int
    number: int
    skipped: int
    slot: int
    at_ms: int
    took_ms: float
    request_id: str
    method: str
    path: str
    query: str
    status: int
    phrase: str
    headers: dict[str, str]
    peer: str
    test: str
    is_hasty: bool
    body: bytes
    body_bytes: int
    answer: bytes
    events: list[EventCopy]
    left_out: int = 0
    note: str = ""
    is_dry: bool = False
    outcomes: list[Outcome] = []


ACCEPTED, OBSERVED, SPOOLED, INVALID, ERROR, REFUSED, DROPPED, OTHER = VERDICTS = (
    "accepted",
    "observed",
    "spooled",
    "invalid",
    "error",
    "refused",
    "dropped",
    "other",
)

CLOSED: Final = "closed"  # The note of a request whose connection its test session had closed.

encode: Final = msgspec.msgpack.Encoder().encode
decode: Final = msgspec.msgpack.Decoder(RequestCopy).decode
