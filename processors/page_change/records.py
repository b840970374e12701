"""Make the records of steps and of events that cannot be used: rendered, validated, and small enough for their topics.

Place: page, map → HERE → consolidator, flink.functions.
Rules: every event of the output is validated. A record that is not valid, cannot be rendered or is larger than its
topic takes becomes an error event with the reason, and is counted: no input may stop the processor. An error event
always fits, because what it quotes is cut.
Not here: members (format, render), how much a topic takes (limits).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Final

import orjson
from msgspec import Struct

from processors.page_change import format as formats
from processors.page_change.draft import Draft, Invalid, Step
from processors.page_change.format import Names
from processors.page_change.remembered import Remembered

# Verdicts whose events go to the stream of inconsistencies. Whether a revision is not current is not certain while a
# deletion or a restore may be late, and what is hidden must not stay visible without a trace.
INCONSISTENT: Final = frozenset(
    {"undelete_of_present", "delete_of_gone", "visibility_of_gone", "visibility_of_unseen", "not_current", "overtaken"}
)
MOST_BYTES: Final = 1_000_000
LEAST_BYTES: Final = 2_000  # An error event with nothing but a short reason has less.
MOST_QUOTED: Final = 100_000  # Bytes of an event within an error event, and characters of its reason.
LEAST_QUOTED: Final = 100  # Written as six bytes each they fit into LEAST_BYTES, twice.


class Output(Struct, frozen=True, gc=False):
    """One record to write: its stream, its key (None for errors), its time, its value."""

    stream: str
    key: bytes | None
    at: int
    value: bytes


class Records:
    """``check`` says why an output is not valid, or None. ``most`` has the bytes of the largest record, with its key,
    of each stream; MOST_BYTES for the others.

    ``counts`` has a number for each stream and verdict, ``kinds`` one for each kind of change in the output, ``aside``
    one for each side stream.
    """

    def __init__(
        self, names: Names, check: Callable[[bytes], str | None], most: Mapping[str, int] | None = None
    ) -> None:
        self._names = names
        self._check = check
        self._most = dict(most or {})
        self._most_of_output = self._most.get(names.output, MOST_BYTES)
        self.counts: defaultdict[tuple[str, str], int] = defaultdict(int)
        self.kinds: defaultdict[str, int] = defaultdict(int)
        self.aside: defaultdict[str, int] = defaultdict(int)

    def of(self, steps: list[Step], watermark: int) -> list[Output]:
        """Render steps, and count the verdict of every source event. Returns the records."""
        found: list[Output] = []
        counts = self.counts
        for step in steps:
            parts, verdict, is_emitted = step.parts, step.verdict, step.is_emitted
            first = parts[0]
            counts[first.stream, verdict] += 1
            if len(parts) > 1:
                for part in parts[1:]:
                    counts[part.stream, "merged" if is_emitted else verdict] += 1
            for fact in step.counts:
                counts[first.stream, fact] += 1
            if is_emitted:
                found.append(self._change(step))
            reason = step.note or (verdict if verdict in INCONSISTENT else "")
            if reason:
                schema = formats.INCONSISTENT_SCHEMA
                found.append(self._aside(step, self._names.inconsistent, schema, reason, -1))
            if verdict == "late":
                found.append(self._aside(step, self._names.late, formats.LATE_SCHEMA, "late", watermark))
        return found

    def refused(self, invalid: Invalid, at: int, source: str) -> Output:
        """Return the record of a source event that is no draft, and count it."""
        self.counts[invalid.stream, "invalid"] += 1
        return self._error(invalid, at, source)

    def _change(self, step: Step) -> Output:
        """Return the record of an emitted step, or an error event in its place."""
        first = step.parts[0]
        try:
            event, is_known = formats.page_change(step, self._names.output)
            value = orjson.dumps(event)
        except (AttributeError, KeyError, TypeError, ValueError) as fault:
            # A member of the source event has a type that its schema does not allow.
            return self._not_written(Invalid(first.stream, f"it cannot be rendered: {fault}", first.raw), first)
        if not is_known:
            self.counts[first.stream, "rev_dt_unknown"] += 1
        reason = self._check(value)
        if reason is not None:
            return self._not_written(Invalid(self._names.output, reason, value), first)
        key = key_of(first.wiki, first.page_id)
        output = Output(self._names.output, key, first.at, value)
        if len(value) + len(key) > self._most_of_output:
            return self._too_large(output, first.source)
        self.kinds[step.kind] += 1
        return output

    def _not_written(self, invalid: Invalid, first: Draft) -> Output:
        self.counts[self._names.output, "refused"] += 1
        return self._error(invalid, first.at, first.source)

    def _aside(self, step: Step, stream: str, schema: str, reason: str, watermark: int) -> Output:
        """Return the record of a side stream, or an error event in its place."""
        first = step.parts[0]
        event = formats.aside(stream, schema, first, reason, step.before, watermark)
        output = Output(stream, key_of(first.wiki, first.page_id), first.at, orjson.dumps(event))
        if _size(output) <= self._most.get(stream, MOST_BYTES):
            self.aside[stream] += 1
            return output
        # The change of the same source event may be too large too, and has an error event of its own.
        return self._too_large(output, f"{stream}\n{first.source}")

    def _too_large(self, output: Output, source: str) -> Output:
        most = self._most.get(output.stream, MOST_BYTES)
        self.counts[output.stream, "too_large"] += 1
        reason = f"it has {_size(output)} bytes with its key, and the topic of {output.stream} takes {most}"
        return self._error(Invalid(output.stream, reason, output.value), output.at, source)

    def _error(self, invalid: Invalid, at: int, source: str) -> Output:
        """Return an error event that quotes as much of the event as its topic takes."""
        stream = self._names.error
        self.aside[stream] += 1
        quoted = MOST_QUOTED
        while True:
            value = orjson.dumps(formats.error_event(stream, invalid, at, source, quoted))
            if len(value) <= self._most.get(stream, MOST_BYTES) or quoted <= LEAST_QUOTED:
                return Output(stream, None, at, value)
            quoted = max(quoted // 2, LEAST_QUOTED)


def _size(output: Output) -> int:
    return len(output.value) + len(output.key or b"")


def key_of(wiki: str, page_id: int) -> bytes:
    """Return the key of a record, as the intake makes it from ``{wiki_id: …, page_id: …}``."""
    return f"{_HEADS[wiki]}{page_id}}}".encode()


def _head(wiki: str) -> str:
    return f'{{"wiki_id":{orjson.dumps(wiki).decode()},"page_id":'


_HEADS: Final = Remembered(_head, 4_096)
