"""The console of a real service: it sees everything that reached the port, waits for what tests expect, and is safe."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from server.console.client import ConsoleError
from tests.harness.consoled import CONSOLE, GOOD, client_of, facts_of, page_view, send
from tests.harness.consoled import expected as expect
from tests.harness.running import eventually
from tests.harness.served import Served


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("console"), console=CONSOLE) as service:
        yield service


def raw(service: Served, sent: bytes) -> bytes:
    with socket.create_connection(service.address, timeout=20) as client:
        client.sendall(sent)
        return client.recv(65_536)


SENT: dict[str, tuple[dict[str, Any], str, dict[str, Any]]] = {
    "accepted": ({"body": GOOD}, "verdict:accepted", {"status": 201, "stream": "web.page_view", "hasty": False}),
    "hasty": ({"body": GOOD, "path": "/v1/events?hasty=true"}, "verdict:accepted hasty:true", {"status": 202}),
    "invalid": ({"body": page_view(5)}, "verdict:invalid", {"status": 400, "error": "schema_violation"}),
    "hasty and invalid": (
        {"body": page_view(5), "path": "/v1/beacon"},
        "verdict:invalid hasty:true",
        {"status": 202, "error": "schema_violation"},
    ),
    "no UTF-8": ({"body": b'{"page":"\xff"}'}, "verdict:refused status:400", {"path": "/v1/events"}),
    "no UTF-8 in a field that is masked": (
        {"body": b'{"http":{"client_ip":"\xff"}}'},
        "verdict:refused status:400",
        {"path": "/v1/events"},
    ),
    "half of a surrogate pair": (
        {"body": b'{"$schema":"/web/page_view/1.1.0","meta":{"stream":"web.page_view"},"page":"\\ud800"}'},
        "status:400",
        {"path": "/v1/events"},
    ),
    "no JSON": ({"body": b'{"a":'}, "verdict:refused status:400", {"path": "/v1/events"}),
    "another type": (
        {"body": b"x", "headers": {"Content-Type": "image/png"}},
        "verdict:refused status:415",
        {"path": "/v1/events"},
    ),
    "too large": ({"body": b"[" + b" " * 4_200_000 + b"]"}, "verdict:refused status:413", {"path": "/v1/events"}),
    "another path": ({"path": "/nowhere"}, "verdict:refused status:404", {"path": "/nowhere"}),
    "a validation": ({"body": GOOD, "path": "/v1/validate"}, "path:/v1/validate", {"verdict": "other", "status": 200}),
    "a report of a network error": (
        {
            "body": [{"type": "network-error", "age": 1, "url": "https://a.example/", "body": {"phase": "dns"}}],
            "headers": {"Content-Type": "application/reports+json"},
        },
        "verdict:invalid",
        {"status": 400},
    ),
    "a canary": (
        {"body": {**GOOD, "meta": {"stream": "web.page_view", "domain": "canary"}}},
        "canary:true verdict:accepted",
        {"status": 201},
    ),
    "a report of a browser": (
        {"body": b'{"csp-report":{}}', "headers": {"Content-Type": "application/csp-report"}},
        "verdict:invalid",
        {"status": 400},
    ),
}


@pytest.mark.parametrize("case", SENT)
def test_everything_that_reached_the_port_is_shown(service: Served, case: str) -> None:
    request, where, expected = SENT[case]
    session = client_of(service).ask("POST", "/sessions", {})["id"]
    headers = {"X-Penstock-Test": session, **request.get("headers", {})}
    send(service.address, request.get("body"), request.get("path", "/v1/events"), headers=headers)

    facts = facts_of(service, f"test:{session} {where}")
    opened = client_of(service).ask("GET", f"/events/{facts['seq']}")

    assert facts | expected == facts
    assert opened["summary"] == facts


def test_a_pixel_and_a_beacon_name_their_session_in_the_query(service: Served) -> None:
    query = f"test=pix-1&{quote(json.dumps(page_view('/q')))}"
    send(service.address, None, f"/v1/pixel.gif?{query}", "GET")

    assert facts_of(service, "test:pix-1")["verdict"] == "accepted"


def test_a_head_that_is_too_large_and_bytes_that_are_no_request_are_shown(service: Served) -> None:
    after = client_of(service).ask("GET", "/info")["cursor"]
    raw(service, b"POST /v1/events HTTP/1.1\r\nHost: a\r\nX-Big: " + b"x" * 100_000 + b"\r\n\r\n")
    raw(service, b"\x16\x03\x01 no HTTP\r\n\r\n")

    answer = expect(service, where="verdict:refused status:(400, 431)", at_least=2, after=after)

    assert {one["facts"]["status"] for one in answer["events"]} == {400, 431}


def test_a_preflight_that_is_not_shared_is_refused_on_the_console(tmp_path: Path) -> None:
    cors = {"http": {"listen": ["127.0.0.1:0"], "cors": {"origins": ["https://a.example"]}}}
    with Served(tmp_path, console=CONSOLE, **cors) as service:
        for origin in ("https://a.example", "https://evil.example"):
            headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            send(service.address, None, method="OPTIONS", headers=headers)

        answer = expect(service, where="method:OPTIONS", at_least=2)

    assert sorted(one["facts"]["verdict"] for one in answer["events"]) == ["other", "refused"]


def test_a_request_over_the_rate_limit_is_shown(tmp_path: Path) -> None:
    limits = {"requests_per_s_per_address": 0.01, "burst_per_address": 2}
    with Served(tmp_path, workers=1, console=CONSOLE, http={"listen": ["127.0.0.1:0"], "limits": limits}) as service:
        statuses = [send(service.address, GOOD, headers={"X-Penstock-Test": "fast"})[0] for _ in range(4)]
        answer = expect(service, where="test:fast status:429 verdict:refused", at_least=2)

    assert statuses == [201, 201, 429, 429]
    assert answer["matched"]
    assert "rate limit" in answer["events"][0]["facts"]["text"]


def test_an_opened_row_says_why_and_what_changed(service: Served) -> None:
    client = client_of(service)
    send(service.address, page_view(5), headers={"X-Penstock-Test": "why"})
    send(service.address, page_view("/x"), headers={"X-Penstock-Test": "why", "User-Agent": "agent"})
    send(service.address, {**GOOD, "meta": {"stream": "web.page_vew"}}, headers={"X-Penstock-Test": "why"})

    invalid = client.ask("GET", f"/events/{facts_of(service, 'test:why error:schema_violation')['seq']}")
    stored = client.ask("GET", f"/events/{facts_of(service, 'test:why verdict:accepted')['seq']}")
    unknown = client.ask("GET", f"/events/{facts_of(service, 'test:why error:unknown_stream')['seq']}")

    (problem,) = invalid["error"]["problems"]
    assert problem["path"] == ["page"]
    assert problem["hint"] == "`page` must be a string; got a number, 5. Put it in quotes."
    assert problem["fragment"]["type"] == "string"
    assert {"/web/page_view/1.0.0"} == {one["uri"] for one in invalid["error"]["versions"]}
    assert stored["topic"] == "web.page_view"
    assert {"/meta/id", "/meta/dt"} <= {one["path"] for one in stored["differences"] if one["kind"] == "added"}
    assert json.loads(stored["received"]) == page_view("/x")
    assert unknown["error"]["nearest"] == {"stream": "web.page_view"}


def test_the_session_never_changes_what_is_stored(service: Served) -> None:
    send(service.address, page_view("/tagged"), headers={"X-Penstock-Test": "tagged"})
    facts_of(service, "test:tagged")

    stored = [event for event in service.events("web.page_view") if event["value"]["page"] == "/tagged"]

    assert len(stored) == 1
    assert "tagged" not in json.dumps(stored[0]).replace("/tagged", "")


def test_masked_fields_addresses_and_credentials_never_reach_the_console(tmp_path: Path) -> None:
    secret = "s3cret-value"
    mask = ["http.client_ip", "page", "*.password"]
    with Served(tmp_path, console={**CONSOLE, "mask": mask}) as service:
        headers = {"Authorization": f"Bearer {secret}", "Cookie": secret, "X-Forwarded-For": "203.0.113.9"}
        send(service.address, page_view(secret), f"/v1/events?test=m&access_token={secret}", headers=headers)
        send(service.address, f'{{"password": "{secret}"'.encode(), "/v1/events?test=m")
        answer = expect(service, where="test:m", at_least=2)
        details = [client_of(service).ask("GET", f"/events/{one['facts']['seq']}") for one in answer["events"]]

    said = json.dumps([answer, details])
    assert secret not in said
    assert "203.0.113.9" not in said
    assert {one["request"]["peer"] for one in details} == {"127.0.0.0/24"}
    assert sum("(masked)" in one.get("stored", "") for one in details) == 1


def test_the_console_is_not_on_the_public_listener(service: Served) -> None:
    for path in ("/console", "/console/", "/console/api/v1/info", "/console/api/v1/events"):
        assert send(service.address, None, path, "GET")[0] == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Host": "evil.example"}, 421),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
    ],
)
def test_a_post_of_another_site_is_refused(service: Served, headers: dict[str, str], status: int) -> None:
    assert send(service.admin_address, {}, "/console/api/v1/sessions", headers=headers)[0] == status


def test_events_are_not_read_by_another_site_and_the_page_may_be_linked_to(service: Served) -> None:
    cross = {"Sec-Fetch-Site": "cross-site"}
    link = {**cross, "Sec-Fetch-Mode": "navigate"}

    assert send(service.admin_address, None, "/console/api/v1/events", "GET", cross)[0] == 403
    assert send(service.admin_address, None, "/console/api/v1/events", "GET", link)[0] == 403
    assert send(service.admin_address, None, "/console/", "GET", link)[0] == 200


def test_the_page_has_a_policy_that_lets_only_its_own_files_run(service: Served) -> None:
    status, body, headers = send(service.admin_address, None, "/console/", "GET")

    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'")
    assert "unsafe" not in policy
    assert re.findall(r"<script>|<style|\son\w+=|\sstyle=", body) == []
    assert "//" not in body.replace("<!doctype html>", "")


def test_a_fault_of_a_filter_has_its_place(service: Served) -> None:
    status, body, _ = send(service.admin_address, None, "/console/api/v1/events?where=verdict:invald", "GET")

    assert status == 400
    assert json.loads(body)["filter"]["at"] == 8


def test_in_production_the_console_is_read_only_and_wants_its_token(tmp_path: Path) -> None:
    token = "a-token-of-some-length"
    (tmp_path / "key").write_text(f"{token}\n")
    with Served(tmp_path, console={"enabled": True, "token_file": "key", "max_per_s": 1000}) as service:
        with pytest.raises(ConsoleError) as refused:
            client_of(service).ask("GET", "/info")
        client = client_of(service, token)
        session = client.ask("POST", "/sessions", {})["id"]
        statuses = []
        for method, path, body in (
            ("PUT", f"/sessions/{session}/chaos", {"rules": []}),
            ("POST", "/try", {"body": "{}", "send": True}),
            ("PUT", "/notice", {"text": "x"}),
            ("POST", "/sessions", {"dry": True}),
            ("POST", "/sessions", {"verbose": True}),
        ):
            with pytest.raises(ConsoleError) as read_only:
                client.ask(method, path, body)
            statuses.append(read_only.value.status)
        page, _, _ = send(service.admin_address, None, "/console/", "GET")
        _, _, headers = send(service.admin_address, {"token": token}, "/console/api/v1/login")

    assert refused.value.status == 401
    assert statuses == [403] * 5
    assert page == 200
    assert "HttpOnly" in headers["Set-Cookie"] and "SameSite=Strict" in headers["Set-Cookie"]


def test_without_the_setting_there_is_no_console(tmp_path: Path) -> None:
    with Served(tmp_path) as service:
        assert send(service.admin_address, None, "/console/", "GET")[0] == 404
        assert send(service.address, GOOD)[0] == 201


def test_what_is_above_the_budget_is_counted_as_a_gap(tmp_path: Path) -> None:
    with Served(tmp_path, workers=1, console={**CONSOLE, "max_per_s": 10}) as service:
        sent = 200
        for number in range(sent):
            send(service.address, page_view(f"/{number}"))
        client = client_of(service)
        rows: list[dict[str, Any]] = []

        def is_whole() -> bool:
            """Whether rows and gaps are all that was sent. The gap before a row is known once the row is there."""
            nonlocal sent
            sent += 1
            send(service.address, GOOD, headers={"X-Penstock-Test": "last"})
            rows[:] = next(client.messages({}))["rows"]
            return bool(len(rows) + sum(row.get("gap", 0) for row in rows) == sent)

        eventually(is_whole)

    assert len(rows) < sent
    assert any(row.get("gap") for row in rows)


def test_an_event_is_validated_and_sent_from_the_page(service: Served) -> None:
    client = client_of(service)
    judged = client.ask("POST", "/try", {"body": json.dumps(page_view(5))})
    sent = client.ask("POST", "/try", {"body": json.dumps(page_view("/tried")), "send": True, "session": "tried"})

    assert judged["status"] == 200
    assert json.loads(judged["body"])["events"][0]["status"] == "invalid"
    assert sent["status"] == 201
    assert facts_of(service, "test:tried")["verdict"] == "accepted"


def test_the_coverage_of_a_session_names_fields_and_values_that_no_event_had(service: Served) -> None:
    order = {"$schema": "/shop/order/1.0.0", "meta": {"stream": "shop.order"}, "order_id": "A", "total": 1.5}
    send(service.address, order, headers={"X-Penstock-Test": "cover"})
    facts_of(service, "test:cover verdict:accepted")

    covered = client_of(service).ask("GET", "/coverage", query={"session": "cover"})

    (schema,) = covered["schemas"]
    assert schema["schema"] == "/shop/order/1.0.0"
    assert "order_id" not in schema["never_seen"]
    assert "web.page_view" in covered["streams_never_seen"]
    assert schema["seen"] + len(schema["never_seen"]) == schema["fields"]


def test_helpers_written_for_micro_see_and_reset_their_session_alone(service: Served) -> None:
    def micro(what: str, session: str, body: Any = None) -> Any:
        method = "GET" if body is None else "POST"
        path = f"/console/micro/{what}?session={session}"
        return json.loads(send(service.admin_address, body, path, method)[1])

    for session in ("mic-a", "mic-b"):
        for page in ("/1", "/2", 3):
            send(service.address, page_view(page), headers={"X-Penstock-Test": session})
        expect(service, session=session, at_least=3)

    assert micro("all", "mic-a") == {"total": 3, "good": 2, "bad": 1}
    assert [one["event"]["page"] for one in micro("good", "mic-a", {"stream": "web.page_view", "limit": 1})] == ["/2"]
    assert micro("good", "mic-a", {"schema": "/other/1.0.0"}) == []
    assert micro("bad", "mic-a")[0]["errors"] == ["'.page' should be string"]
    assert micro("reset", "mic-a", {}) == {"total": 0, "good": 0, "bad": 0}
    assert micro("all", "mic-b") == {"total": 3, "good": 2, "bad": 1}
