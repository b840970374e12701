"""The fetcher: the process that fetches for all workers of a generation.

Place: server.master forks → HERE, a companion of the workers, which puts together all parts that fetch.
Rules: workers wait for it only by their own choice, and serve without it. It beats like a worker. When it is told to
drain it asks for nothing new, and exits when no worker is connected any more, or after ``drain_s``.
Not here: what is fetched (fetch.fetched_streams, fetch.fetched_schemas), who uses it (worker).
"""

from __future__ import annotations

import asyncio
import logging
import os
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Protocol

import uvloop

from server.config.urls import urls_of
from server.fetch import public_keys
from server.fetch.client import HttpClient
from server.fetch.fetch_socket import FetchSocket
from server.fetch.fetched_schemas import FetchedSchemas
from server.fetch.fetched_streams import Streams
from server.fetch.store import sweep
from server.schemas.repository import fetched_directory
from server.shared.row import State
from server.timing.companion import CompanionLife

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.fetch.link import Link
    from server.master.generation import WorkerContext
    from server.schemas.repository import SchemaRepository as KnownSchemas

NICER = 5  # Checking 10,000 streams takes a second of a core; workers that need the core get three times as much of it.

_logger = logging.getLogger("fetcher")


class Materials(Protocol):
    """The part of boot.generation.Generation that is used here."""

    config: Config
    schemas: KnownSchemas
    link: Link


class Fetcher:
    """The fetcher of one generation."""

    def __init__(self, materials: Materials, context: WorkerContext) -> None:
        config, link = materials.config, materials.link
        self._config = config
        self._link = link
        self._context = context
        self._life = CompanionLife(context, config.process.beat_s, _logger)
        self._streams = Streams(
            config, link.sources, materials.schemas.for_check(), link.publication, link.health, link.answers
        )

    async def run(self) -> None:
        """Fetch until told to stop."""
        self._life.begin()
        sweep(self._link.cache_dir)
        async with AsyncExitStack() as stack:
            door = await self._open_door(stack)
            keys_url = urls_of([self._config.auth.jwt.keys or ""])
            client = await stack.enter_async_context(HttpClient(self._config.fetch, [*self._link.urls, *keys_url]))
            self._streams.catch_up(self._link.urls)
            tasks = [asyncio.create_task(self._streams.keep_fresh(client, url)) for url in self._link.urls]
            tasks += [
                asyncio.create_task(public_keys.keep_fresh(client, self._config, url, self._link.cache_dir))
                for url in keys_url
            ]
            self._context.row.set_state(State.READY)
            await self._until_told(tasks)
            self._context.row.set_state(State.DRAINING)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._drain(door)

    async def _open_door(self, stack: AsyncExitStack) -> FetchSocket | None:
        if self._link.door is None:
            return None
        config = self._config
        urls = urls_of(config.schemas.base_uris)
        client = await stack.enter_async_context(HttpClient(config.fetch, urls))
        schemas = FetchedSchemas(config, self._link.base_dir, fetched_directory(self._link.cache_dir, urls), client)
        stack.push_async_callback(schemas.close)
        door = FetchSocket(schemas)
        await door.open(self._link.door)
        stack.push_async_callback(door.close)
        return door

    async def _until_told(self, tasks: list[asyncio.Task[None]]) -> None:
        """Wait until told to stop. A task only ends by a bug: then the process ends too, and is replaced."""
        told = asyncio.create_task(self._life.stop.wait())
        done, _ = await asyncio.wait([told, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def _drain(self, door: FetchSocket | None) -> None:
        if door is not None and not self._life.hurry.is_set():
            ends = [asyncio.create_task(event.wait()) for event in (door.idle, self._life.hurry)]
            await asyncio.wait(ends, timeout=self._config.drain_s, return_when=asyncio.FIRST_COMPLETED)


def run(materials: Materials, context: WorkerContext) -> int:
    """Be the fetcher until told to stop. Returns the exit code."""
    os.nice(NICER)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Fetcher(materials, context).run())
    return 0
