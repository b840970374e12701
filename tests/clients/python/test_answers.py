"""The sending thread goes on after any answer, and only an answer of an intake counts as acceptance."""

from __future__ import annotations

import json
from typing import Any

import pytest

from penstock_client import Intake
from penstock_client.core import Core
from penstock_client.testing import Fault, FaultServer
from tests.clients.python.conftest import EVENT, STREAM
from tests.clients.python.driven import DRIVERS, SOON, make

LONG_S = 60.0
DEEP = b"[" * 100_000
drivers = pytest.mark.parametrize("driver", DRIVERS)


@drivers
@pytest.mark.parametrize("status", [201, 207, 400, 500, 503])
@pytest.mark.parametrize(
    "body", [DEEP, b'{"invalid":[5,null],"error":[null]}', b'{"error":{"0":1}}', b"\xff", b"1e999"]
)
def test_an_answer_of_any_form_stops_nothing(driver: str, status: int, body: bytes, faulty: FaultServer) -> None:
    faulty.faults.append(Fault(status=status, accepts=False, body=body))
    client = make(driver, faulty.url, settle_s=0.0, **SOON)
    first = client.submit(STREAM, EVENT)
    client.flush(LONG_S)
    second = client.submit_now(STREAM, EVENT, timeout=LONG_S)
    client.close(LONG_S)

    assert first.is_done
    assert second.is_sent


@drivers
def test_answers_of_any_form_about_receipts_and_streams_stop_nothing(
    driver: str, faulty: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    dumps = json.dumps
    broken = [
        DEEP.decode(),
        '{"streams": 5}',
        '{"streams": {"": null, "/": [], "//": 5}, "accepted": [], "failed": {}}',
    ]
    lines = iter(broken * 2)
    monkeypatch.setattr("penstock_client.testing.json.dumps", lambda given: next(lines, dumps(given)))
    faulty.streams = {STREAM: {}}
    faulty.faults.extend([Fault(status=0, accepts=False)] * 2)
    client = make(driver, faulty.url, streams="fetch", streams_ttl_s=0.01, settle_s=0.0, **SOON)
    ticket = client.submit(STREAM, EVENT)
    while not ticket.is_done:
        client.flush(0.2)
    client.close(LONG_S)

    assert ticket.outcome.is_sent or ticket.outcome.reason == "unknown_stream"


@drivers
@pytest.mark.parametrize("status", [200, 203, 204, 205, 206, 226])
def test_a_page_in_the_place_of_the_intake_has_not_accepted_events(
    driver: str, status: int, faulty: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    page = b"" if status == 204 else b"<html>log in"
    faulty.faults.append(Fault(status=status, accepts=False, body=page))
    client = make(driver, faulty.url, settle_s=0.0, **SOON)
    ticket = client.submit(STREAM, EVENT)

    assert client.close(LONG_S).sent == 1
    assert faulty.ids() == [ticket.id]
    assert f"answers {status}, as no intake does" in caplog.text


def test_what_a_page_answers_for_ever_is_given_up_with_a_reason(faulty: FaultServer) -> None:
    faulty.faults.extend([Fault(accepts=False, status=200, body=b"<html>")] * 10_000)
    client = Intake(faulty.url, max_age_s=0.3, settle_s=0.0, **SOON)
    outcome = client.submit(STREAM, EVENT).wait(LONG_S)

    assert outcome[:2] == ("dropped", "expired")
    assert client.health().last_error == "http_200"
    assert (outcome.detail or "").endswith("the last error was http_200")
    client.close(0)


@drivers
@pytest.mark.parametrize("place", ["_after_events", "_events_job", "_next_job"])
def test_a_mistake_of_the_client_ends_its_batch_with_a_reason_and_sending_goes_on(
    driver: str, place: str, faulty: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = getattr(Core, place)
    left = [1]

    def fails_once(self: Core, *arguments: Any) -> Any:
        found = plain(self, *arguments) if place == "_next_job" else True
        if found is not None and left:
            left.pop()
            raise ZeroDivisionError("a mistake")
        return found if place == "_next_job" else plain(self, *arguments)

    monkeypatch.setattr(Core, place, fails_once)
    lost: list[str] = []
    client = make(driver, faulty.url, linger_s=LONG_S, on_drop=lambda _, reason: lost.append(reason))
    ticket = client.submit(STREAM, EVENT)
    client.flush(LONG_S)

    assert ticket.outcome == ("dropped", "client_error", "ZeroDivisionError('a mistake')")
    faulty.until(lambda: lost == ["client_error"])  # A thread tells it after the flush.
    assert client.health().dropped == {"client_error": 1}
    assert (client.health().is_well, client.health().last_error) == (False, "client_error")
    assert client.submit_now(STREAM, EVENT, timeout=LONG_S).is_sent
    assert client.health().is_well
    assert client.close(LONG_S).pending == 0


@drivers
def test_a_request_that_raises_ends_its_batch_and_sending_goes_on(
    driver: str, faulty: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make(driver, faulty.url, linger_s=LONG_S)
    with monkeypatch.context() as patch:
        for module in ("connection", "async_connection"):
            patch.setattr(f"penstock_client.{module}.request_bytes", lambda *_: 1 / 0)
        ticket = client.submit(STREAM, EVENT)
        client.flush(LONG_S)

    assert ticket.outcome[:2] == ("dropped", "client_error")
    assert client.submit_now(STREAM, EVENT, timeout=LONG_S).is_sent
    client.close(LONG_S)


def test_a_callback_that_exits_ends_neither_the_thread_nor_the_program(
    faulty: FaultServer, caplog: pytest.LogCaptureFixture
) -> None:
    def leave(*_: object) -> None:
        raise SystemExit(1)

    faulty.faults.append(Fault(status=400, accepts=False))
    client = Intake(faulty.url, linger_s=0, on_drop=leave)
    client.submit(STREAM, EVENT)
    faulty.until(lambda: "a callback of on_drop or on_done failed" in caplog.text)

    assert client.submit_now(STREAM, EVENT, timeout=LONG_S).is_sent
    client.close(LONG_S)


@drivers
def test_settings_that_no_rule_foresees_are_an_outcome(driver: str, faulty: FaultServer) -> None:
    settings = {STREAM: {"destination_event_service": {"a": 1}}}
    client = make(driver, faulty.url, streams=settings)

    assert client.submit_now(STREAM, EVENT, timeout=LONG_S).is_sent
    client.close(LONG_S)
