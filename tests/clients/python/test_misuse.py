"""``submit`` does not raise for any argument, and the sending thread goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from penstock_client import Intake
from penstock_client.testing import Fault, FaultServer
from tests.clients.python.conftest import EVENT, STREAM
from tests.clients.python.driven import DRIVERS, make

drivers = pytest.mark.parametrize("driver", DRIVERS)
LONG_S = 60.0


def fails(*_: object) -> Any:
    raise RuntimeError("a mistake of the caller's")


class Broken(Mapping[str, Any]):
    """A mapping that cannot be read."""

    __getitem__ = __len__ = fails

    def __iter__(self) -> Iterator[str]:
        return iter(EVENT)


class Unprintable:
    """An object that not even an error can name."""

    __str__ = fails


@pytest.mark.parametrize("arguments", [{"ids": 5}, {"hasty": []}, {"hasty": "yes"}])
def test_arguments_of_a_wrong_kind_are_no_exception(arguments: Any, faulty: FaultServer) -> None:
    with_ids = {STREAM: {"sample": {"unit": "session", "rate": 1}}} if "ids" in arguments else None
    client = Intake(faulty.url, streams=with_ids)

    assert client.submit(STREAM, EVENT, **arguments).outcome.status in ("pending", "dropped")
    assert client.close(LONG_S).pending == 0


@drivers
@pytest.mark.parametrize("stream", [None, 5, ["web.page_view"], b"web.page_view", Unprintable()])
def test_a_stream_that_is_no_text_is_an_outcome_and_reported(driver: str, stream: Any, faulty: FaultServer) -> None:
    client = make(driver, faulty.url, report_stream="penstock.client_report", linger_s=LONG_S)
    bad = [client.submit(stream, event) for event in (EVENT, {})]
    good = client.submit(STREAM, EVENT)
    client.flush(LONG_S)
    client.close(LONG_S)

    assert [ticket.outcome[:2] for ticket in bad] == [("dropped", "unknown_stream")] * 2
    assert good.outcome.is_sent
    (report,) = [event for request in faulty.accepted for event in request if b"client_report/1" in event]
    assert b'"reason":"unknown_stream","count":2' in report


@drivers
def test_the_report_survives_a_stream_whose_name_cannot_be_written(driver: str, faulty: FaultServer) -> None:
    client = make(driver, faulty.url, report_stream="penstock.client_report", linger_s=LONG_S)
    client.submit("a\ud800", EVENT)
    client.flush(LONG_S)
    result = client.close(LONG_S)

    (event,) = (event for request in faulty.accepted for event in request)
    assert b'"stream":"a?","reason":"unserializable"' in event
    assert result.pending == 0


@drivers
@pytest.mark.parametrize(
    ("event", "options", "reason"),
    [
        (Broken(), {}, "not_an_object"),
        ([EVENT], {}, "not_an_object"),
        ([("$schema", "/web/page_view/1.1.0")], {}, "not_an_object"),
        ("event", {}, "not_an_object"),
        (None, {}, "not_an_object"),
        (EVENT | {"meta": [("id", "x")]}, {}, "not_an_object"),
        (EVENT | {"meta": 5}, {}, "not_an_object"),
        (EVENT | {"x": Unprintable()}, {}, "unserializable"),
        (EVENT, {"dumps": fails}, "unserializable"),
        (EVENT, {"dumps": lambda _: 5}, "unserializable"),
    ],
)
def test_an_event_that_cannot_be_read_or_written_is_an_outcome(
    driver: str, event: Any, options: dict[str, Any], reason: str, faulty: FaultServer
) -> None:
    client = make(driver, faulty.url, **options)

    assert client.submit(STREAM, event).outcome[:2] == ("dropped", reason)
    client.close(LONG_S)


SETTINGS = {STREAM: {"producers": {"metrics_platform_client": {"provide_values": ["page_id"]}}}}


@drivers
@pytest.mark.parametrize("is_fetched", [False, True])
@pytest.mark.parametrize("context", [fails, lambda: 5])
def test_without_attributes_events_are_sent_all_the_same(
    driver: str,
    is_fetched: bool,
    context: Callable[[], Any],
    faulty: FaultServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    faulty.streams = SETTINGS
    client = make(driver, faulty.url, streams="fetch" if is_fetched else SETTINGS, context=context)
    ticket = client.submit(STREAM, EVENT)

    assert client.close(LONG_S).sent == 1
    assert faulty.ids() == [ticket.id]
    assert "going on without attributes" in caplog.text


@drivers
def test_a_validator_that_fails_leaves_the_verdict_to_the_intake(
    driver: str, faulty: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = make(driver, faulty.url, validator=fails)
    ticket = client.submit(STREAM, EVENT)

    assert client.close(LONG_S).sent == 1
    assert faulty.ids() == [ticket.id]
    assert "the validator failed" in caplog.text


@drivers
@pytest.mark.parametrize(
    "sample",
    [
        {"unit": "session", "rate": "0.5"},
        {"rate": 0.5},
        {"unit": "session", "rate": 2},
        {"unit": "session", "rate": True},
        {"unit": [], "rate": 1},
        [0.5],
    ],
)
def test_a_sample_that_cannot_be_drawn_is_in_the_log(
    driver: str, sample: Any, faulty: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = make(driver, faulty.url, streams={STREAM: {"sample": sample}})

    assert client.submit(STREAM, EVENT).outcome[:2] == ("dropped", "sampled")
    assert f"no event of {STREAM} is sent: " in caplog.text
    client.close(LONG_S)


@pytest.mark.parametrize("identity", [5, "zz", "12", None])
def test_an_id_that_no_sample_goes_by_is_in_the_log(
    identity: Any, faulty: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    client = Intake(faulty.url, streams={STREAM: {"sample": {"unit": "session", "rate": 1}}})
    outcome = client.submit(STREAM, EVENT, ids={"session": identity}).outcome
    client.close(LONG_S)

    assert outcome[:2] == ("dropped", "sampled")
    assert "the id of the session begins with eight hexadecimal digits" in caplog.text


def test_a_sample_of_nothing_is_no_mistake(faulty: FaultServer, caplog: pytest.LogCaptureFixture) -> None:
    client = Intake(faulty.url, streams={STREAM: {"sample": {"unit": "session", "rate": 0}}})
    client.submit(STREAM, EVENT)
    client.close(LONG_S)

    assert caplog.text == ""


@drivers
@pytest.mark.parametrize("timeout", [None, float("inf"), 1e300])
def test_a_wait_without_a_bound_ends_with_its_events(driver: str, timeout: Any, faulty: FaultServer) -> None:
    client = make(driver, faulty.url, linger_s=LONG_S)
    client.submit(STREAM, EVENT)

    assert client.flush(timeout).sent == 1
    assert client.submit_now(STREAM, EVENT, timeout=timeout).is_sent
    client.submit(STREAM, EVENT)
    assert client.close(timeout).sent == 2


@drivers
def test_an_address_where_no_intake_listens_is_named(
    driver: str, faulty: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    faulty.faults.append(Fault(status=404, accepts=False))
    client = make(driver, faulty.url)
    ticket = client.submit(STREAM, EVENT)
    client.close(LONG_S)

    assert ticket.outcome == ("rejected", "http_404", f"{faulty.url}/v1/events answers 404")
    assert f"{faulty.url}/v1/events answers 404" in caplog.text


@drivers
def test_an_event_that_is_not_sent_says_what_is_missing(driver: str, faulty: FaultServer) -> None:
    client = make(driver, faulty.url, streams={STREAM: {}})
    outcomes = [client.submit(STREAM, {}).outcome, client.submit("no.such", EVENT).outcome]
    client.close(LONG_S)

    assert outcomes == [
        (
            "dropped",
            "no_schema",
            f'{STREAM}: the event has no "$schema", and the option schemas names none for its stream',
        ),
        ("dropped", "unknown_stream", "no.such: the stream configuration does not declare this stream"),
    ]
