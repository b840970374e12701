"""Hold what was read against what was promised: the oracle.

Place: soak.clients and soak.reader → HERE → the report.
Rules: an event that was answered 2xx is there; one that was answered as failed is not; what is there is what was sent;
events of one key and one connection, or well apart in time, are in their order, first copies counted. An event without
an answer may be there or not: nobody promised anything. A hasty event may be missing where a kill -9 followed it within
LOST_S (it was in memory), and where the brokers refused it for good on its way: docs/OPERATIONS.md says both.
Not here: the rules' reasons (docs/OPERATIONS.md).
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any, Final

from msgspec import Struct, field

from server.soak.clients import Sent
from server.soak.faults import REFUSE, Fault
from server.soak.reader import Read

# What librdkafka held: until it was acked, or until its time-out (4 s here) and a second, then it was on disk.
LOST_S: Final = 7.0
REPLAYED_S: Final = 60.0  # Within which the spool of such a run is empty again.
SHOWN: Final = 10

FOR_GOOD: Final = re.compile("message too large|not authorised").match

Identity = tuple[int, int]


class Verdict(Struct):
    """Numbers for people, and ``violations``: one line for each kind, with examples."""

    sent: int = 0
    answered: dict[str, int] = field(default_factory=dict)
    once: int = 0
    twice: int = 0
    never: int = 0
    unanswered_there: int = 0
    lost_to_kills: int = 0
    refused_for_good: int = 0
    violations: list[str] = field(default_factory=list)


def judge(sent: list[Sent], read: list[Read], faults: list[Fault], gaps: int) -> Verdict:
    """The verdict of one run."""
    events = {(one.client, one.number): one for one in sent}
    there = Counter(identity for one in read if (identity := _identity(one.event)) is not None)
    verdict = Verdict(len(sent), dict(sorted(Counter(map(_answer, sent)).items())))
    kept = [identity for identity, one in events.items() if one.status in (201, 202)]
    verdict.once = sum(there[identity] == 1 for identity in kept)
    verdict.twice = sum(there[identity] > 1 for identity in kept)
    verdict.never = sum(there[identity] == 0 for identity in kept)
    verdict.unanswered_there = sum(one.status == 0 and there[identity] > 0 for identity, one in events.items())
    lost = [identity for identity in kept if not there[identity]]
    excused = {identity for identity in lost if events[identity].is_hasty and _killed_after(events[identity], faults)}
    verdict.lost_to_kills = len(excused)
    refused = {identity for identity in lost if events[identity].is_hasty and _refused(events[identity], faults)}
    verdict.refused_for_good = len(refused - excused)
    excused |= refused
    ghosts = [identity for identity, one in events.items() if one.status >= 400 and there[identity]]
    found = {
        "guaranteed events lost": [one for one in lost if not events[one].is_hasty],
        "hasty events lost without a kill": [one for one in lost if events[one].is_hasty and one not in excused],
        "ghosts: answered as failed, and delivered": ghosts,
        "wrong payloads": _wrong(events, read),
        "out of order within a key": _disordered(events, read),
        "never sent by anybody": [identity for identity in there if identity not in events],
    }
    verdict.violations = [f"{len(some)} {kind}, such as {some[:SHOWN]}" for kind, some in found.items() if some]
    if verdict.twice and not faults:
        verdict.violations.append(f"{verdict.twice} delivered twice without any fault")
    if gaps:
        verdict.violations.append(f"the brokers themselves lost records ({gaps} gaps): no verdict can stand on that")
    return verdict


def _answer(one: Sent) -> str:
    kind = "hasty" if one.is_hasty else "guaranteed"
    return f"{kind} {one.status or 'no answer'}{' spooled' if one.durability else ''}"


def _identity(event: dict[str, Any]) -> Identity | None:
    """``meta.request_id`` carries it; the service's own error events have another form."""
    client, _, number = str(event.get("meta", {}).get("request_id", "")).partition("/")
    return (int(client), int(number)) if client.isdigit() and number.isdigit() else None


def _killed_after(one: Sent, faults: list[Fault]) -> bool:
    """Whether a process was killed while this one may have been in its memory."""
    kills = [fault.at for fault in faults if fault.name.startswith("kill")]
    return any(one.sent_at - 0.5 <= at <= one.answered_at + LOST_S for at in kills)


def _refused(one: Sent, faults: list[Fault]) -> bool:
    """Whether the brokers refused records for good while this one may have been on its way."""
    times = [(fault.at, fault.until or fault.at) for fault in faults if fault.name == REFUSE and FOR_GOOD(fault.detail)]
    return any(one.sent_at - 0.5 <= until and at <= one.answered_at + REPLAYED_S for at, until in times)


def _wrong(events: dict[Identity, Sent], read: list[Read]) -> list[Identity]:
    """Everything that was sent is there as it was sent; the service may add, not change."""
    wrong = []
    for one in read:
        identity = _identity(one.event)
        if identity in events and not _holds(one.event, events[identity].event):
            wrong.append(identity)
    return wrong


def _holds(whole: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(name in whole and _holds(whole[name], part[name]) for name in part)
    return bool(whole == part)


def _disordered(events: dict[Identity, Sent], read: list[Read]) -> list[Identity]:
    """First copies of one key, in the order of the log, must have rising numbers. What nobody answered is left out."""
    newest: dict[tuple[Any, bytes], Identity] = {}
    seen: set[Identity] = set()
    wrong = []
    for one in read:
        identity = _identity(one.event)
        if one.key is None or identity is None or identity in seen or identity not in events:
            continue
        seen.add(identity)
        if not 200 <= events[identity].status < 300:
            continue
        lane = (one.place, one.key)
        other = newest.setdefault(lane, identity)
        if identity[1] >= other[1]:
            newest[lane] = identity
        elif _are_in_order(events[identity], events[other]):
            wrong.append(identity)
    return wrong


def _are_in_order(older: Sent, younger: Sent) -> bool:
    """Whether the service could know which came first: on another connection another worker may take the younger one
    while the older one is still in the first worker's memory, for a linger, a round trip or a silence."""
    return older.connection == younger.connection or younger.sent_at > older.answered_at + LOST_S
