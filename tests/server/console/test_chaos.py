"""A rule of chaos serves as many requests as it says, over all workers, and none of another session."""

from __future__ import annotations

import os

from server.console.arrivals import Arrivals
from server.console.checks.sessions import MAX_SESSIONS, Options, Sessions
from server.console.copying import copies
from server.console.copying.chaos import MAX_RULES, Orders, Rule, SharedRules
from server.console.ring import Ring
from tests.harness.console_rows import copy_of, event_copy


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
    session = sessions.begin(0, 60)

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
    ended, expired = sessions.begin(0, 60), sessions.begin(0, 0)
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
    dry, verbose = sessions.begin(0, 60, "", Options(dry=True)), sessions.begin(0, 60, "", Options(verbose=True))

    assert rules.take(dry.id) == (None, True, False)
    assert rules.take(verbose.id) == (None, False, True)
    sessions.end(dry.id)
    assert rules.take(dry.id) == (None, False, False)
    sessions.begin(0, 60, verbose.id)
    assert not rules.has_any


def test_the_rows_of_a_session_are_bounded_in_bytes_and_those_of_others_are_not_touched() -> None:
    ring = Ring(1000, 1 << 30)
    sessions = Sessions(SharedRules(), 10_000)
    small = sessions.begin(0, 60, "small", Options(max_bytes=4_000))
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
