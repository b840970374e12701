"""The client and the real service understand each other."""

from __future__ import annotations

import http.client
import json
import signal
import socket
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from penstock_client import decisions
from penstock_client.testing import Fault
from tests.clients.python.conftest import EVENT, STREAM
from tests.clients.python.driven import DRIVERS, SOON, make
from tests.harness.served import Served
from tests.process.scraped import Scrape

LONG_S = 60.0
REPORTS = "penstock.client_report"


def ask(
    service: Served, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """One request; status, headers by lower-case name, body."""
    with closing(http.client.HTTPConnection(*service.address, timeout=LONG_S)) as connection:
        connection.request(method, path, body, headers)
        with connection.getresponse() as response:
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()


@pytest.mark.parametrize("driver", DRIVERS)
def test_verdicts_are_those_of_the_service(driver: str, url: str) -> None:
    client = make(driver, url, linger_s=LONG_S)
    events: list[dict[str, Any]] = [EVENT, {"$schema": "/web/page_view/1.1.0"}, EVENT | {"$schema": "/no/such/1.0.0"}]
    tickets = [client.submit(STREAM, event) for event in events]
    tickets.append(client.submit("no.such", EVENT))
    client.close(LONG_S)

    assert [ticket.outcome.reason for ticket in tickets] == [
        None,
        "schema_violation",
        "unknown_schema",
        "unknown_stream",
    ]
    assert tickets[1].outcome.detail == "'' should have required property 'page'"


def test_losses_are_reported_as_events_of_the_example_stream(url: str, service: Served) -> None:
    client = make("thread", url, report_stream=REPORTS)
    client.submit(STREAM, {})
    client.flush(LONG_S)
    client.submit(STREAM, EVENT)
    result = client.close(LONG_S)
    reports = [
        json.loads(event["value"]) if isinstance(event["value"], str) else event["value"]
        for event in service.events(REPORTS)
    ]

    assert result.rejected == 0
    assert [report["dropped"] for report in reports] == [[{"stream": STREAM, "reason": "no_schema", "count": 1}]]


@pytest.mark.parametrize("is_header", [True, False])
def test_a_request_is_found_by_the_identity_of_its_header_or_its_query(is_header: bool, service: Served) -> None:
    identity = f"by-{is_header}"
    body = json.dumps(EVENT | {"meta": {"stream": STREAM}}).encode()
    if is_header:
        status, headers, _ = ask(service, "POST", "/v1/events?request_id=another", body, **{"X-Request-Id": identity})
    else:
        status, headers, _ = ask(service, "POST", f"/v1/events?attempt=1&request_id={identity}", body)
    found = json.loads(ask(service, "GET", f"/v1/receipts/{identity}")[2])

    assert (status, headers["x-request-id"]) == (201, identity)
    assert decisions.after_receipt(1, 200, found, 0.0, 11.0, 60.0) == "sent"


def test_attempts_are_a_metric(tmp_path: Path) -> None:
    body = json.dumps(EVENT | {"meta": {"stream": STREAM}}).encode()
    with Served(tmp_path) as service:
        for attempt in (1, 2, 2, 7):
            assert ask(service, "POST", f"/v1/events?attempt={attempt}", body)[0] == 201

        def counts() -> dict[str, float]:
            scrape = Scrape.of(service)
            return {name: scrape.value("penstock_requests_repeated_total", attempt=name) for name in ("2", "5 to 9")}

        service.until(lambda: counts() == {"2": 2, "5 to 9": 1})


def test_pages_may_read_what_their_client_needs(tmp_path: Path) -> None:
    with Served(tmp_path, http={"listen": ["127.0.0.1:0"], "cors": {"origins": ["https://a.example"]}}) as service:
        answers = [
            ask(service, "POST", "/v1/events", b"[]", Origin="https://a.example")[1],
            ask(service, "GET", "/v1/receipts/x", Origin="https://a.example")[1],
            ask(service, "GET", "/v1/streamconfigs", Origin="https://a.example")[1],
        ]

    for headers in answers:
        assert headers["access-control-allow-origin"] in ("*", "https://a.example")
        assert {"Date", "X-Request-Id"} <= set(headers["access-control-expose-headers"].split(", "))
        assert decisions.parse_date(headers["date"]) is not None


def test_a_service_that_is_killed_and_started_again_gets_every_event(tmp_path: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        listen = "{}:{}".format(*free.getsockname())
    settings = {"http": {"listen": [listen]}}
    client = make("thread", f"http://{listen}", settle_s=0.5, **SOON)
    tickets = [client.submit(STREAM, EVENT) for _ in range(100)]  # Nothing listens there yet.
    with Served(tmp_path, **settings) as service:
        tickets += [client.submit(STREAM, EVENT) for _ in range(300)]
        service.until(lambda: client.health().sent >= 200)
        tickets += [client.submit(STREAM, EVENT) for _ in range(300)]
        service.signal(signal.SIGKILL)
        service.exit_code()
    tickets += [client.submit(STREAM, EVENT) for _ in range(100)]
    with Served(tmp_path, **settings) as service:
        result = client.close(LONG_S)
        stored = [
            json.loads(event["value"]) if isinstance(event["value"], str) else event["value"]
            for event in service.events(STREAM)
        ]

    assert result.pending == 0
    assert all(ticket.outcome.is_sent for ticket in tickets)
    assert {event["meta"]["id"] for event in stored} == {ticket.id for ticket in tickets}


def test_a_body_that_is_too_large_for_the_service_is_halved_until_it_fits(tmp_path: Path) -> None:
    with Served(
        tmp_path, http={"listen": ["127.0.0.1:0"], "limits": {"max_body_bytes": 4096, "max_event_bytes": 2048}}
    ) as service:
        client = make("thread", "http://{}:{}".format(*service.address), compress_over=None, linger_s=LONG_S)
        tickets = [client.submit(STREAM, EVENT | {"page": "/" + "x" * 300}) for _ in range(50)]
        result = client.close(LONG_S)

    assert result.sent == len(tickets)


def test_the_fault_server_speaks_as_the_service_does(url: str, service: Served) -> None:
    """What the other tests run against: the same status and the same body for a batch of which some fail."""
    from penstock_client.testing import FaultServer

    events = [EVENT | {"meta": {"stream": STREAM}}, {"$schema": "/web/page_view/1.1.0", "meta": {"stream": STREAM}}]
    real_status, _, real = ask(service, "POST", "/v1/events", json.dumps(events).encode())
    with FaultServer([Fault(entries={1: "schema_violation"})]) as server:
        host, port = server.url.removeprefix("http://").split(":")
        with closing(http.client.HTTPConnection(host, int(port), timeout=LONG_S)) as connection:
            connection.request("POST", "/v1/events", json.dumps(events))
            response = connection.getresponse()
            fake_status, fake = response.status, response.read()

    assert real_status == fake_status == 207
    found = [decisions.after_answer(2, 207, {}, json.loads(body), 0.0) for body in (real, fake)]
    assert found[0].outcomes == found[1].outcomes == ["sent", "rejected"]
    assert found[0].reasons == found[1].reasons
