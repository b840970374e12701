"""What is refused says what would help, and may be kept by nobody."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from server.config.limit_settings import Limits
from server.http import head, problem
from server.http.around import refused_kinds
from server.http.around.beacon import Beacon
from server.http.limits import RequestLimits
from server.http.problem import Refusal
from server.http.request import Request
from tests.server.http.fakes import Harness, Response, get, post, responses

HEURISTIC = (404, 405, 410, 414, 501)  # RFC 9110 section 15.1: caches may keep them where nothing is said.


def ask(request: bytes, harness: Harness | None = None) -> Response:
    wire = (harness or Harness()).wire()
    wire.send(request)
    return responses(wire.sent)[-1]


def detail(response: Response) -> str:
    return str(json.loads(response.body)["detail"])


def test_no_refusal_may_be_kept() -> None:
    bounds = RequestLimits(Limits())
    found = [*vars(problem).values(), *vars(refused_kinds).values()]
    found += [getattr(bounds, name) for name in dir(bounds)]
    refusals = [one for one in found if isinstance(one, Refusal)]

    assert {404, 414, 431, 501, 503} <= {refusal.status for refusal in refusals}
    assert all(b"Cache-Control: no-store\r\n" in refusal.more for refusal in refusals)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (get(b"/nowhere"), 404),
        (post(path=b"/page"), 405),
        (get(b"/page?" + b"x" * 20_000), 414),
        (b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (post(headers=b"Content-Type: text/html\r\n"), 415),
        (b"nonsense\r\n\r\n", 400),
    ],
)
def test_an_answer_that_caches_may_keep_forbids_it(request_: bytes, status: int) -> None:
    response = ask(request_)

    assert (response.status, response.headers["Cache-Control"]) == (status, "no-store")


@pytest.mark.parametrize("status", HEURISTIC)
def test_a_problem_of_a_handler_may_not_be_kept(status: int) -> None:
    harness = Harness()
    harness.on_request = lambda request: request.problem(status, "No.")

    assert ask(get(), harness).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("before", [b"", b"\r\n", get(), post() * 3])
def test_a_line_that_comes_byte_by_byte_is_judged_without_what_precedes_it(
    before: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched: list[bytes] = []
    line = head._LINE

    def findall(text: bytes) -> list[bytes]:
        searched.append(text)
        return line.findall(text)

    monkeypatch.setattr(head, "_LINE", SimpleNamespace(findall=findall))
    harness = Harness()
    wire = harness.wire()
    wire.send(before + b"F", *[b"O"] * 20, b" ", b"/", *[b"x"] * 1_000, b" HTTP/1.1", b"\r", b"\n")

    assert responses(wire.sent)[-1].status == 501
    assert sum(map(len, searched)) < len(before) + 1_200


def test_a_beacon_says_so_once() -> None:
    def refuse(request: Request) -> None:
        request.problem(400, "No.")

    harness = Harness(routes={"/v1/beacon": {"GET": Beacon(refuse).handle}})

    assert "no-store" in ask(get(b"/v1/beacon?{}"), harness).headers["Cache-Control"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("application/x-www-form-urlencoded", "add -H 'Content-Type: application/json'"),
        ("multipart/form-data; boundary=x", "--data-binary"),
        ("application/jsonlines", "application/x-ndjson"),
        ("text/x-ndjson; charset=utf-8", "application/x-ndjson"),
        ("text/json", "Send JSON as Content-Type: application/json"),
        ("application/gzip", "Content-Encoding"),
        ("application/json; charset=latin1", "charset is not supported"),
        ("application/json, text/plain", "several"),
        ("application/vnd.example+json", "one of: application/json"),
        ("", "leave the header out"),
    ],
)
def test_a_type_that_is_not_taken_is_named_with_what_would_help(given: str, words: str) -> None:
    response = ask(post(headers=f"Content-Type: {given}\r\n".encode()))

    assert response.status == 415
    assert words in detail(response)
    assert f"The Content-Type {given!r} is not supported." in detail(response)
    assert response.headers["Accept-Post"].startswith("application/json, ")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("gzip, br", "several"),
        ("utf-8", "The charset belongs in Content-Type"),
        ("chunked", "Transfer-Encoding"),
        ("base64", "without base64"),
        ("application/json", "The type belongs in Content-Type"),
        ("snappy", "identity, gzip, deflate, br, zstd"),
    ],
)
def test_an_encoding_that_is_not_taken_is_named_with_what_would_help(given: str, words: str) -> None:
    response = ask(post(headers=f"Content-Encoding: {given}\r\n".encode()))

    assert (response.status, response.headers["Accept-Encoding"]) == (415, "identity, gzip, deflate, br, zstd")
    assert words in detail(response)
    assert f"The Content-Encoding {given!r} is not supported." in detail(response)


def test_what_is_named_is_cut_and_harmless() -> None:
    response = ask(post(headers=b"Content-Type: text/\xff\xc3\xa1" + b"x" * 5_000 + b"\r\n"))

    assert len(response.body) < 1_000
    assert "xxx" in detail(response)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.parametrize("body", [b'{"a":1}', b' \n[{"a":1}]', b'\xef\xbb\xbf{"a":1}'])
def test_plain_json_that_is_called_compressed_is_told_so(encoding: str, body: bytes) -> None:
    response = ask(post(body, f"Content-Encoding: {encoding}\r\n".encode()))

    assert response.status == 400
    assert "begins like JSON" in detail(response)


@pytest.mark.parametrize("target", ["/v1/beacon?x=é".encode(), "/é".encode(), "/page?x=é".encode("latin-1")])
def test_a_target_of_raw_characters_is_told_to_percent_encode_them(target: bytes) -> None:
    """RFC 3986 section 2.1; RFC 9112 section 3.2 has a URI there."""
    response = ask(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target)

    assert response.status == 400
    assert "percent-encode" in detail(response)


@pytest.mark.parametrize("coding", [", chunked", ",,chunked", "chunked;a=b", "identity", "gzip, chunked"])
def test_no_other_transfer_coding_than_chunked_alone_is_read(coding: str) -> None:
    raw = f"POST /events HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {coding}\r\n\r\n2\r\n[]\r\n0\r\n\r\n"

    response = ask(raw.encode())

    assert response.status == 400
    assert "The only Transfer-Encoding supported is chunked." in detail(response)
    assert response.headers["Connection"] == "close"  # What follows may be another request, or the rest of this one.
