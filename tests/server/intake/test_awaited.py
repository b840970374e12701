"""A request waits for the schemas of its own events, and for nothing that somebody else has looked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from server.fetch.fetch_socket import Ask, Told
from server.fetch.schema_fetcher import SchemaFetcher
from server.schemas.remote import Remote
from tests.server.intake.conftest import write
from tests.server.intake.forms.test_forms import BATCH, SETTINGS, cloud
from tests.server.intake.test_receive import INVALID, VALID, Bench, FakeRequest, settled

ERROR_SCHEMA = "/far/error/1.0.0"


class Noting(SchemaFetcher):
    """Notes what is asked for. Nobody answers but the test, by ``tell``."""

    def __init__(self, remote: Remote) -> None:
        super().__init__(remote, b"", wait_s=60.0)
        self.asked: list[tuple[str, str]] = []

    def _connect(self) -> None:
        pass

    def _send(self, ask: Ask) -> None:
        self.asked.append((ask.uri, ask.client))

    def tell(self, uri: str, outcome: Any) -> None:
        self._on_told(Told(uri, outcome, 60.0))


Scene = Callable[[Bench, Noting], Awaitable[None]]
Drive = Callable[..., None]  # The scene, then settings.


@pytest.fixture
def drive(tmp_path: Path) -> Drive:
    """Run a scene over schemas of which some may be at a URL; no more than one event may be outstanding."""

    settings_path = write(tmp_path)  # Not that of others: what is fetched is kept beside it.

    def _drive(scene: Scene, *settings: str) -> None:
        askings: list[Noting] = []

        def asking(remote: Remote) -> Noting:
            askings.append(Noting(remote))
            return askings[0]

        async def main() -> None:
            bench = Bench(
                settings_path,
                *SETTINGS,
                'schemas.base_uris=["schemas", "http://127.0.0.1:1/far"]',
                f"intake.error_schema_uri={ERROR_SCHEMA}",
                "intake.error_stream=job.errors",
                "sink.max_outstanding=1",
                *settings,
                asking=asking,
            )
            await bench.sink.open()
            await asyncio.wait_for(scene(bench, askings[0]), 5)
            askings[0].close()
            await bench.sink.close()
            bench.generation.close()

        asyncio.run(main())

    return _drive


def far(name: str) -> bytes:
    return VALID.replace(b"/test/event/1.0.0", f"/far/{name}/1.0.0".encode())


async def is_answered_at_once(bench: Bench) -> bool:
    request = bench.post(VALID)
    await settled()
    return [status for status, _, _ in request.replies] == [201]


def test_the_schema_of_error_events_is_asked_for_and_no_request_waits_for_it(drive: Drive) -> None:
    async def scene(bench: Bench, asking: Noting) -> None:
        assert bench.post(INVALID).status == 400
        await settled()

        assert asking.asked == [(ERROR_SCHEMA, "")], "on our own account"
        assert await is_answered_at_once(bench)
        bench.post(far("one"))
        assert asking.asked[1:] == [("/far/one/1.0.0", "192.0.2.1")]
        assert (bench.errors.produced, bench.errors.dropped) == (0, 1)

    drive(scene)


def test_a_batch_that_is_refused_leaves_nothing_that_others_would_wait_for(drive: Drive) -> None:
    async def scene(bench: Bench, asking: Noting) -> None:
        batch = [cloud(dataschema=f"/far/{name}/1.0.0") for name in ("one", "two")]
        request = FakeRequest(json.dumps(batch).encode())
        request.headers = {b"content-type": BATCH}
        bench.receiver.handle_events(request)

        assert request.status == 503, "no room for both"
        assert await is_answered_at_once(bench)
        bench.post(far("three"))
        assert asking.asked == [("/far/three/1.0.0", "192.0.2.1")]

    drive(scene)


@pytest.mark.parametrize("outcome", ["unknown_schema", "schema_unavailable", "here"])
def test_a_request_that_has_waited_leaves_nothing_behind_however_it_ended(drive: Drive, outcome: str) -> None:
    async def scene(bench: Bench, asking: Noting) -> None:
        batch = [cloud(dataschema="/far/one/1.0.0")]
        request = FakeRequest(json.dumps(batch).encode())
        request.headers = {b"content-type": BATCH}
        bench.receiver.handle_events(request)
        assert (request.replies, asking.asked) == ([], [("/far/one/1.0.0", "192.0.2.1")])
        asking.tell("/far/one/1.0.0", outcome)
        await settled()

        assert [status for status, _, _ in request.replies] == [400 if outcome == "unknown_schema" else 503]
        assert await is_answered_at_once(bench)
        assert [uri for uri, client in asking.asked if client] == ["/far/one/1.0.0"]

    drive(scene)


def test_who_only_reads_makes_nobody_wait(drive: Drive) -> None:
    async def scene(bench: Bench, asking: Noting) -> None:
        for uri in ("/far/one/1.0.0", "/far/two/latest", "http://127.0.0.1:1/far/one/1.0.0"):
            assert isinstance(bench.generation.schemas.document(uri), tuple)

        assert await is_answered_at_once(bench)
        assert asking.asked == []

    drive(scene)
