"""The read-only routes of a running service: vectors of the existing system, reloads, browsers, proxies."""

from __future__ import annotations

import gzip
import http.client
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.harness.served import Served
from tests.process.test_answers import ask as answer_of

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"


def ask(service: Served, target: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(*service.address, timeout=60)
    try:
        connection.request(method, target, headers={name.replace("_", "-"): text for name, text in headers.items()})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"the corpus is not there: {CORPUS}")
def test_the_vectors_of_the_existing_system_over_http(tmp_path: Path) -> None:
    with Served(
        tmp_path,
        workers=1,
        schemas={"base_uris": [str(CORPUS / "jsonschema")]},
        streams={"sources": [str(CORPUS / "streams-production.yaml")]},
        service_name="eventgate-main",
    ) as service:
        for vector in json.loads((CORPUS / "streamconfigs-vectors.json").read_text())["vectors"]:
            given: dict[str, str] = vector["request"]["params"] | {"wiki": vector["request"]["wiki"]}
            query = "&".join(f"{name}={quote(value)}" for name, value in given.items())
            for start in ("/v1/streamconfigs?", "/w/api.php?action=streamconfigs&format=json&formatversion=2&"):
                status, _, body = ask(service, start + query)

                assert status == 200
                assert json.loads(body) == vector["response"]
        own: dict[str, Any] = json.loads(ask(service, "/v1/stream-configs")[2])
        assert {settings.get("destination_event_service") for settings in own.values()} <= {None, "eventgate-main"}


def test_numbers_of_any_size_are_served_judged_and_told(tmp_path: Path) -> None:
    """RFC 8259 section 6: a number of JSON has no limits."""
    meta = {"type": "object", "properties": {"stream": {"type": "string"}}}
    bounds = '"a":{"maximum":18446744073709551617},"b":{"minimum":1E300},"c":{"enum":[18446744073709551617]}'
    text = f'{{"title":"big","type":"object","properties":{{"meta":{json.dumps(meta)},{bounds}}}}}'
    (tmp_path / "schemas" / "big").mkdir(parents=True)
    (tmp_path / "schemas" / "big" / "1.0.0.json").write_text(text)
    (tmp_path / "streams.yaml").write_text("streams: {big: {schema_title: big, mark: 18446744073709551617}}")
    sources = {"schemas": {"base_uris": ["schemas"]}, "streams": {"sources": ["streams.yaml"]}}
    event = b'{"$schema":"/big/1.0.0","meta":{"stream":"big"},"a":%b,"b":%b,"c":%b}'
    with Served(tmp_path, workers=1, **sources) as service:
        for accept in ("application/json", "text/html"):
            status, _, body = ask(service, "/v1/schemas/big/1.0.0", accept=accept)
            assert (status, b"18446744073709551617" in body, b"1E300" in body) == (200, True, True)
            status, _, body = ask(service, "/v1/streamconfigs", accept=accept)
            assert (status, b"18446744073709551617" in body) == (200, True)
        good = event % (b"18446744073709551617", b"1e301", b"18446744073709551617")
        bad = event % (b"18446744073709551618", b"1e299", b"18446744073709551616")
        assert answer_of(service, "POST", "/v1/events", good).status == 201
        refused = answer_of(service, "POST", "/v1/events", bad)
        problems = refused.json()["invalid"][0]["context"]["errors"]

    assert refused.status == 400
    assert [problem["params"] for problem in problems] == [
        {"comparison": "<=", "limit": 18446744073709551617, "exclusive": False},
        {"comparison": ">=", "limit": 1e300, "exclusive": False},
        {"allowedValues": [18446744073709551617]},
    ]
    assert problems[0]["message"] == "should be <= 18446744073709551617"


def test_answers_are_those_of_the_snapshot_that_serves(tmp_path: Path) -> None:
    streams = tmp_path / "streams.yaml"
    streams.write_text("streams: {app.tick: {schema_title: app/tick, mark: one}}")
    with Served(tmp_path, streams={"sources": [str(streams)]}) as service:
        status, headers, body = ask(service, "/v1/streamconfigs?streams=app.tick")
        assert (status, json.loads(body)["streams"]["app.tick"]["mark"]) == (200, "one")
        assert ask(service, "/v1/streamconfigs?streams=app.tick", If_None_Match=headers["ETag"])[0] == 304

        streams.write_text("streams: {app.tick: {schema_title: app/tick, mark: two}}")
        service.reload()
        status, later, body = ask(service, "/v1/streamconfigs?streams=app.tick", If_None_Match=headers["ETag"])

        assert (status, json.loads(body)["streams"]["app.tick"]["mark"]) == (200, "two")
        assert later["ETag"] != headers["ETag"]


def test_no_answer_mixes_two_snapshots_while_reloads_go_on(tmp_path: Path) -> None:
    def write(mark: int) -> None:
        text = (
            f"streams: {{one: {{schema_title: app/tick, mark: {mark}}}, two: {{schema_title: app/tick, mark: {mark}}}}}"
        )
        (tmp_path / "streams.new").write_text(text)
        (tmp_path / "streams.new").replace(tmp_path / "streams.yaml")

    write(0)
    with Served(tmp_path, streams={"sources": ["streams.yaml"]}) as service:
        address, is_over, seen = service.address, threading.Event(), []

        def read() -> None:
            while not is_over.is_set():
                connection = http.client.HTTPConnection(*address, timeout=60)
                connection.request("GET", "/v1/streamconfigs?streams=one|two")
                response = connection.getresponse()
                streams = json.loads(response.read())["streams"]
                seen.append((response.status, streams["one"]["mark"], streams["two"]["mark"]))
                connection.close()

        def has_seen(mark: int) -> bool:
            return any(one == mark for _, one, _ in tuple(seen))

        with ThreadPoolExecutor() as readers:
            under_way = [readers.submit(read) for _ in range(4)]
            try:
                for mark in range(1, 9):
                    write(mark)
                    service.reload()
                    service.until(partial(has_seen, mark))
            finally:
                is_over.set()
            for reader in under_way:
                reader.result()

    assert all(status == 200 and one == two for status, one, two in seen)
    assert {one for _, one, _ in seen} >= set(range(1, 9))


def test_schemas_pages_and_compression(tmp_path: Path) -> None:
    with Served(tmp_path, workers=1) as service:
        status, headers, body = ask(service, "/v1/schemas/web/page_view/latest", Accept_Encoding="gzip")
        assert (status, headers["Content-Encoding"]) == (200, "gzip")
        assert json.loads(gzip.decompress(body))["$id"] == "/web/page_view/1.1.0"
        assert headers["Access-Control-Allow-Origin"] == "*"

        status, headers, body = ask(service, "/v1/schemas", Accept="text/html")
        assert headers["Content-Type"].startswith("text/html")
        assert b'href="/v1/schemas/web"' in body

        status, headers, body = ask(service, "/v1/streamconfigs", "HEAD")
        assert (status, body) == (200, b"")
        assert int(headers["Content-Length"]) > 100

        status, headers, body = ask(service, "/v1/streamconfigs?stream=a")
        assert (status, json.loads(body)["parameter"]) == (400, "stream")
        assert headers["Content-Type"] == "application/problem+json"
        assert ask(service, "/v1/streamconfigs", "OPTIONS")[0] == 204
        assert ask(service, "/v1/streamconfigs", "POST")[0] == 405
