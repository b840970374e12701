"""Every driver sends what was submitted, tells what became of it, and keeps its deadlines."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock_client import Closed, Intake, QueueFull
from penstock_client.testing import (
    BREAKS,
    BREAKS_ACCEPTED,
    HANGS,
    HANGS_ACCEPTED,
    OK,
    UNAVAILABLE,
    Fault,
    FaultServer,
)
from tests.clients.python.conftest import EVENT, STREAM
from tests.clients.python.driven import DRIVERS, SOON, make

drivers = pytest.mark.parametrize("driver", DRIVERS)
LONG_S = 60.0


@drivers
def test_events_are_sent_in_batches_and_each_ticket_says_so(driver: str, faulty: FaultServer) -> None:
    client = make(driver, faulty.url, max_batch_events=10)
    tickets = [client.submit(STREAM, EVENT | {"page": f"/{number}"}) for number in range(25)]
    result = client.close(LONG_S)
    ids = [ticket.id for ticket in tickets]

    assert (result.sent, result.rejected, result.pending, result.dropped) == (25, 0, 0, 0)
    assert faulty.ids() == ids
    assert all(ticket.outcome.is_sent for ticket in tickets)
    assert len(faulty.seen) < 25


@drivers
def test_a_verdict_is_known_by_event(driver: str, faulty: FaultServer) -> None:
    faulty.faults.append(Fault(entries={0: "schema_violation", 1: "broker_rejected"}))
    client = make(driver, faulty.url, linger_s=LONG_S)
    tickets = [client.submit(STREAM, EVENT) for _ in range(3)]
    result = client.close(LONG_S)

    assert [ticket.outcome[:2] for ticket in tickets] == [
        ("rejected", "schema_violation"),
        ("rejected", "broker_rejected"),
        ("sent", None),
    ]
    assert (result.sent, result.rejected) == (1, 2)


@drivers
def test_submit_now_returns_the_verdict(driver: str, faulty: FaultServer) -> None:
    faulty.faults.extend([OK, Fault(status=400, accepts=False, entries={0: "unknown_stream"})])
    client = make(driver, faulty.url, linger_s=LONG_S)

    assert client.submit_now(STREAM, EVENT, timeout=LONG_S).is_sent
    assert client.submit_now(STREAM, EVENT, timeout=LONG_S)[:2] == ("rejected", "unknown_stream")
    client.close()


@drivers
def test_an_intake_that_is_away_is_tried_again(driver: str, faulty: FaultServer) -> None:
    faulty.faults.extend([UNAVAILABLE, BREAKS, Fault(status=429, accepts=False), Fault(status=502, accepts=False)])
    client = make(driver, faulty.url, settle_s=0.0, **SOON)
    ticket = client.submit(STREAM, EVENT)

    assert client.close(LONG_S).sent == 1
    assert faulty.ids() == [ticket.id]
    assert [len(found) for found in faulty.bodies().values()] == [1], "every attempt sends the same bytes"
    assert [path for path in faulty.paths if "attempt=" in path][-1] == "/v1/events?attempt=5"


@drivers
def test_a_lost_answer_is_looked_for_in_the_receipt_and_nothing_is_sent_twice(driver: str, faulty: FaultServer) -> None:
    faulty.faults.append(BREAKS_ACCEPTED)
    client = make(driver, faulty.url, **SOON)
    ticket = client.submit(STREAM, EVENT)

    assert client.close(LONG_S).sent == 1
    assert faulty.ids() == [ticket.id]
    assert sum("/v1/receipts/" in path for path in faulty.paths) == 1


@drivers
def test_a_batch_that_is_too_large_is_halved(driver: str) -> None:
    with FaultServer(max_events=3) as server:
        client = make(driver, server.url, linger_s=LONG_S)
        tickets = [client.submit(STREAM, EVENT) for _ in range(10)]

        assert client.close(LONG_S).sent == 10
        assert sorted(server.ids()) == sorted(ticket.id for ticket in tickets)
        assert max(map(len, server.accepted)) <= 3


@drivers
def test_hasty_and_guaranteed_events_are_sent_apart(driver: str, faulty: FaultServer) -> None:
    client = make(driver, faulty.url, hasty=True)
    client.submit(STREAM, EVENT)
    client.submit(STREAM, EVENT, hasty=False)
    client.close(LONG_S)

    assert sorted(faulty.paths) == ["/v1/events", "/v1/events?hasty=true"]


@drivers
def test_one_event_that_must_wait_does_not_hold_up_the_others(driver: str, faulty: FaultServer) -> None:
    faulty.faults.append(Fault(entries={0: "broker_timeout"}))
    client = make(driver, faulty.url, retry_base_s=3600, retry_cap_s=3600, linger_s=0)
    first = client.submit(STREAM, EVENT)
    client.submit(STREAM, EVENT)
    client.flush(0.5)
    later = client.submit_now(STREAM, EVENT, timeout=LONG_S)

    assert later.is_sent
    assert first.outcome.status in ("pending", "sent")
    client.close(0)


@drivers
def test_the_oldest_events_give_way_and_are_counted(driver: str, faulty: FaultServer) -> None:
    lost: list[tuple[str, str]] = []
    options: dict[str, Any] = {"max_queue_events": 5, "linger_s": LONG_S, "max_batch_events": 100}
    client = make(driver, faulty.url, on_drop=lambda ticket, reason: lost.append((ticket.id, reason)), **options)
    tickets = [client.submit(STREAM, EVENT) for _ in range(8)]
    result = client.close(LONG_S)

    assert lost == [(ticket.id, "queue_full") for ticket in tickets[:3]]
    assert faulty.ids() == [ticket.id for ticket in tickets[3:]]
    assert (result.sent, result.dropped) == (5, 3)


def test_a_full_queue_refuses_raises_or_blocks_as_it_is_told(faulty: FaultServer) -> None:
    options: dict[str, Any] = {"max_queue_events": 1, "linger_s": LONG_S}
    new = make("inline", faulty.url, on_full="drop_new", **options)
    raising = make("inline", faulty.url, on_full="raise", **options)
    blocking = make("inline", faulty.url, on_full="block", block_s=0.05, **options)
    for client in (new, raising, blocking):
        client.submit(STREAM, EVENT)

    assert new.submit(STREAM, EVENT).outcome[:2] == ("dropped", "queue_full")
    assert blocking.submit(STREAM, EVENT).outcome[:2] == ("dropped", "queue_full")
    with pytest.raises(QueueFull):
        raising.submit(STREAM, EVENT)
    assert raising.metrics()["dropped"] == {"queue_full": 1}
    assert [client.close(LONG_S).sent for client in (new, raising, blocking)] == [1, 1, 1]


def test_a_blocked_submit_goes_on_when_there_is_room(faulty: FaultServer) -> None:
    client = make("thread", faulty.url, max_queue_events=2, max_batch_events=1, on_full="block", block_s=LONG_S)
    tickets = [client.submit(STREAM, EVENT) for _ in range(50)]

    assert client.close(LONG_S).sent == 50
    assert faulty.ids() == [ticket.id for ticket in tickets]


@drivers
def test_a_closed_client_takes_nothing_and_what_was_left_is_counted(driver: str, faulty: FaultServer) -> None:
    faulty.faults.extend([HANGS] * 50)
    client = make(driver, faulty.url)
    ticket = client.submit(STREAM, EVENT)
    result = client.close(0.05)

    assert (result.sent, result.pending, result.dropped) == (0, 0, 1)
    assert ticket.outcome[:2] == ("dropped", "closed")
    with pytest.raises(Closed):
        client.submit(STREAM, EVENT)
    assert client.close() == (0, 0, 0, 0)


@drivers
@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({"$schema": "/a/1.0.0", "x": float("nan")}, "unserializable"),
        ({"$schema": "/a/1.0.0", "x": {1, 2}}, "unserializable"),
        ({"$schema": "/a/1.0.0", "x": "\ud800"}, "unserializable"),
        ({"$schema": "/a/1.0.0", "x": "x" * 2_000_000}, "too_large"),
        ({"x": 1}, "no_schema"),
        ({"$schema": "/a/1.0.0", "meta": 7}, "not_an_object"),
    ],
)
def test_an_event_that_cannot_be_sent_is_an_outcome_not_an_exception(
    driver: str, event: dict[str, Any], reason: str, faulty: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = make(driver, faulty.url)
    with caplog.at_level(logging.WARNING, "penstock_client"):
        outcomes = [client.submit(STREAM, event).outcome for _ in range(3)]

    assert [(one.status, one.reason) for one in outcomes] == [("dropped", reason)] * 3
    assert len(caplog.records) == 1, "one line per reason and minute"
    assert client.close().dropped == 3
    assert faulty.seen == []


@drivers
def test_what_was_lost_is_reported_to_the_intake(driver: str, faulty: FaultServer) -> None:
    faulty.faults.append(Fault(entries={0: "schema_violation"}))
    client = make(driver, faulty.url, report_stream="penstock.client_report", linger_s=LONG_S)
    client.submit(STREAM, EVENT)
    client.submit(STREAM, {})
    client.submit(STREAM, EVENT)
    client.flush(LONG_S)
    client.close(LONG_S)
    events = [json.loads(event) for request in faulty.accepted for event in request]
    reports = [event for event in events if event["meta"]["stream"] == "penstock.client_report"]
    lost = {(one["stream"], one["reason"]): one["count"] for report in reports for one in report["dropped"]}

    assert lost == {(STREAM, "no_schema"): 1, (STREAM, "rejected"): 1}


@drivers
def test_events_wait_for_the_first_stream_configuration(driver: str, faulty: FaultServer) -> None:
    faulty.streams = {STREAM: {}, "sampled": {"sample": {"unit": "session", "rate": 0}}}
    client = make(driver, faulty.url, streams="fetch", ids={})
    tickets = [client.submit(stream, EVENT) for stream in (STREAM, "sampled", "unknown")]
    client.close(LONG_S)

    assert [ticket.outcome[:2] for ticket in tickets] == [
        ("sent", None),
        ("dropped", "sampled"),
        ("dropped", "unknown_stream"),
    ]
    assert faulty.ids() == [tickets[0].id]


@pytest.mark.parametrize(
    ("stream", "outcome"),
    [(STREAM, ("sent", None)), ("sampled", ("dropped", "sampled")), ("no", ("dropped", "unknown_stream"))],
)
def test_an_event_that_the_stream_configuration_overtakes_is_judged(
    stream: str, outcome: tuple[str, str | None], faulty: FaultServer
) -> None:
    """It is prepared without the lock: the answer may come between the question for it and the queue."""
    faulty.streams = {STREAM: {}, "sampled": {"sample": {"unit": "session", "rate": 0}}}

    firsts = [EVENT]

    def dumps(event: dict[str, Any]) -> bytes:
        if "late" in event and firsts:
            client.submit(STREAM, firsts.pop()).wait(LONG_S)
        return json.dumps(event).encode()

    client = Intake(faulty.url, streams="fetch", ids={}, dumps=dumps, linger_s=0.0)
    ticket = client.submit(stream, EVENT | {"late": True})

    assert ticket.wait(LONG_S)[:2] == outcome
    client.close(LONG_S)


@drivers
@pytest.mark.parametrize(("compress_over", "is_compressed"), [(None, False), (10_000, False), (100, True)])
def test_large_bodies_are_compressed(
    driver: str, compress_over: int | None, is_compressed: bool, faulty: FaultServer
) -> None:
    client = make(driver, faulty.url, compress_over=compress_over, linger_s=LONG_S)
    tickets = [client.submit(STREAM, EVENT) for _ in range(5)]
    client.close(LONG_S)

    assert faulty.ids() == [ticket.id for ticket in tickets]
    assert faulty.codings == ["gzip" if is_compressed else ""]


@drivers
def test_a_developer_sees_every_outcome_and_no_sampling(
    driver: str, faulty: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    streams = {STREAM: {"sample": {"unit": "session", "rate": 0}}}
    client = make(driver, faulty.url, debug=True, streams=streams)
    ticket = client.submit(STREAM, EVENT)
    client.close(LONG_S)

    assert faulty.ids() == [ticket.id]
    assert f"event sent (web.page_view, {ticket.id})" in caplog.text


def test_an_event_that_is_too_old_is_dropped(faulty: FaultServer) -> None:
    faulty.faults.extend([UNAVAILABLE] * 1000)
    client = make("thread", faulty.url, max_age_s=0.05, **SOON)
    ticket = client.submit(STREAM, EVENT)

    assert ticket.wait(LONG_S)[:2] == ("dropped", "expired")
    client.close()


def test_retry_after_is_kept_even_by_a_flush(faulty: FaultServer) -> None:
    faulty.faults.append(Fault(status=503, accepts=False, headers={"Retry-After": "3000"}))
    client = make("thread", faulty.url, **SOON)
    client.submit(STREAM, EVENT)
    faulty.until(lambda: client.health().last_error is not None)
    result = client.flush(0.2)

    assert result.pending == 1
    assert len(faulty.seen) == 1
    assert client.health().paused_s > 2000
    assert client.health().last_error == "http_503"
    client.close(0)


faults = st.sampled_from(
    [
        OK,
        BREAKS,
        BREAKS_ACCEPTED,
        UNAVAILABLE,
        Fault(status=500, accepts=False, body=b"<html>"),
        Fault(status=502),
        Fault(status=413, accepts=False),
        Fault(entries={0: "broker_timeout"}),
        Fault(entries={0: "schema_violation", 1: "queue_full"}),
        Fault(status=207, body=b"<html>"),
    ]
)


@drivers
@settings(max_examples=15)
@given(script=st.lists(faults, max_size=12), count=st.integers(1, 12))
def test_whatever_fails_no_event_is_lost_or_changed(driver: str, script: list[Fault], count: int) -> None:
    """Accepted and rejected events together are those submitted; a repetition has the same id and the same bytes."""
    with FaultServer(script) as server:
        client = make(driver, server.url, max_batch_events=4, settle_s=0.0, **SOON)
        tickets = [client.submit(STREAM, EVENT | {"page": f"/{number}"}) for number in range(count)]
        result = client.close(LONG_S)
        by_status = {
            status: {t.id for t in tickets if t.outcome.status == status} for status in ("sent", "rejected", "dropped")
        }

        assert result.pending == 0
        assert by_status["sent"] <= set(server.ids())
        assert by_status["sent"] | by_status["rejected"] | by_status["dropped"] == {ticket.id for ticket in tickets}
        assert {t.outcome.reason for t in tickets if t.outcome.status != "sent"} <= {"schema_violation", "too_large"}
        assert all(len(found) == 1 for found in server.bodies().values())


def test_hanging_answers_are_resolved_by_receipt(faulty: FaultServer) -> None:
    faulty.faults.append(HANGS_ACCEPTED)
    client = make("thread", faulty.url, timeout_s=0.2, **SOON)
    ticket = client.submit(STREAM, EVENT)

    assert ticket.wait(LONG_S).is_sent
    assert faulty.ids() == [ticket.id]
    client.close()
