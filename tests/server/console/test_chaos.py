"""A rule of chaos serves as many requests as it says, over all workers, and none of another session."""

from __future__ import annotations

import os
from typing import Any

from server.console.arrivals import Arrivals
from server.console.checks.sessions import MAX_SESSIONS, Options, Session, Sessions
from server.console.copying import copies
from server.console.copying.chaos import MAX_RULES, Orders, Rule, SharedRules
from server.console.ring import Ring
from tests.harness.console_rows import copy_of, event_copy


def begun(sessions: Sessions, name: str = "", ttl_s: float = 60, **options: Any) -> Session:
    session = sessions.begin(0, ttl_s, name, Options(**options))
    assert session is not None
    return session


def test_rules_are_taken_in_order_and_counted() -> None:
    rules = SharedRules()
    first = Orders([Rule("status", times=2, after=1), Rule("delay")])
    rules.publish({"a": first, "b": Orders([Rule("close_before")], is_dry=True)})

    taken = [rule.kind if (rule := rules.take("a")[0]) else None for _ in range(5)]

    assert taken == [None, "status", "status", "delay", None]
    assert rules.take("b") == (Rule("close_before"), True, False)
    assert rules.take("b") == (None, True, False)
    assert rules.take("c") == (None, False, False)
    assert rules.has_any


def test_processes_share_the_counts() -> None:
    rules = SharedRules()
    rules.publish({"a": Orders([Rule("status", times=300)])})
    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            os._exit(sum(rules.take("a")[0] is not None for _ in range(100)))
        children.append(pid)
    taken = sum(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children)

    assert taken == 300


def test_there_are_at_most_so_many_rules_and_sessions() -> None:
    rules = SharedRules()
    sessions = Sessions(rules)
    session = begun(sessions)

    assert not sessions.disturb(session, [Rule("delay")] * (MAX_RULES + 1))
    assert session.chaos == []
    assert sessions.disturb(session, [Rule("delay")])
    assert rules.take(session.id)[0] is not None

    for _ in range(MAX_SESSIONS):
        sessions.begin(0, 60)

    assert sessions.find(session.id) is None
    assert len(sessions.documents()) == MAX_SESSIONS


def test_a_session_that_has_ended_or_expired_has_no_chaos() -> None:
    rules = SharedRules()
    sessions = Sessions(rules)
    ended, expired = begun(sessions), begun(sessions, ttl_s=0)
    sessions.disturb(ended, [Rule("delay")])

    assert sessions.find(expired.id) is None
    assert sessions.end(ended.id) and not sessions.end(ended.id)
    assert not rules.has_any


def test_a_share_disturbs_the_same_requests_each_time() -> None:
    def story(seed: int) -> list[bool]:
        rules = SharedRules()
        rules.publish({"a": Orders([Rule("status", times=100, share=0.3, seed=seed)])})
        return [rules.take("a")[0] is not None for _ in range(100)]

    chosen = story(1)

    assert 15 < sum(chosen) < 45
    assert story(1) == chosen
    assert story(2) != chosen


def test_a_dry_or_verbose_session_has_orders_until_it_ends() -> None:
    rules = SharedRules()
    sessions = Sessions(rules)
    dry, verbose = begun(sessions, dry=True), begun(sessions, verbose=True)

    assert rules.take(dry.id) == (None, True, False)
    assert rules.take(verbose.id) == (None, False, True)
    sessions.end(dry.id)
    assert rules.take(dry.id) == (None, False, False)
    sessions.begin(0, 60, verbose.id)
    assert not rules.has_any


def test_the_rows_of_a_session_are_bounded_in_bytes_and_those_of_others_are_not_touched() -> None:
    ring = Ring(1000, 1 << 30)
    sessions = Sessions(SharedRules(), 10_000)
    small = begun(sessions, "small", max_bytes=4_000)
    sessions.begin(0, 60, "other")
    arrivals = Arrivals(ring, sessions.admit)

    def take(test: str, number: int) -> None:
        arrivals.take(copies.encode(copy_of([event_copy()], number=number, test=test)))

    for number in range(1, 6):
        take("small", number)
    take("other", 6)
    take("", 7)

    assert [row.summary.get("test") for row in ring.after(0)] == ["small", "small", "other", None]
    assert [row.seq for row in ring.after(0)] == [1, 2, 3, 4]
    assert small.bytes <= 4_000
    assert arrivals.skipped == {"above the bytes of the test session": 3}
    assert arrivals.gap_before(3) == 3


def test_rules_go_on_counting_while_other_sessions_come_and_go() -> None:
    rules = SharedRules()
    sessions = Sessions(rules)
    first = begun(sessions)
    assert sessions.disturb(first, [Rule("status", times=2), Rule("delay", after=1)])
    assert rules.take(first.id)[0] == Rule("status", times=2)

    other = begun(sessions, dry=True)
    sessions.disturb(other, [Rule("close_before")])
    taken = [rule.kind if (rule := rules.take(first.id)[0]) else None for _ in range(4)]
    sessions.end(other.id)
    sessions.disturb(first, [Rule("status", times=2), Rule("delay", after=1)])

    assert taken == ["status", None, "delay", None]
    assert rules.take(first.id)[0] is not None  # Ordered again, the same rules begin again.


def test_a_reload_ends_no_session() -> None:
    rules = SharedRules()
    before = Sessions(rules)
    dry, disturbed = begun(before, dry=True, strict=True), begun(before)
    before.disturb(disturbed, [Rule("status", times=3)])
    rules.take(disturbed.id)

    after = Sessions(rules)
    begun(after, verbose=True)  # It publishes the orders of all.
    taken = [rules.take(disturbed.id)[0] is not None for _ in range(3)]

    assert taken == [True, True, False]
    assert rules.take(dry.id) == (None, True, False)
    found = after.find(dry.id)
    assert found is not None and found.options == dry.options and found.expires_s == dry.expires_s
    assert [one["id"] for one in after.documents()][:2] == [dry.id, disturbed.id]


def test_a_dry_session_for_whose_orders_there_is_no_room_does_not_begin() -> None:
    rules = SharedRules()
    sessions = Sessions(rules)
    assert sessions.disturb(begun(sessions), [Rule("partial", indexes=list(range(10, 40_000)))])
    for number in range(10_000, 300_000, 100):
        if sessions.begin(0, 60, "x" * 58 + str(number), Options(dry=True)) is None:
            break
    else:
        raise AssertionError("there is always room")

    assert sessions.find("x" * 58 + str(number)) is None
    assert rules.take("x" * 58 + str(number)) == (None, False, False)
