"""What clients of a running service are told, over a real socket."""

from __future__ import annotations

import http.client
import json
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.harness.served import Served

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


SLASHED = ["/v1/schemas", "/v1/streamconfigs", "/v1/stream-configs", "/healthz", "/readyz", "/_info", "/_info/name"]


@pytest.mark.parametrize("path", [*SLASHED, "/_info/version", "/robots.txt", "/v1/schemas/web/page_view/1.1.0"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_slash_behind_a_path_is_the_path(service: Served, path: str, method: str) -> None:
    plain, slashed = ask(service, method, path), ask(service, method, f"{path}/")

    assert (plain.status, slashed.status) == (200, 200)
    assert slashed.body == plain.body or path == "/_info"  # Which says what worker it is.


@pytest.mark.parametrize("path", ["/v1/events/", "/v1/events/?hasty=true", "/v1/beacon/", "/v1/validate/"])
def test_events_are_taken_at_a_path_with_a_slash(service: Served, path: str) -> None:
    assert post(service, VALID, path).status in (200, 201, 202)


def test_a_receipt_is_found_at_a_path_with_a_slash(service: Served) -> None:
    identity = post(service, VALID).headers["x-request-id"]

    assert ask(service, "GET", f"/v1/receipts/{identity}/").json()["delivered"] == 1
    unknown = ask(service, "GET", "/v1/receipts/unknown/")
    assert (unknown.status, unknown.headers["cache-control"]) == (404, "no-store")


@pytest.mark.parametrize("query", ["spec", "spec=", "spec=true", "x=1&spec=1"])
def test_the_description_is_there_whatever_its_parameter_says(service: Served, query: str) -> None:
    assert ask(service, "GET", f"/?{query}").json()["openapi"].startswith("3.1")


@pytest.mark.parametrize("query", ["doc", "doc=", "doc=true"])
def test_there_is_a_list_of_routes_for_people(service: Served, query: str) -> None:
    answer = ask(service, "GET", f"/?{query}")

    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"POST /v1/events" in answer.body


def test_a_method_that_is_not_known_is_501_and_nobody_may_keep_it(service: Served) -> None:
    answer = ask(service, "FOO", "/v1/events")

    assert (answer.status, answer.headers["cache-control"]) == (501, "no-store")


KEPT_BY_CACHES = (200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501)  # Where nothing is said.


@pytest.mark.parametrize(
    "target",
    [
        *(*SLASHED, "/_info/version", "/robots.txt", "/?spec", "/?doc", "/", "/nowhere", "/v1/events", "/v1/validate"),
        *("/v1/schemas/web/page_view/1.1.0", "/v1/schemas/web/page_view/latest", "/v1/schemas/web/none/1.0.0"),
        *("/v1/streamconfigs?streams=web.page_view", "/w/api.php?action=streamconfigs", "/v1/stream-configs/nowhere"),
        *("/v1/beacon?{}", "/v1/pixel.gif?[{}]", "/v1/receipts/unknown", "/v1/receipts/"),
        *("/v1/receipts/01800000-0000-7000-8000-000000000000", f"/{'x' * 20_000}"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_every_answer_that_a_cache_could_keep_says_whether_it_may(service: Served, method: str, target: str) -> None:
    """RFC 9110 section 15.1 and RFC 9111 section 4.2.2."""
    answer = ask(service, method, target)

    assert answer.status not in KEPT_BY_CACHES or answer.headers["cache-control"]
    if answer.status >= 400:
        assert answer.status == 400 or answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("kind", ["application/json; charset=us-ascii", 'text/plain; x="a;charset=b"; charset=UTF8'])
def test_a_type_may_have_any_parameters(service: Served, kind: str) -> None:
    assert post(service, VALID, **{"content-type": kind}).status == 201


def test_an_event_that_no_stream_takes_is_shown_with_defaults(service: Served) -> None:
    entry = post(service, {**VALID, "meta": {}}).json()["invalid"][0]

    assert entry["context"]["error_type"] == "missing_stream"
    assert {"id", "dt"} <= entry["event"]["meta"].keys()


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        (VALID, "application/x-www-form-urlencoded", "-H 'Content-Type: application/json'"),
        (b'{"a":1}\n{"a":2}\n', "application/json", "application/x-ndjson"),
        (b"\x1f\x8b\x08\x00", "application/json", "Content-Encoding: gzip"),
        (b"{'a':1}", "application/json", "double quotes"),
    ],
)
def test_what_would_help_is_said(service: Served, body: Any, kind: str, says: str) -> None:
    assert says in post(service, body, **{"content-type": kind}).json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/events", [VALID, INVALID]),
        ("POST", "/v1/events", INVALID),
        ("POST", "/v1/events", b"{"),
        ("POST", "/v1/validate", VALID),
        ("PUT", "/v1/events", VALID),
        ("GET", "/nowhere", None),
        ("GET", "/v1/receipts/unknown", None),
        ("GET", "/v1/stream-configs", None),
        ("GET", "/v1/schemas/web/page_view/1.1.0", None),
        ("GET", "/_info", None),
        ("GET", "/healthz", None),
    ],
)
def test_a_body_ends_with_a_line_break(service: Served, method: str, path: str, body: Any) -> None:
    """A terminal's next prompt would stand in the same line."""
    answer = ask(service, method, path, body)

    assert answer.body.endswith(b"}\n") and not answer.body.endswith(b"\n\n")
    json.loads(answer.body)


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
