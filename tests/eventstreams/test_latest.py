"""The newest events as one document take the place of a stream while they are read, and always release it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from eventstreams.sources.base import SourceError
from eventstreams.web import latest
from tests.eventstreams.harness import InProcess, Log, running

PATH = "/v2/stream/a/latest"


def filled() -> Log:
    log = Log({"a": 1})
    for number in range(3):
        log.append(name=str(number))
    return log


@pytest.mark.parametrize(
    ("limits", "status", "kind"),
    [({"max_clients_per_address": 1}, 429, "too_many_requests"), ({"max_clients": 1}, 503, "full")],
)
def test_a_document_needs_a_place(limits: dict[str, int], status: int, kind: str) -> None:
    async def scene() -> None:
        async with running(filled(), limits=limits) as streams:
            async with await streams.get("/v2/stream/a") as stream:
                await stream.opened()
                async with await streams.get(PATH) as answer:
                    body = await answer.body()
                    assert (answer.status, body["type"], answer.headers["retry-after"]) == (status, kind, "5")
                assert streams.admission.total() == 1  # A refusal takes no place, and releases none.
            await streams.until(lambda: streams.admission.total() == 0)
            async with await streams.get(PATH) as answer:
                assert (answer.status, len((await answer.body())["events"])) == (200, 3)
            assert streams.admission.total() == 0

    asyncio.run(scene())


def test_a_document_that_is_read_takes_a_place_meanwhile() -> None:
    async def scene() -> None:
        log = filled()
        log.may_return.clear()
        async with running(log, limits={"max_clients_per_address": 1}) as streams:
            asking = asyncio.ensure_future(streams.get(PATH))
            await streams.until(lambda: log.reads)
            async with await streams.get("/v2/stream/a") as stream:
                assert stream.status == 429
            log.may_return.set()
            async with await asking as answer:
                assert answer.status == 200
            assert streams.admission.total() == 0

    asyncio.run(scene())


async def failing(streams: InProcess, monkeypatch: pytest.MonkeyPatch, error: Exception) -> tuple[int, Any]:
    """Return status and body of an answer whose reading fails."""

    async def fail(*_: object) -> bytes:
        raise error

    monkeypatch.setattr(latest, "newest", fail)
    async with await streams.get(PATH) as answer:
        return answer.status, await answer.body()


def test_a_fault_of_ours_is_answered_500_and_counted(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        async with running(filled()) as streams:
            status, body = await failing(streams, monkeypatch, ZeroDivisionError("secret of the server"))

            assert (status, body["title"]) == (500, "Internal Server Error")
            assert "secret" not in str(body)
            assert (streams.server.handler_errors, streams.admission.total()) == (1, 0)

    asyncio.run(scene())
    assert "secret of the server" in caplog.text


def test_a_source_that_is_away_is_answered_503_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        async with running(filled()) as streams:
            status, body = await failing(streams, monkeypatch, SourceError("no broker"))

            assert (status, body["type"]) == (503, "source")
            assert (streams.counts.source_failures, streams.admission.total()) == (1, 0)

    asyncio.run(scene())
