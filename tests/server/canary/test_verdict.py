"""What is said of a canary depends on what was seen of it alone, and names the stage that failed."""

from __future__ import annotations

from typing import Any

import pytest

from server.canary.verdict import Facts, Reply, judge
from server.sink.watch import Found, Sought

POSTED_S = 1_790_000_000.0
CREATED = Reply(201, "201 All 1 out of 1 events were accepted.")


def facts(**seen: Any) -> Facts:
    return Facts("kafka", max_skew_s=60.0, is_begun=True, posted_s=POSTED_S, **seen)


def found(after_s: float) -> Sought:
    return Sought(Found("0", 7, int((POSTED_S + after_s) * 1000)), is_at_end=True)


@pytest.mark.parametrize(
    ("seen", "stage", "detail"),
    [
        (facts(reply=CREATED, sought=found(0.01)), "done", ""),
        (facts(reply=CREATED, sought=found(-59)), "done", ""),
        (facts(reply=CREATED, sought=found(61)), "clock", "61.0 s after ours"),
        (facts(reply=CREATED, sought=found(-7200)), "clock", "7200.0 s before ours"),
        (facts(no_canary="the schema has no examples", no_canary_stage="example"), "example", "has no examples"),
        (facts(no_canary="the schema is not in a directory"), "schema", "not in a directory"),
        (facts(reply=Reply(400, "400 schema_violation: x", is_invalid=True)), "schema", "schema_violation"),
        (facts(reply=Reply(0, "Connection refused")), "http", "Connection refused"),
        (facts(reply=Reply(429, "429 Too Many Requests")), "http", "429"),
        (facts(reply=Reply(503, "503 draining")), "http", "503 draining"),
        (facts(reply=Reply(302, "302 Found")), "http", "302"),
        (facts(), "http", "no answer by the deadline"),
        (facts(topic_exists=False, reply=Reply(500, "500 broker_rejected")), "kafka", "the topic does not exist"),
        (facts(no_mark="all brokers are down", reply=Reply(503, "503 x")), "kafka", "all brokers are down"),
        (facts(topic_exists=False, reply=Reply(0, "late", is_late=True)), "kafka", "the topic does not exist"),
        (facts(no_mark="all brokers are down", reply=Reply(0, "late", is_late=True)), "kafka", "brokers are down"),
        (facts(no_mark="all brokers are down", reply=Reply(0, "Connection refused")), "http", "Connection refused"),
        (facts(reply=Reply(0, "late", is_late=True)), "http", "late"),
        (facts(no_mark="all brokers are down"), "kafka", "all brokers are down"),
        (facts(reply=CREATED, sought=Sought(is_at_end=True)), "kafka", "answered 201, but the event is not in"),
        (facts(reply=Reply(202), sought=Sought(is_at_end=True)), "kafka", "it may wait in the spool"),
        (facts(reply=CREATED, sought=Sought(exists=False)), "kafka", "the topic does not exist"),
        (facts(reply=CREATED, sought=Sought(is_at_end=False)), "consumer", "had not reached the end"),
        (facts(reply=CREATED, not_read="timed out"), "consumer", "could not be read: timed out"),
        (facts(reply=CREATED, no_mark="timed out"), "consumer", "could not be read: timed out"),
        (facts(reply=CREATED), "consumer", "reading had not ended"),
        (facts(reply=CREATED, sought=found(0.01), is_shown=True), "done", ""),
        (facts(reply=CREATED, sought=found(0.01), is_shown=False), "eventstreams", "it had not come by the deadline"),
        (facts(reply=CREATED, sought=found(0.01), is_shown=False, reader_text="503 x"), "eventstreams", "503 x"),
        (facts(reply=CREATED, sought=found(-7200), is_shown=False), "clock", "7200.0 s before ours"),
        (facts(reply=CREATED, sought=Sought(is_at_end=True), is_shown=False), "kafka", "is not in the topic"),
        (Facts("kafka", 60.0), "http", "not sent before the deadline of the run"),
    ],
)
def test_a_verdict_names_the_stage(seen: Facts, stage: str, detail: str) -> None:
    verdict = judge(seen)

    assert (verdict.stage, verdict.is_ok) == (stage, stage == "done")
    assert detail in verdict.detail
