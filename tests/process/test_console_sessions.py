"""Test sessions of a real service: they wait for their own events, order how their requests are served, and disturb no
others."""

from __future__ import annotations

import concurrent.futures
import json
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.harness.consoled import CONSOLE, GOOD, client_of, facts_of, page_view, send
from tests.harness.consoled import expected as expect
from tests.harness.running import PATIENCE_S, eventually
from tests.harness.served import Served


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("console"), console=CONSOLE) as service:
        yield service


def test_an_expectation_that_fails_names_the_closest_miss(service: Served) -> None:
    send(service.address, page_view("/near"), headers={"X-Penstock-Test": "miss"})
    facts_of(service, "test:miss")

    answer = expect(service, session="miss", where='page:"/far" verdict:accepted', within_ms=0)

    assert not answer["matched"]
    assert answer["closest"]["misses"] == [{"term": 'page:"/far"', "found": ["/near"]}]


def test_an_expectation_waits_for_an_event_that_comes_later(service: Served) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(expect, service, session="later", example={"page": "/later"})
        client = client_of(service)
        eventually(lambda: client.ask("GET", "/summary", query={"session": "later"})["total"] == 0)
        send(service.address, page_view("/later"), headers={"X-Penstock-Test": "later"})

        assert waiting.result(60)["count"] == 1


def test_a_hundred_sessions_at_once_see_their_own_events_alone(service: Served) -> None:
    all_begun = threading.Barrier(100, timeout=PATIENCE_S)

    def one(number: int) -> dict[str, Any]:
        session = client_of(service).ask("POST", "/sessions", {})["id"]
        all_begun.wait()
        for part in range(3):
            send(service.address, page_view(f"/{number}/{part}"), headers={"X-Penstock-Test": session})
        return expect(service, session=session, exactly=3, schema="web/page_view", none_invalid=True, settle_ms=50)

    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(one, range(100)))

    assert all(answer["matched"] for answer in answers)
    for number, answer in enumerate(answers):
        assert {one["event"]["page"] for one in answer["events"]} == {f"/{number}/{part}" for part in range(3)}


def test_chaos_disturbs_the_next_requests_of_its_session_and_no_others(service: Served) -> None:
    client = client_of(service)
    session = client.ask("POST", "/sessions", {})["id"]
    rules = [{"kind": "status", "times": 2, "after": 1}, {"kind": "status", "status": 429, "retry_after_s": 7}]
    client.ask("PUT", f"/sessions/{session}/chaos", {"rules": rules})
    headers = {"X-Penstock-Test": session}

    answers = [send(service.address, GOOD, headers=headers) for _ in range(5)]
    other = send(service.address, GOOD, headers={"X-Penstock-Test": "other"})

    assert [status for status, _, _ in answers] == [201, 503, 503, 429, 201]
    assert answers[3][2]["Retry-After"] == "7"
    assert other[0] == 201
    assert expect(service, session=session, where="verdict:accepted", exactly=2, settle_ms=50)["matched"]


def test_chaos_refuses_some_events_of_a_batch_and_closes_connections(service: Served) -> None:
    client = client_of(service)
    session = client.ask("POST", "/sessions", {})["id"]
    rules = [{"kind": "partial", "indexes": [1]}, {"kind": "close_before"}, {"kind": "close_after"}]
    client.ask("PUT", f"/sessions/{session}/chaos", {"rules": rules})
    headers = {"X-Penstock-Test": session}

    status, body, _ = send(service.address, [page_view("/a"), page_view("/b"), page_view("/c")], headers=headers)
    for page in ("/before", "/after"):
        with pytest.raises((ConnectionError, OSError)):
            send(service.address, page_view(page), headers=headers)

    assert status == 207
    assert [entry["index"] for entry in json.loads(body)["error"]] == [1]
    taken = eventually(
        lambda: (
            found
            if len(found := {event["value"]["page"] for event in service.events("web.page_view")} & PAGES) >= 3
            else set()
        )
    )
    assert taken == {"/a", "/c", "/after"}


PAGES = {"/a", "/b", "/c", "/before", "/after"}


def test_requests_that_chaos_closes_are_shown_with_what_became_of_them(service: Served) -> None:
    client = client_of(service)
    session = client.ask("POST", "/sessions", {})["id"]
    rules = [{"kind": "close_before"}, {"kind": "close_after"}, {"kind": "slow_read", "delay_ms": 50}]
    client.ask("PUT", f"/sessions/{session}/chaos", {"rules": rules})
    headers = {"X-Penstock-Test": session}
    for page in ("/not-taken", "/taken"):
        with pytest.raises((ConnectionError, OSError)):
            send(service.address, page_view(page), headers=headers)
    assert send(service.address, page_view("/slow"), headers=headers)[0] == 201

    shown = expect(service, session=session, where="has:verdict", at_least=3)["events"]

    assert {one["facts"]["verdict"]: one["facts"].get("text", "")[:21] for one in shown[:2]} == {
        "refused": "No event is taken. It",
        "accepted": "The event is taken. I",
    }
    assert shown[2]["facts"]["ms"] >= 50


def test_a_dry_session_is_answered_as_if_its_events_were_sent_and_nothing_is_stored(service: Served) -> None:
    client = client_of(service)
    session = client.ask("POST", "/sessions", {"dry": True})["id"]
    headers = {"X-Penstock-Test": session}
    pages = {f"/dry/{number}" for number in range(4)}

    answers = [
        send(service.address, page_view("/dry/0"), headers=headers),
        send(service.address, page_view("/dry/1"), "/v1/events?hasty=true", headers=headers),
        send(service.address, [page_view("/dry/2"), page_view(5)], headers=headers),
        send(service.address, page_view(5), headers=headers),
        send(service.address, None, f"/v1/pixel.gif?test={session}&{quote(json.dumps(page_view('/dry/3')))}", "GET"),
    ]
    shown = expect(service, session=session, where="verdict:accepted dry:true", exactly=4)

    assert [status for status, _, _ in answers] == [201, 202, 207, 400, 200]
    assert [entry["index"] for entry in json.loads(answers[2][1])["invalid"]] == [1]
    assert {one["event"]["page"] for one in shown["events"]} == pages
    assert all(one["event"]["meta"]["id"] for one in shown["events"])
    client.ask("DELETE", f"/sessions/{session}")
    assert send(service.address, page_view("/wet"), headers=headers)[0] == 201
    stored = {event["value"]["page"] for event in service.events("web.page_view")}
    assert "/wet" in stored and not pages & stored


def test_a_dry_session_stays_dry_after_a_reload(tmp_path: Path) -> None:
    with Served(tmp_path, workers=1, console=CONSOLE) as service:
        session = client_of(service).ask("POST", "/sessions", {"dry": True})["id"]
        service.signal(signal.SIGHUP)
        service.says("ready: generation", 2)

        def shown() -> Any:
            """A row that goes to the page of the old generation, which is about to end, is not seen."""
            assert send(service.address, page_view("/never"), headers={"X-Penstock-Test": session})[0] == 201
            return expect(service, where=f"test:{session}", within_ms=2_000)["events"]

        rows = eventually(shown)
        assert all(row["facts"]["dry"] for row in rows)
        assert service.events("web.page_view") == []


def test_a_dry_session_holds_above_the_budget_of_copies(tmp_path: Path) -> None:
    with Served(tmp_path, workers=1, console={**CONSOLE, "max_per_s": 1}) as service:
        session = client_of(service).ask("POST", "/sessions", {"dry": True})["id"]
        statuses = {
            send(service.address, page_view("/never"), headers={"X-Penstock-Test": session})[0] for _ in range(30)
        }

        assert statuses == {201}
        assert service.events("web.page_view") == []


def test_a_verbose_session_is_told_in_plain_words_what_is_wrong(service: Served) -> None:
    session = client_of(service).ask("POST", "/sessions", {"verbose": True})["id"]
    headers = {"X-Penstock-Test": session}
    hint = "`page` must be a string; got a number, 5. Put it in quotes."

    guaranteed = send(service.address, [page_view(5), GOOD], headers=headers)
    hasty = send(service.address, page_view(5), "/v1/events?hasty=true", headers=headers)
    good = send(service.address, GOOD, headers=headers)
    other = send(service.address, page_view(5), "/v1/events?hasty=true")

    assert (guaranteed[0], hasty[0], good[:2], other[:2]) == (207, 202, (201, ""), (202, ""))
    for answer in (guaranteed, hasty):
        (entry,) = json.loads(answer[1])["invalid"]
        assert (entry["index"], entry["context"]["hints"]) == (0, [hint])


def test_a_strict_session_warns_of_fields_that_the_schema_does_not_declare(service: Served) -> None:
    client = client_of(service)
    session = client.ask("POST", "/sessions", {"strict": True})["id"]
    event = {**GOOD, "meta": {"stream": "web.page_view", "mine": 1}}
    send(service.address, event, headers={"X-Penstock-Test": session})
    send(service.address, event, headers={"X-Penstock-Test": "lenient"})

    warned = facts_of(service, f"test:{session} warnings>0")

    assert warned["verdict"] == "accepted"
    assert client.ask("GET", f"/events/{warned['seq']}")["warnings"] == ["The schema does not declare `meta.mine`."]
    assert "warnings" not in facts_of(service, "test:lenient")
