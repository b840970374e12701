"""The oracle: compare the records that were read with the answers that clients got.

Place: soak.clients and soak.topic_reader → HERE → the report.
Rules: an event that was answered 2xx is there; one that was answered as failed is not; every record holds what was
sent; an event that was answered 201 is there once, if the brokers check sequence numbers and were well; first copies of
events of one key are in order.
An event without an answer may be there or not, because nothing was promised.

These faults are excused within limits, because docs/OPERATIONS.md says that they happen:
- A hasty event is missing, and the worker that answered it was killed within HELD_S. Which worker that was is known.
- A hasty event is missing that was on its way while the brokers refused records for good: no more of a stream than its
  books count as refused. Events that were in the spool by then have to wait there instead.
- Both together are no more than the books of the stream leave without an outcome (soak.books): a loss that the service
  does not know of is a violation in any case.
- Two events of a key are out of order, and another worker answered the older one as hasty or as spooled. It may have
  been in memory there for HELD_S, or other workers may not have seen for SEEN_S that its key is spooled. After a 201
  there is no such excuse.
- An event comes after a younger one, and it was on its way, or in the spool, while the brokers refused it as too large.
- A guaranteed event is there after a 503, and it timed out on its way while brokers hung and the disk was full: they
  may have it, and it cannot be kept.
- An event is there twice, and it was on its way while brokers were away or refused records. librdkafka begins a new
  epoch when an event times out, or when a broker refuses one of several batches in flight, and sends the others again
  under new numbers, though the broker may have them (issues 4953 and 2188 of librdkafka). With mock brokers this holds
  for any event in a run with faults, since they do not recognise a record that comes again.
Not here: the reasons of the rules (docs/OPERATIONS.md).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct, field

from soak.books import Books
from soak.clients import Sent
from soak.faults import FULL_DISK, REFUSE, Fault
from soak.histories import Identity, identify, tell_histories
from soak.topic_reader import StoredRecord

# librdkafka holds an event until it is acked, or until its time-out (4 s here) and a second; then it is on disk. One
# more second is for a busy machine.
HELD_S: Final = 6.0
TIMEOUT_S: Final = 4.0  # message.timeout.ms of the service under test.
SEEN_S: Final = 0.5
IN_SPOOL_S: Final = float("inf")  # The wait for a replay has no promised limit; the books give the number of events.
CLOCK_S: Final = 0.5  # The time between an event on one side and its note on the other.
SHOWN: Final = 10

TOO_LARGE: Final = "message too large"
FOR_GOOD: Final = re.compile(f"{TOO_LARGE}|not authorised").match

Lost = list[tuple[Identity, Sent]]


class SoakVerdict(Struct):
    """The verdict: numbers for people, and ``violations``, one line for each kind of violation, with examples.
    ``histories`` has a line for each example of any kind: what was answered, and where and when it was read back."""

    sent: int = 0
    answered: dict[str, int] = field(default_factory=dict)
    once: int = 0
    twice: int = 0
    never: int = 0
    unanswered_there: int = 0
    lost_to_kills: int = 0
    refused_for_good: int = 0
    violations: list[str] = field(default_factory=list)
    histories: list[str] = field(default_factory=list)


def judge(
    sent: list[Sent], read: list[StoredRecord], faults: list[Fault], books: Books, gaps: int, *, is_idempotent: bool
) -> SoakVerdict:
    """Judge one run. ``is_idempotent``: the brokers recognise records that come a second time."""
    events = {(one.client, one.number): one for one in sent}
    there = Counter(identity for one in read if (identity := identify(one.event)) is not None)
    verdict = SoakVerdict(len(sent), dict(sorted(Counter(map(_answer, sent)).items())))
    kept = [identity for identity, one in events.items() if one.status in (201, 202)]
    verdict.once = sum(there[identity] == 1 for identity in kept)
    verdict.twice = sum(there[identity] > 1 for identity in kept)
    verdict.never = sum(there[identity] == 0 for identity in kept)
    verdict.unanswered_there = sum(one.status == 0 and there[identity] > 0 for identity, one in events.items())
    lost: Lost = [(identity, events[identity]) for identity in kept if not there[identity]]
    disordered = _disordered(events, read, faults)
    found = {
        "guaranteed events lost": [identity for identity, one in lost if not one.is_hasty],
        "ghosts: answered as failed, and delivered": [
            identity
            for identity, one in events.items()
            if one.status >= 400 and there[identity] and not _may_be_ghost(one, faults)
        ],
        "wrong payloads": _wrong(events, read),
        "out of order within a key": list(disordered),
        "stored, and never sent": [identity for identity in there if identity not in events],
        "delivered twice, and acked at once": [
            identity
            for identity in kept
            if is_idempotent
            and there[identity] > 1
            and _was_acked(events[identity])
            and not _may_be_doubled(events[identity], faults)
        ],
    }
    examples = [identity for some in found.values() for identity in some[:SHOWN]]
    examples += list(disordered.values())[:SHOWN]
    verdict.violations = [_told(kind, some) for kind, some in found.items() if some]
    examples += _judge_lost([(identity, one) for identity, one in lost if one.is_hasty], sent, faults, books, verdict)
    verdict.histories = list(tell_histories(examples, events, read))
    verdict.violations += books.audit(sent, read)
    if verdict.twice and not faults:
        verdict.violations.append(f"{verdict.twice} delivered twice without any fault")
    if gaps:
        verdict.violations.append(f"the brokers themselves lost records ({gaps} gaps): no verdict can stand on that")
    return verdict


def _judge_lost(
    lost: Lost, sent: list[Sent], faults: list[Fault], books: Books, verdict: SoakVerdict
) -> list[Identity]:
    """Judge the lost events: which hasty ones may be missing, and how many of each stream. Returns examples of those
    that may not."""
    examples: list[Identity] = []
    for stream in sorted({one.event["meta"]["stream"] for _, one in lost}):
        ours = [(identity, one) for identity, one in lost if one.event["meta"]["stream"] == stream]
        alive = [(identity, one) for identity, one in ours if not _was_killed(one, books)]
        never = [(identity, one) for identity, one in alive if not _was_refused(one, faults, FOR_GOOD, HELD_S)]
        verdict.lost_to_kills += len(ours) - len(alive)
        verdict.refused_for_good += len(alive)
        for_good = books.for_good(stream)
        for some, most, why in (
            (never, 0, "without a kill of their worker or a refusal"),
            (alive, for_good, "that can only have been refused for good"),
            (ours, books.most_lost(stream, sent), "in all"),
        ):
            if len(some) > most:
                kind = f"hasty events of {stream} lost {why}, and {most} by the books of the service"
                verdict.violations.append(_told(kind, [identity for identity, _ in some]))
                examples += [identity for identity, _ in some[:SHOWN]]
                break
    return examples


def _told(kind: str, some: list[Identity]) -> str:
    return f"{len(some)} {kind}, such as {some[:SHOWN]}"


def _answer(one: Sent) -> str:
    kind = "hasty" if one.is_hasty else "guaranteed"
    return f"{kind} {one.status or 'no answer'}{' spooled' if one.durability else ''}"


def _was_acked(one: Sent) -> bool:
    """Whether the sender was told that the brokers have the event."""
    return one.status == 201 and not one.is_hasty and one.durability is None


def _was_killed(one: Sent, books: Books) -> bool:
    """Whether the event's worker was killed while the event may have been in its memory."""
    return any(
        one.worker in (kill.pid, 0) and -CLOCK_S <= kill.at - one.answered_at <= HELD_S + CLOCK_S
        for kill in books.kills
    )


def _is_too_large(detail: str) -> bool:
    return detail.startswith(TOO_LARGE)


def _was_refused(one: Sent, faults: Iterable[Fault], kind: Any, within_s: float) -> bool:
    """Whether the brokers refused records for good while this event may have been on its way."""
    times = [(fault.at, fault.until or fault.at) for fault in faults if fault.name == REFUSE and kind(fault.detail)]
    return any(one.sent_at - CLOCK_S <= until and at <= one.answered_at + within_s for at, until in times)


def _may_be_ghost(one: Sent, faults: Iterable[Fault]) -> bool:
    """Whether the event timed out on its way to the brokers while the disk was full."""
    is_held_up = one.status == 503 and one.answered_at - one.sent_at >= TIMEOUT_S - CLOCK_S
    times = [(fault.at, fault.until or fault.at) for fault in faults if fault.name in FULL_DISK]
    return is_held_up and any(one.sent_at - CLOCK_S <= until and at <= one.answered_at for at, until in times)


def _may_be_doubled(one: Sent, faults: Iterable[Fault]) -> bool:
    """Whether the event was on its way while brokers were away or refused records, or while what they had held up had
    not timed out yet."""
    return any(
        fault.is_of_brokers
        and one.sent_at - CLOCK_S <= (fault.until or fault.at) + HELD_S
        and fault.at <= one.answered_at
        for fault in faults
    )


def _wrong(events: dict[Identity, Sent], read: list[StoredRecord]) -> list[Identity]:
    """Return events that were not stored as they were sent; the service may add members but not change any."""
    wrong = []
    for one in read:
        identity = identify(one.event)
        if identity in events and not _holds(one.event, events[identity].event):
            wrong.append(identity)
    return wrong


def _holds(whole: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(name in whole and _holds(whole[name], part[name]) for name in part)
    return bool(whole == part)


def _disordered(
    events: dict[Identity, Sent], read: list[StoredRecord], faults: Iterable[Fault]
) -> dict[Identity, Identity]:
    """Return events out of order, with younger ones that came before: first copies of one key, in the order of the log,
    must have rising numbers. Events without an answer are left out."""
    newest: dict[tuple[Any, bytes], Identity] = {}
    seen: set[Identity] = set()
    wrong = {}
    for one in read:
        identity = identify(one.event)
        if one.key is None or identity is None or identity in seen or identity not in events:
            continue
        seen.add(identity)
        if not 200 <= events[identity].status < 300:
            continue
        lane = (one.place, one.key)
        other = newest.setdefault(lane, identity)
        if identity[1] >= other[1]:
            newest[lane] = identity
        elif not _was_refused(events[identity], faults, _is_too_large, IN_SPOOL_S) and _are_in_order(
            events[identity], events[other]
        ):
            wrong[identity] = other
    return wrong


def _are_in_order(older: Sent, younger: Sent) -> bool:
    """Whether the service must have known which of two events came first, by the rules above."""
    if older.connection == younger.connection or 0 != older.worker == younger.worker:
        return True
    if _was_acked(older):
        return younger.sent_at > older.answered_at
    return younger.sent_at > older.answered_at + (HELD_S if older.is_hasty else SEEN_S)
