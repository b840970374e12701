"""A rule of chaos serves as many requests as it says, over all workers, and none of another session."""

from __future__ import annotations

import os

from server.console.checks.sessions import MAX_SESSIONS, Sessions
from server.console.copying.chaos import MAX_RULES, Rule, SharedRules


def test_rules_are_taken_in_order_and_counted() -> None:
    rules = SharedRules()
    rules.publish({"a": [Rule("status", times=2, after=1), Rule("delay")], "b": [Rule("close_before")]})

    taken = [rule.kind if (rule := rules.take("a")) else None for _ in range(5)]

    assert taken == [None, "status", "status", "delay", None]
    assert rules.take("c") is None
    assert rules.has_any


def test_processes_share_the_counts() -> None:
    rules = SharedRules()
    rules.publish({"a": [Rule("status", times=300)]})
    children = []
    for _ in range(4):
        pid = os.fork()
        if pid == 0:
            os._exit(sum(rules.take("a") is not None for _ in range(100)))
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
    assert rules.take(session.id) is not None

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
