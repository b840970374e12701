"""What clients of a running service are told: CONTRACT section 2, over a real socket."""

from __future__ import annotations

import http.client
import json
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.process.served import Served

VALID = {"$schema": "/web/page_view/1.1.0", "meta": {"stream": "web.page_view"}, "page": "/home"}
INVALID = {"$schema": "/web/page_view/1.1.0", "meta": {"stream": "web.page_view"}, "page": 7}
TESTED = ["/tested/one", "/tested/two"]
UNKNOWN = {"$schema": "/web/page_view/1.1.0", "meta": {"stream": "nowhere"}, "page": "/home"}


class Answer(NamedTuple):
    status: int
    phrase: str
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    test_events = [{**VALID, "page": page} for page in TESTED]
    limits = {"max_body_bytes": 65_536, "max_events": 50, "max_event_bytes": 4_096}
    with Served(
        tmp_path_factory.mktemp("answers"),
        intake={"test_events": test_events},
        http={"listen": ["127.0.0.1:0"], "limits": limits},
    ) as service:
        yield service


def ask(service: Served, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    connection = http.client.HTTPConnection(*service.address, timeout=60)
    try:
        connection.request(method, path, raw, {"content-type": "application/json", **headers})
        response = connection.getresponse()
        return Answer(response.status, response.reason, response.headers, response.read())
    finally:
        connection.close()


def post(service: Served, body: Any, path: str = "/v1/events", **headers: str) -> Answer:
    return ask(service, "POST", path, body, **headers)


def test_an_accepted_event_is_answered_with_an_empty_201(service: Served) -> None:
    answer = post(service, VALID)

    assert (answer.status, answer.phrase, answer.body) == (201, "All 1 out of 1 events were accepted.", b"")
    assert uuid.UUID(answer.headers["x-request-id"]).version == 7


def test_the_request_id_of_the_client_comes_back(service: Served) -> None:
    assert post(service, VALID, **{"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"


@pytest.mark.parametrize("query", ["?hasty=true", "?hasty=1", "?hasty=yes"])
def test_a_hasty_request_is_answered_202_whatever_the_verdicts(service: Served, query: str) -> None:
    answer = post(service, [VALID, INVALID], f"/v1/events{query}")

    assert (answer.status, answer.phrase, answer.body) == (202, "2 events hastily received.", b"")


@pytest.mark.parametrize("query", ["?hasty=false", "?hasty=0", "?hasty=", "?other=true"])
def test_false_nought_and_nothing_are_not_hasty(service: Served, query: str) -> None:
    assert post(service, VALID, f"/v1/events{query}").status == 201


def test_a_beacon_is_always_hasty(service: Served) -> None:
    answer = post(service, INVALID, "/v1/beacon", **{"content-type": "text/plain"})

    assert answer.status == 202


def test_a_batch_that_fails_in_part_says_which_events_and_why(service: Served) -> None:
    answer = post(service, [VALID, INVALID, UNKNOWN])

    assert answer.status == 207
    assert answer.phrase == "1 out of 3 events were accepted, but 2 failed (2 invalid and 0 errored)."
    first, second = answer.json()["invalid"]
    assert answer.json()["error"] == []
    assert (first["index"], first["status"], first["event"]["page"]) == (1, "invalid", 7)
    assert first["context"]["error_type"] == "schema_violation"
    assert first["context"]["errorsText"] == "'.page' should be string"
    assert first["context"]["errors"][0]["schemaPath"] == "#/properties/page/type"
    assert "id" in first["event"]["meta"], "the event is shown with what was filled in"
    assert (second["index"], second["context"]["error_type"]) == (2, "unknown_stream")


def test_when_all_events_are_invalid_the_request_is(service: Served) -> None:
    answer = post(service, [INVALID, UNKNOWN, 7])

    assert (answer.status, answer.phrase) == (400, "3 out of 3 events were invalid and not accepted.")
    assert [entry["context"]["error_type"] for entry in answer.json()["invalid"]] == [
        "schema_violation",
        "unknown_stream",
        "not_an_object",
    ]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b"[]", "empty"),
        (b"{", "not JSON"),
        (b'{"a":"\xff"}', "not UTF-8"),
        (b"[" * 50_000, "truncated"),
        (b'"x"', "neither a JSON object nor an array"),
    ],
)
@pytest.mark.parametrize("path", ["/v1/events", "/v1/events?hasty=true", "/v1/beacon", "/v1/validate"])
def test_a_body_without_events_is_a_problem_of_the_request(service: Served, path: str, body: bytes, says: str) -> None:
    answer = post(service, body, path)

    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert says in answer.json()["detail"]


def test_sizes_are_bounded(service: Served) -> None:
    assert post(service, b" " * 65_537).status == 413
    assert post(service, [VALID] * 51).status == 413
    assert post(service, {**VALID, "page": "x" * 4_096}).json()["invalid"][0]["context"]["error_type"] in (
        "event_too_large",
        "schema_violation",
    )


def test_routes_answer_to_their_methods_alone(service: Served) -> None:
    wrong = ask(service, "GET", "/v1/events")

    assert (wrong.status, wrong.headers["allow"]) == (405, "POST")
    assert ask(service, "GET", "/v1/nothing").status == 404
    assert post(service, VALID, **{"content-type": "application/xml"}).status == 415


def stored(service: Served, *pages: str) -> list[str]:
    """Which of these pages there are events of. Others may still be on their way: hasty ones, error events."""
    return sorted(row["value"]["page"] for row in service.events("web.page_view") if row["value"]["page"] in pages)


def test_the_configured_test_events_go_the_whole_way(service: Served) -> None:
    assert stored(service, *TESTED) == []

    answer = ask(service, "GET", "/v1/_test/events")

    assert (answer.status, answer.phrase) == (201, "All 2 out of 2 events were accepted.")
    assert stored(service, *TESTED) == TESTED


def test_validation_tells_everything_and_sends_nothing(service: Served) -> None:
    answer = post(service, [{**VALID, "page": "/asked"}, INVALID, {}], "/v1/validate")

    assert answer.status == 200
    valid, invalid, empty = answer.json()["events"]
    assert (valid["status"], valid["stream"], valid["topics"]) == ("valid", "web.page_view", ["web.page_view"])
    assert valid["event"]["meta"]["dt"] and "context" not in valid
    assert (invalid["status"], invalid["context"]["errorsText"]) == ("invalid", "'.page' should be string")
    assert empty["context"]["error_type"] == "missing_schema_uri"
    assert post(service, {**VALID, "page": "/sent"}).status == 201
    assert stored(service, "/asked", "/sent") == ["/sent"]


def test_a_keyed_event_is_stored_under_its_key(service: Served) -> None:
    order = {"$schema": "/shop/order/1.0.0", "meta": {"stream": "shop.order"}, "order_id": "A-7", "total": 12.5}

    assert post(service, order).status == 201

    row = service.events("shop.order")[-1]
    assert row["key"] == {"order_id": "A-7"}
    assert row["headers"] == {"content-type": "application/json", "schema-uri": "/shop/order/1.0.0"}


def test_an_invalid_event_leaves_an_error_event(service: Served) -> None:
    marked = {**INVALID, "meta": {"stream": "web.page_view", "request_id": "marked"}}

    assert post(service, marked).status == 400

    def found() -> list[dict[str, Any]]:
        rows = [row["value"] for row in service.events("penstock.error.validation")]
        return [value for value in rows if value["meta"]["request_id"] == "marked"]

    (error,) = service.until(found)
    assert error["$schema"] == "/error/2.1.0"
    assert error["error_type"] == "schema_violation"
    assert error["message"] == "'.page' should be string"
    assert error["errored_stream_name"] == "web.page_view"
    assert error["errored_schema_uri"] == "/web/page_view/1.1.0"
    assert json.loads(error["raw_event"])["page"] == 7


def test_pages_say_who_and_how(service: Served) -> None:
    assert ask(service, "GET", "/healthz").status == 200
    assert ask(service, "GET", "/readyz").status == 200
    assert ask(service, "GET", "/robots.txt").body.startswith(b"User-agent: *")
    assert ask(service, "GET", "/_info").json()["name"] == "penstock"
