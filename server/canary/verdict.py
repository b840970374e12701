"""Judge a canary by what was seen of it: whether all is well, or which stage has failed.

Place: canary.run → HERE → canary.state, the command.
Rules: a verdict depends on the facts alone. The stage is where the event was lost, not where that was noticed: an
answer of 500 for a topic that does not exist is a fault of the sink.
Not here: how facts are found (canary.post, sink.watch), what a state means to operators (docs/CANARIES.md).
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from server.sink.watch import Sought

SCHEMA: Final = "schema"
EXAMPLE: Final = "example"
HTTP: Final = "http"
CONSUMER: Final = "consumer"
CLOCK: Final = "clock"
EVENTSTREAMS: Final = "eventstreams"
DONE: Final = "done"
_ACCEPTED: Final = (201, 202)


class Reply(Struct, frozen=True):
    """The result of a request. ``status`` 0: there was no answer, and ``text`` says why; ``is_late``: none in time.
    ``is_invalid``: the intake found the event invalid."""

    status: int
    text: str = ""
    is_invalid: bool = False
    is_late: bool = False

    @property
    def is_accepted(self) -> bool:
        return self.status in _ACCEPTED


class Facts(Struct):
    """Everything that was seen of one canary. None is what did not happen. Times of the host are in seconds since
    1970, durations in seconds. ``is_shown``: whether EventStreams has sent it, None if it was not looked for there;
    ``reader_text`` is the last that was heard of EventStreams."""

    sink: str
    max_skew_s: float
    is_begun: bool = False
    no_canary: str | None = None
    no_canary_stage: str = SCHEMA
    no_mark: str | None = None
    topic_exists: bool = True
    posted_s: float = 0.0
    reply: Reply | None = None
    sought: Sought | None = None
    not_read: str | None = None
    roundtrip_s: float | None = None
    is_shown: bool | None = None
    reader_text: str = ""


class Verdict(Struct, frozen=True):
    """``stage`` is ``done`` if all is well, else the stage that failed; ``detail`` says what was seen."""

    stage: str
    detail: str = ""

    @property
    def is_ok(self) -> bool:
        return self.stage == DONE


def judge(facts: Facts) -> Verdict:
    """Return the verdict on a canary. The deadline has passed for what is missing in the facts."""
    if not facts.is_begun:
        return Verdict(HTTP, "not sent before the deadline of the run: the canaries before it took all of the time")
    if facts.no_canary is not None:
        return Verdict(facts.no_canary_stage, facts.no_canary)
    reply = facts.reply
    if reply is None:
        if facts.no_mark is not None:
            return Verdict(facts.sink, facts.no_mark)
        return Verdict(HTTP, "no answer by the deadline")
    if not reply.is_accepted:
        return _refused(facts, reply)
    return _accepted(facts, reply)


def _refused(facts: Facts, reply: Reply) -> Verdict:
    if reply.is_invalid:
        return Verdict(SCHEMA, reply.text)
    waits_for_sink = reply.status >= 500 or reply.is_late
    if waits_for_sink and not facts.topic_exists:
        return Verdict(facts.sink, f"the topic does not exist; the answer is {reply.text}")
    if waits_for_sink and facts.no_mark is not None:
        return Verdict(facts.sink, f"{facts.no_mark}; the answer is {reply.text}")
    return Verdict(HTTP, reply.text)


def _accepted(facts: Facts, reply: Reply) -> Verdict:
    sought = facts.sought
    if facts.not_read is not None:
        return Verdict(CONSUMER, f"accepted, but the sink could not be read: {facts.not_read}")
    if facts.no_mark is not None:
        return Verdict(CONSUMER, f"accepted, but the sink could not be read: {facts.no_mark}")
    if sought is None:
        return Verdict(CONSUMER, "accepted, but reading had not ended by the deadline")
    if sought.found is not None:
        skew_s = sought.found.timestamp_ms / 1000 - facts.posted_s
        if abs(skew_s) > facts.max_skew_s:
            return Verdict(CLOCK, f"the stored time is {abs(skew_s):.1f} s {'before' if skew_s < 0 else 'after'} ours")
        if facts.is_shown is False:
            why = facts.reader_text or "it had not come by the deadline"
            return Verdict(EVENTSTREAMS, f"in the topic, but EventStreams has not sent it: {why}")
        return Verdict(DONE)
    if not sought.exists:
        return Verdict(facts.sink, "accepted, but the topic does not exist")
    if not sought.is_at_end:
        return Verdict(CONSUMER, "accepted, but reading had not reached the end of the topic by the deadline")
    where = "; it may wait in the spool" if reply.status == 202 else ""
    return Verdict(facts.sink, f"answered {reply.status}, but the event is not in the topic{where}")
