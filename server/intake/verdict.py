"""The verdict on an event that was not accepted, and the answer to a request as a whole: status, phrase, body.

Place: intake.pipeline makes verdicts, intake.sending asks HERE for the answer of the whole → http.request.
Rule: ``error_type`` comes from the two closed sets below; no exception text, topic or host reaches a client.
Not here: how the reply is written (http), what the schema says of an event (validators).
"""

# hot path

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from server.intake.event import Event
    from server.schemas.repository import Unfetched

INVALID_TYPES = frozenset(
    {
        "schema_violation",
        "missing_schema_uri",
        "bad_schema_uri",
        "unknown_schema",
        "insecure_schema",
        "duplicate_key",
        "missing_stream",
        "unknown_stream",
        "schema_title_mismatch",
        "wrong_service",
        "missing_key_field",
        "event_too_large",
        "not_an_object",
        "unauthorized",
        "forbidden",
    }
)
REFUSED_TYPES = frozenset({"unauthorized", "forbidden"})  # The sender may not write here.
STREAM_TYPES = frozenset({"missing_stream", "unknown_stream", "schema_title_mismatch", "wrong_service"})
RETRIABLE_TYPES = frozenset({"broker_timeout", "queue_full", "schema_unavailable"})
ERROR_TYPES = RETRIABLE_TYPES | {"broker_rejected", "internal"}

# Bytes of an answer's body. Beyond, failed events are reported in short form: index, type, the beginning of the text.
# Otherwise one request of 4 MB could be answered with 100 MB.
MAX_BODY_BYTES = 4_194_304
MAX_SHORT_CHARS = 200
# The same limit for a request whose body was compressed: this much for each of its bytes, and at least MIN_BODY_BYTES.
# Short entries may take as much again; the remaining events are named by their index alone. A body of 60 bytes, which
# holds ``{}`` 10,000 times, could otherwise be answered with 3 MB.
BYTES_PER_COMPRESSED = 64
MIN_BODY_BYTES = 65_536

CHALLENGE = b'WWW-Authenticate: Bearer realm="events"\r\n'  # RFC 9110 requires one with every 401.

RETRY_AFTER_S = 5  # Long enough for a leader election of Kafka, short enough for a client that holds its events.

_MESSAGES = {
    "broker_timeout": "the broker did not acknowledge the event in time; send it again",
    "broker_rejected": "the broker refused the event",
    "queue_full": "too many events wait for the broker; send it again later",
    "schema_unavailable": "the schema cannot be read at the moment; send the event again later",
    "internal": "the event could not be processed",
}


class Verdict(NamedTuple):
    """Why one event was not accepted.

    ``errors`` are AJV-shaped problems, ``text`` their one-line summary. ``entry`` is the answer's text about the event,
    if that is written already (``EntryWriter``): then there are no errors. ``unfetched`` is the schema of the event, if
    that has to be fetched first. ``told`` is what is told of it to others than the sender, if that is not its text.
    """

    error_type: str
    text: str
    errors: Sequence[Any] = ()
    entry: bytes = b""
    unfetched: Unfetched | None = None
    told: str = ""

    @property
    def is_invalid(self) -> bool:
        return self.error_type in INVALID_TYPES


class Answer(NamedTuple):
    """The answer to a whole request."""

    status: int
    phrase: str
    body: bytes = b""
    retry_after_s: int = 0
    more: bytes = b""  # Further header lines.


def error(error_type: str) -> Verdict:
    """Make the verdict of an event that failed through a fault of the service, or that only the broker could find too
    large."""
    return Verdict(error_type, _MESSAGES.get(error_type, "the event is larger than the broker accepts"))


def in_short(verdict: Verdict) -> Verdict:
    """Return the verdict without its errors, and with the beginning of its text."""
    return verdict._replace(errors=(), text=verdict.text[:MAX_SHORT_CHARS])


def context(verdict: Verdict) -> dict[str, Any]:
    """Return the ``context`` member of a failed event."""
    if verdict.is_invalid:
        return {"error_type": verdict.error_type, "errors": verdict.errors, "errorsText": verdict.text}
    if verdict.error_type in RETRIABLE_TYPES:
        return {"error_type": verdict.error_type, "message": verdict.text, "retry_after_s": RETRY_AFTER_S}
    return {"error_type": verdict.error_type, "message": verdict.text}


def accepted(count: int) -> Answer:
    """Answer that all events are stored."""
    return Answer(201, f"All {count} out of {count} events were accepted.")


def spooled(count: int, on_disk: int) -> Answer:
    """Answer that all events are stored, some on this host's disk until the broker can take them."""
    return Answer(202, f"All {count} out of {count} events were accepted, {on_disk} of them into the spool.")


def hasty(count: int) -> Answer:
    """Answer that all events were received; their verdicts go to the counters and the error stream."""
    return Answer(202, f"{count} events hastily received.")


def room_of(request: Any) -> int:
    """Return the bytes of an answer that whole entries may take."""
    compressed: int = request.compressed_bytes
    if not compressed:
        return MAX_BODY_BYTES
    return min(MAX_BODY_BYTES, max(MIN_BODY_BYTES, BYTES_PER_COMPRESSED * compressed))


def failures(events: Sequence[Event], room_bytes: int = MAX_BODY_BYTES) -> Failures:
    """Of a request at least one of whose events has a verdict."""
    found = Failures(room_bytes)
    for event in events:
        found.add(event)
    return found


def failed(events: Sequence[Event]) -> Answer:
    """The same, answered."""
    return failures(events).answer(len(events))


class Failures:
    """The answer of a request some of whose events have verdicts, made event by event: 10,000 of them take 20 ms.
    Phrases are EventGate's, which its clients parse. ``never_taken`` are invalid events that the sink has not seen."""

    __slots__ = ("_errored", "_invalid", "_left_out", "_room", "_types", "never_taken")

    def __init__(self, room_bytes: int = MAX_BODY_BYTES) -> None:
        self.never_taken = 0
        self._room = _Room(room_bytes)
        self._left_out: dict[str, list[list[int]]] = {}
        self._invalid: list[bytes] = []
        self._errored: list[bytes] = []
        self._types: set[str] = set()

    def add(self, event: Event) -> None:
        """Write down what there is to say of this event, if that is not done."""
        found = event.verdict
        if found is None:
            return
        is_invalid = found.error_type in INVALID_TYPES
        entry = found.entry or self._room.entry(event, found)
        self._types.add(found.error_type)
        self.never_taken += is_invalid and event.pending is None
        if entry == LEFT_OUT:
            self._leave_out("invalid" if is_invalid else "error", event.index)
        else:
            (self._invalid if is_invalid else self._errored).append(entry)

    def _leave_out(self, status: str, index: int) -> None:
        ranges = self._left_out.setdefault(status, [])
        if ranges and ranges[-1][1] == index - 1:
            ranges[-1][1] = index
        else:
            ranges.append([index, index])

    def answer(self, count: int) -> Answer:
        """Answer a request of ``count`` events, of which all with verdicts were added."""
        left_out = {
            status: sum(last - first + 1 for first, last in ranges) for status, ranges in self._left_out.items()
        }
        invalid = len(self._invalid) + left_out.get("invalid", 0)
        errored = len(self._errored) + left_out.get("error", 0)
        both = invalid + errored
        if both < count:
            phrase = (
                f"{count - both} out of {count} events were accepted, "
                f"but {both} failed ({invalid} invalid and {errored} errored)."
            )
            return Answer(207, phrase, self._body(has_both=True))
        if not errored:
            phrase = f"{count} out of {count} events were invalid and not accepted."
            status = _refusal(self._types)
            return Answer(status, phrase, self._body(has_both=False), more=CHALLENGE if status == 401 else b"")
        phrase = (
            f"{both} out of {count} events had failures and were not accepted. "
            f"({invalid} invalid and {errored} errored)."
        )
        body = self._body(has_both=True)
        if self._types <= INVALID_TYPES | RETRIABLE_TYPES:
            return Answer(503, phrase, body, RETRY_AFTER_S)
        return Answer(500, phrase, body)

    def _body(self, *, has_both: bool) -> bytes:
        """One copy of it is made: the memory of an encoder grows step by step, which took 8 ms for an event of 1 MB."""
        parts = _listed(b'{"invalid":[', self._invalid, b"]")
        if has_both:
            parts += _listed(b'"error":[', self._errored, b"]")
        if self._left_out:
            parts.append(b'"left_out":' + msgspec.json.encode(self._left_out))
        parts[-1] += b"}\n"
        return b",".join(parts)


def _refusal(error_types: set[str]) -> int:
    """Return the status of a request none of whose events was accepted, all by their own fault."""
    if error_types <= REFUSED_TYPES:
        return 401 if error_types == {"unauthorized"} else 403
    return 400


class EntryWriter:
    """Writes what the answer will say of each event, as it is prepared: 10,000 of them at the end take 100 ms. Written
    errors are released."""

    __slots__ = ("_room", "_room_bytes")

    def __init__(self, room_bytes: int = MAX_BODY_BYTES) -> None:
        self._room_bytes = room_bytes
        self.begin_again()

    def begin_again(self) -> None:
        """Discard all entries."""
        self._room = _Room(self._room_bytes)

    def write(self, event: Event) -> None:
        """Write the entry of an event, if it is refused."""
        found = event.verdict
        if found is not None:
            entry = self._room.entry(event, found)
            event.verdict = Verdict(found.error_type, found.text, (), entry, told=found.told)


LEFT_OUT = b" "  # The entry of an event that the answer names by its index alone.


class _Room:
    """The room that remains in an answer: for whole entries, and, of as much again, for short ones."""

    __slots__ = ("_least_bytes", "_left_bytes")

    def __init__(self, room_bytes: int) -> None:
        self._left_bytes = room_bytes
        self._least_bytes = -room_bytes

    def entry(self, event: Event, found: Verdict) -> bytes:
        """Return the entry of an event, as long as the room allows: whole, short, or LEFT_OUT."""
        if self._left_bytes <= self._least_bytes:
            return LEFT_OUT
        entry = _entry("invalid" if found.is_invalid else "error", event, found, self._left_bytes)
        self._left_bytes -= len(entry)
        return entry


def _listed(before: bytes, entries: list[bytes], after: bytes) -> list[bytes]:
    """The parts of a list that are to be joined by commas."""
    if not entries:
        return [before + after]
    return [before + entries[0], *entries[1:-1], entries[-1] + after] if entries[1:] else [before + entries[0] + after]


def _entry(status: str, event: Event, found: Verdict, left_bytes: int) -> bytes:
    """Return the entry, in short form if it would be longer than the rest of the answer's room."""
    entry = {"status": status, "index": event.index}
    if len(event.value) + len(found.text) < left_bytes:
        whole = msgspec.json.encode(entry | {"event": msgspec.Raw(event.value), "context": context(found)})
        if len(whole) <= left_bytes:
            return whole
    return msgspec.json.encode(entry | {"context": context(in_short(found))})
