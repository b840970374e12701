"""server.intake.receive: one reply to every request, whatever its events, the sink and the client do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest

from server.boot.generation import read
from server.http.around import content
from server.http.request import Request
from server.intake.arrival import Clock
from server.intake.books.counts import MEASURED_EVERY
from server.intake.books.receipts import Receipts
from server.intake.delivery.delivery import Delivery
from server.intake.error_events import ErrorEvents
from server.intake.event import Event
from server.intake.forms.forms import Forms
from server.intake.pipeline import make_pipeline
from server.intake.receive import Receiver
from server.intake.sending import Sender
from server.shared.rings import Rings
from server.sink.memory.sink import MemorySink

VALID = b'{"$schema":"/test/event/1.0.0","meta":{"stream":"plain"},"test":"x"}'
INVALID = VALID.replace(b'"x"', b"1")


class FakeRequest(Request):
    """What a handler gets and may do; ``replies`` are (status, phrase, body)."""

    def __init__(self, body: bytes, params: dict[str, str] | None = None) -> None:
        query = b"?" if params else b""
        super().__init__(cast(Any, None), "", b"POST", b"/v1/events", query, {}, lambda _: None, b"", None, body)
        self.replies: list[tuple[int, str, bytes]] = []
        self._params = params or {}

    def params(self) -> dict[str, str]:
        return self._params

    def reply(
        self,
        status: int,
        phrase: str,
        body: bytes = b"",
        content_type: bytes = b"application/json",
        retry_after_s: int = 0,
        more: bytes = b"",
    ) -> None:
        self.more = more
        self.replies.append((status, phrase, body))

    def problem(self, status: int, detail: str, *, retry_after_s: int = 0) -> None:
        self.replies.append((status, "", detail.encode()))

    async def answered(self) -> None:  # A body of many events takes several turns of the loop.
        while not self.replies:
            await asyncio.sleep(0)
        await settled()

    @property
    def status(self) -> int:
        ((status, _, _),) = self.replies
        return status

    @property
    def answer(self) -> Any:
        ((_, _, body),) = self.replies
        return json.loads(body)


class Bench:
    """A receiver over a memory sink. ``asking`` makes whom it asks for schemas that are at URLs."""

    def __init__(self, settings: Path, *overrides: str, spool: Any = None, asking: Any = None, **delivery: Any) -> None:
        generation = self.generation = read(settings, list(overrides))
        config = generation.config
        self.sink = MemorySink(max_outstanding=config.sink.max_outstanding)
        clock = Clock()
        self.delivery = Delivery(self.sink, spool, on_spooled=self._on_spooled, on_dropped=self._on_dropped, **delivery)
        self.tallies = self.delivery.tallies
        pipeline = self.pipeline = make_pipeline(
            config, generation.schemas.find, generation.snapshot.find, self.tallies
        )
        asked = asking(generation.schemas.remote) if asking is not None else None
        self.errors = ErrorEvents(pipeline, self.delivery.submit_own, clock, config, asked)
        self.rings = Rings(2, 1000)
        self.receipts = Receipts(self.rings.ring(1), self.sink.outstanding, 60.0)
        forms = Forms(config, generation.schemas.find_here, content.format_of, content.FORMATS)
        self.sender = Sender(self.sink, self.delivery, self.receipts, self.errors)
        self.receiver = Receiver(
            config,
            pipeline,
            self.sink,
            self.delivery,
            self.sender,
            lambda _: "192.0.2.1",
            clock,
            forms,
            asked,
        )

    def _on_spooled(self, event: Event) -> None:
        self.receipts.spooled(event.number)

    def _on_dropped(self, event: Event) -> None:
        self.sender.on_dropped(event)

    def post(self, body: bytes, **params: str) -> FakeRequest:
        request = FakeRequest(body, params)
        self.receiver.handle_events(request)
        return request


Drive = Callable[[Callable[[Bench], Awaitable[None]]], None]


@pytest.fixture
def drive(settings_path: Path) -> Callable[..., None]:
    """Run a test on a loop of its own, with the sink open."""

    def _drive(test: Callable[[Bench], Awaitable[None]], *overrides: str) -> None:
        async def main() -> None:
            bench = Bench(settings_path, *overrides)
            await bench.sink.open()
            await asyncio.wait_for(test(bench), 60)
            await bench.sink.close()

        asyncio.run(main())

    return _drive


async def settled() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def test_a_guaranteed_request_is_answered_after_the_last_ack(drive: Drive) -> None:
    async def test(bench: Bench) -> None:
        bench.sink.is_held = True
        request = bench.post(b"[" + VALID + b"," + VALID + b"]")
        await settled()
        assert request.replies == []
        bench.sink.release()
        await settled()

        assert request.status == 201
        assert [(tally.accepted, tally.delivered) for tally in bench.tallies] == [(2, 2)]

    drive(test)


@pytest.mark.parametrize(("count", "status"), [(2, 201), (3, 201), (4, 413)])
def test_events_of_a_request_are_bounded(drive: Drive, count: int, status: int) -> None:
    async def test(bench: Bench) -> None:
        request = bench.post(b"[" + b",".join([VALID] * count) + b"]")
        await settled()

        assert request.status == status
        assert bench.receiver.counts.refused_many == (status == 413)

    drive(test, "http.limits.max_events=3")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("more", "is_taken"),
    [
        (b"[" * 9 + b"]" * 9, True),
        (b"[" * 10 + b"]" * 10, False),
        (b"[" + b"0," * 90 + b"0]", True),
        (b"[" + b"0," * 120 + b"0]", False),
        (b"9" * 25, True),
        (b"9" * 26, False),
    ],
)
def test_one_event_beyond_a_bound_costs_those_beside_it_nothing(drive: Drive, more: bytes, is_taken: bool) -> None:
    async def test(bench: Bench) -> None:
        odd = VALID[:-1] + b',"odd":' + more + b"}"
        request = bench.post(b"[" + VALID + b"," + odd + b"]")
        await settled()

        told = [] if is_taken else [entry["context"]["error_type"] for entry in request.answer["invalid"]]
        assert (request.status, told) == ((201, []) if is_taken else (207, ["event_too_large"]))

    limits = {"max_json_depth": 10, "max_json_nodes": 110, "max_number_digits": 25}
    drive(test, *[f"http.limits.{name}={value}" for name, value in limits.items()])


def test_an_event_that_the_sink_cannot_keep_is_answered_as_an_error(drive: Drive) -> None:
    async def test(bench: Bench) -> None:
        bench.sink.failure = "broker_timeout"
        request = bench.post(VALID)
        await settled()

        assert request.status == 503
        assert request.answer["error"][0]["context"]["error_type"] == "broker_timeout"
        assert bench.receiver.counts.by_type["broker_timeout"] == 1

    drive(test)


def test_an_event_that_the_sink_finds_too_large_is_invalid_and_leaves_an_error_event(drive: Drive) -> None:
    async def test(bench: Bench) -> None:
        bench.sink.failure = "event_too_large"
        request = bench.post(VALID)
        await settled()

        assert request.status == 400
        assert request.answer["invalid"][0]["context"]["error_type"] == "event_too_large"
        assert bench.errors.produced + bench.errors.dropped == 1

    drive(test)


def test_an_event_that_the_sink_does_not_take_is_answered_at_once(drive: Drive) -> None:
    async def test(bench: Bench) -> None:
        bench.sink.refusal = "queue_full"

        assert bench.post(VALID).status == 503

    drive(test)


def test_a_batch_for_which_there_is_no_room_is_refused_as_a_whole(drive: Callable[..., None]) -> None:
    async def test(bench: Bench) -> None:
        for params in ({}, {"hasty": "true"}):
            assert bench.post(b"[" + b",".join([VALID] * 5) + b"]", **params).status == 503
        assert bench.receiver.counts.refused_full == 2
        assert bench.receiver.counts.received == 0

    drive(test, "sink.max_outstanding=4")


def test_nothing_is_taken_once_the_receiver_is_closed(drive: Drive) -> None:
    async def test(bench: Bench) -> None:
        bench.receiver.close()

        assert bench.post(VALID).status == 503
        assert bench.post(VALID, hasty="true").status == 503

    drive(test)


@pytest.mark.parametrize(
    ("bad", "error_type"),
    [
        (b'{"$schema":"/test/event/1.0.0","meta":{"stream":"plain"},"x":%s}' % (b"[" * 600 + b"]" * 600), None),
        (b'{"$schema":"/test/event/1.0.0","meta":{"stream":"plain"},"test":"\\ud800"}', "schema_violation"),
        (b'{"$schema":"/test/event/1.0.0","meta":{"stream":"plain"},"n":%s}' % (b"9" * 5000), None),
        (b'{"$schema":"/test/event/1.0.0","meta":{"stream":"plain"},"n":1e400}', None),
        (b'{"$schema":"/test/event/1.0.0","meta":{"stream":"keyed"},"n":1e400,"page":{"wiki":"w"}}', None),
    ],
)
@pytest.mark.parametrize("duplicates", ["accept", "reject"])
def test_one_odd_event_does_not_fail_those_that_came_with_it(
    drive: Callable[..., None], bad: bytes, error_type: str | None, duplicates: str
) -> None:
    async def test(bench: Bench) -> None:
        request = bench.post(b"[" + VALID + b"," + bad + b"," + VALID + b"]")
        await settled()

        assert request.status in (201, 207)
        assert len(bench.sink.records) >= 2
        if error_type is not None:
            assert request.answer["invalid"][0]["context"]["error_type"] == error_type

    drive(test, f"intake.duplicate_keys={duplicates}")


def test_depth_at_the_edge_of_what_can_be_read_never_fails_a_request(drive: Drive) -> None:
    async def test(bench: Bench) -> None:
        for depth in range(900, 1010, 3):
            nested = b'{"$schema":"/test/event/1.0.0","meta":{"stream":"plain"},"x":%s}' % (b"[" * depth + b"]" * depth)
            request = bench.post(b"[" + VALID + b"," + nested + b"]")
            await settled()

            assert request.status in (201, 207, 400)

    drive(test)


@pytest.mark.interpreted(reason="a function of a compiled module is replaced")
def test_a_bug_costs_one_event_and_not_its_batch(drive: Drive, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> bytes:
        raise ZeroDivisionError

    async def test(bench: Bench) -> None:
        monkeypatch.setattr("server.intake.record._key", broken)
        request = bench.post(b"[" + VALID + b"," + VALID.replace(b'"plain"', b'"keyed"') + b"]")
        await settled()

        assert request.status == 207
        assert request.answer["error"][0]["context"]["error_type"] == "internal"

    drive(test)


def test_hasty_failures_are_counted_by_type(drive: Drive) -> None:
    async def test(bench: Bench) -> None:
        bench.sink.failure = "broker_timeout"
        assert bench.post(b"[" + VALID + b"," + INVALID + b"]", hasty="true").status == 202
        await settled()

        counts = bench.receiver.counts
        assert counts.by_type["broker_timeout"] == 1
        assert [tally.dropped for tally in bench.tallies] == [{"broker_timeout": 1}]
        assert counts.by_type["schema_violation"] == 1

    drive(test)


def test_an_observed_event_counts_as_accepted_and_leaves_an_error_event(drive: Drive) -> None:
    async def test(bench: Bench) -> None:
        request = bench.post(INVALID.replace(b'"plain"', b'"watched"'))
        await settled()

        counts = bench.receiver.counts
        assert request.status == 201
        assert (counts.observed, counts.by_type["schema_violation"]) == (1, 0)

        asked = FakeRequest(INVALID.replace(b'"plain"', b'"watched"'))
        bench.receiver.handle_validate(asked)
        (told,) = asked.answer["events"]
        assert (told["status"], told["topics"]) == ("observed", ["dc1.watched"])
        assert told["context"]["error_type"] == "schema_violation"

    drive(test)


def test_names_that_a_regex_matches_share_its_line_in_the_books(drive: Drive) -> None:
    """Clients choose such names: they would fill the books."""

    async def test(bench: Bench) -> None:
        batch = [VALID.replace(b'"plain"', b'"job.%d"' % number) for number in range(5)]
        assert bench.post(b"[" + b",".join([VALID, *batch]) + b"]", hasty="true").status == 202
        await settled()

        told = {tally.stream: (tally.accepted, tally.delivered) for tally in bench.tallies}
        assert told == {"plain": (1, 1), "/^job\\..+/": (5, 5)}
        assert (bench.tallies.accepted, bench.tallies.delivered) == (6, 6)

    drive(test)


def test_a_trace_goes_on_with_its_events_and_with_no_others(drive: Drive) -> None:
    trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    async def test(bench: Bench) -> None:
        for headers in ({}, {b"traceparent": trace}, {b"traceparent": b"mine"}, {}):
            request = FakeRequest(VALID)
            request.headers = headers
            bench.receiver.handle_events(request)
        await settled()

        plain = [("content-type", b"application/json"), ("schema-uri", b"/test/event/1.0.0")]
        assert [record.headers for record in bench.sink.records] == [
            plain,
            [*plain, ("traceparent", trace)],
            plain,
            plain,
        ]

    drive(test)


def test_one_request_in_so_many_is_timed_of_either_kind(drive: Drive) -> None:
    async def test(bench: Bench) -> None:
        for _ in range(MEASURED_EVERY):
            bench.post(VALID)
            bench.post(VALID, hasty="true")
        await settled()

        counts = bench.receiver.counts
        assert (sum(counts.guaranteed.counts), sum(counts.hasty.counts)) == (1, 1)
        assert 0 < counts.guaranteed.sum_s < 5

    drive(test)


def test_what_was_not_accepted_is_counted_for_its_stream(drive: Drive) -> None:
    async def test(bench: Bench) -> None:
        unknown = VALID.replace(b'"plain"', b'"made-up"')
        request = bench.post(b"[" + b",".join([VALID, INVALID, INVALID, unknown]) + b"]")
        await settled()

        counts = bench.receiver.counts
        assert request.status == 207
        assert {stream: numbers[:3] for stream, numbers in counts.by_stream.items()} == {
            "plain": [2, 0, 0],
            "": [1, 0, 0],
        }
        assert counts.examples["schema_violation"].request_id == request.request_id

    drive(test)
