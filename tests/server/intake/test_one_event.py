"""Bodies that are one event, or look like it: they go to the typed decoder before anybody knows that they are JSON."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from server.intake import pipeline
from server.intake.pipeline import Pipeline
from tests.server.intake.test_receive import VALID, Bench, FakeRequest, drive, settled

__all__ = ["drive"]


@pytest.mark.parametrize("duplicates", ["accept", "reject"])
@pytest.mark.parametrize(
    "body",
    [
        b"{bad}",
        VALID[:-2] + b"}",
        VALID[:-1] + b',"n":}',
        VALID[:-1] + b',"n":"\xff"}',
        VALID + VALID,
        VALID[:-1] + b',"n":1,"n":}',
        b"{" * 10_000 + b"}",
    ],
)
def test_what_is_no_json_is_the_requests_fault(drive: Callable[..., None], body: bytes, duplicates: str) -> None:
    async def test(bench: Bench) -> None:
        bench.post(VALID)  # From now on its route is known.
        await settled()
        request = bench.post(body)
        assert request.status == 400
        assert b"is not JSON" in request.replies[0][2]

    drive(test, f"intake.duplicate_keys={duplicates}")


@pytest.mark.parametrize(("more", "status"), [(b',"n":1,"n":2', 400), (b',"n":1', 201)])
def test_names_that_occur_twice_are_found_in_one_event(drive: Callable[..., None], more: bytes, status: int) -> None:
    async def test(bench: Bench) -> None:
        bench.post(VALID)
        await settled()
        request = bench.post(VALID[:-1] + more + b"}")
        await settled()
        assert request.status == status

    drive(test, "intake.duplicate_keys=reject")


def test_blanks_around_an_event_change_nothing(drive: Callable[..., None]) -> None:
    async def test(bench: Bench) -> None:
        requests: list[Any] = [
            bench.post(body) for body in (VALID, b" " + VALID, VALID + b"\r\n", b"\xef\xbb\xbf" + VALID)
        ]
        await settled()
        assert [request.status for request in requests] == [201] * 4
        assert len({record.value[-20:] for record in bench.sink.records}) == 1

    drive(test)


@pytest.mark.interpreted(reason="a function of a compiled module is replaced")
def test_an_event_that_a_bug_has_cost_is_counted_for_its_stream(
    drive: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    async def test(bench: Bench) -> None:
        bench.post(VALID)
        await settled()
        monkeypatch.setattr("server.intake.pipeline._take_valid", broken)

        assert bench.post(VALID).status == 500
        assert list(bench.receiver.counts.by_stream) == ["plain"]

    drive(test)


MANY = b"{%b}" % b",".join(b'"k%d":1' % number for number in range(60_000))


@pytest.mark.parametrize("duplicates", ["accept", "reject"])
@pytest.mark.parametrize(
    "more",
    [
        b'"http":{"request_headers":%b}' % MANY,
        MANY[1:-1],
        b",".join([b'"k":1'] * 150_000),
        b'"k":[%b[]]' % (b"[]," * 60_000),
    ],
    ids=["a map", "members", "one name", "arrays"],
)
def test_an_event_of_very_many_values_is_refused_before_it_is_judged(
    drive: Callable[..., None], more: bytes, duplicates: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """60,000 members of the wrong type took 100 ms in one turn of the loop."""

    async def test(bench: Bench) -> None:
        bench.post(VALID)
        await settled()
        # A call would be a bug, and another answer.
        monkeypatch.setattr(Pipeline, "_take_any", None)
        monkeypatch.setattr(pipeline, "has_duplicate_names", None)
        event = VALID[:-1] + b"," + more + b"}"
        for body in (event, b"[%b]" % event):
            request = await replied(bench, body)
            assert b"the event has more than 10000 values" in request.replies[0][2]

    drive(test, f"intake.duplicate_keys={duplicates}")


async def replied(bench: Bench, body: bytes) -> FakeRequest:
    """What was posted, when it is answered."""
    request = bench.post(body)
    while not request.replies:
        await settled()
    return request


@pytest.mark.parametrize("event", [VALID, VALID.replace(b'"x"', b"1")])
def test_a_large_event_is_looked_at_once_for_its_size(
    drive: Callable[..., None], monkeypatch: pytest.MonkeyPatch, event: bytes
) -> None:
    large = event[:-1] + b',"text":"' + b"\\u20ac" * 50_000 + b'"}'
    looked: list[bytes] = []

    async def test(bench: Bench) -> None:
        bench.post(VALID)
        await settled()
        over = bench.pipeline._over

        def noting(raw: bytes) -> str | None:
            looked.append(raw)
            return over(raw)

        monkeypatch.setattr(bench.pipeline, "_over", noting)
        request = bench.post(large)
        await request.answered()

        assert request.status == (201 if event == VALID else 400)
        assert looked.count(large) == 1

    drive(test)


@pytest.mark.parametrize(
    ("query", "is_named"),
    [(b"event=%7B%22a%22:1%7D", True), (b'event={"a":1}', True), (b"e=%5b1]", True), (b"hasty=1", False), (b"", False)],
)
def test_an_event_that_stands_in_the_query_of_an_empty_request_is_told_where_it_belongs(
    drive: Callable[..., None], query: bytes, *, is_named: bool
) -> None:
    async def test(bench: Bench) -> None:
        request = FakeRequest(b"")
        request.query = query
        bench.receiver.handle_beacon(request)

        ((status, _, told),) = request.replies
        assert (status, b"was empty" in told) == (400, True)
        assert (b"GET /v1/beacon" in told) == is_named

    drive(test)
