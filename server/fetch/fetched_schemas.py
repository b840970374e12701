"""Fetch schemas that workers ask for, each once for the whole host, and store them for good.

Place: fetch.fetch_socket → HERE → fetch.client, and the directory from which every worker reads schemas.
Rules: an ask for a schema that is being fetched waits for the same fetch. A versioned schema never changes: once it is
on disk it is not fetched again. A schema that does not exist is not asked for again for ``schemas.unknown_s``, and
after a failure that may pass, for ``FAILED_S``. An ask in vain is charged to the rate limits of the client and of all
clients. Only URLs below the base URIs and from ``fetch.allowed_origins`` are fetched.
Not here: reading and compiling what was fetched (the workers' own registries).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from server.config.urls import origin_of, urls_of
from server.fetch.fetch_socket import Outcome
from server.fetch.retry import FetchRateLimit
from server.fetch.store import write_whole
from server.fetch.trouble import AbsentError, FetchError
from server.log import Limited
from server.schemas.repository import SchemaLost, materialised

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.fetch.client import HttpClient

MAX_BYTES = 1_048_576  # A registry reads no larger schema.
THREADS = 8  # Blocking code reads a schema with its references; so many are read at a time.
FETCH_S = 30.0  # The time for one schema and all schemas that it refers to.
# Clients are told to wait for this time. It is short, so that a registry that has returned is soon noticed.
FAILED_S = 5.0
KNOWN_MAX = 10_000
UNDER_WAY_MAX = 500  # How many schemas may be waited for at a time, by all clients.
UNDER_WAY_CLIENT_MAX = 100  # The same by one client: the rate limit is charged after a fetch, too late for a burst.


class Standing(NamedTuple):
    """The outcome of an ask, and for how long it holds."""

    outcome: Outcome
    for_s: float = 0.0


HERE = Standing("here")
REFUSED = Standing("refused")


class FetchedSchemas:
    """All schemas at the base URIs of one generation."""

    def __init__(self, config: Config, base_dir: Path, directory: Path, client: HttpClient) -> None:
        settings = config.schemas
        self._settings = settings
        self._base_dir = base_dir
        self._directory = directory
        self._client = client
        self._max_bytes = min(MAX_BYTES, config.fetch.max_answer_bytes)
        self._bases = tuple(f"{url.rstrip('/')}/" for url in urls_of(settings.base_uris))
        self._origins = {origin_of(origin) for origin in config.fetch.allowed_origins}
        self._allowance = FetchRateLimit(settings.unknown_per_min, settings.unknown_per_min_client)
        self._under_way: dict[str, asyncio.Task[Standing]] = {}
        self._clients: Counter[str] = Counter()  # How many fetches each client waits for.
        self._failed: OrderedDict[str, tuple[float, Outcome]] = OrderedDict()
        self._threads = ThreadPoolExecutor(THREADS, "schemas")
        self._trouble = Limited(logging.getLogger("fetcher"))

    async def ask(self, uri: str, client: str) -> Standing:
        """Fetch the schema ``/title/1.0.0`` unless it is on disk. ``client`` is charged when it does not exist."""
        path = self._directory / f"{uri[1:]}.json"
        if path.exists():
            return HERE
        until, outcome = self._failed.get(uri, (0.0, "refused"))
        left_s = until - time.monotonic()
        if left_s > 0:
            return Standing(outcome, left_s)
        task = self._under_way.get(uri)
        if task is None:
            spent = self._allowance.used_up(client, time.monotonic())
            if spent is None and len(self._under_way) >= UNDER_WAY_MAX:
                spent = "waiting requests"
            if spent is None and self._clients[client] >= UNDER_WAY_CLIENT_MAX:
                spent = "waiting requests of this client"
            if spent is not None:
                self._trouble.warning("allowance", "schema %s is not fetched: the limit of %s is reached", uri, spent)
                return REFUSED
            self._clients[client] += 1
            task = self._under_way[uri] = asyncio.get_running_loop().create_task(self._fetch(uri, path, client))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Cancel all fetches under way."""
        for task in self._under_way.values():
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _fetch(self, uri: str, path: Path, client: str) -> Standing:
        loop = asyncio.get_running_loop()
        deadline = time.monotonic() + FETCH_S

        def fetch(url: str) -> bytes:
            wait_s = deadline - time.monotonic()
            return asyncio.run_coroutine_threadsafe(self._get(url), loop).result(max(0.001, wait_s))

        try:
            text = await loop.run_in_executor(self._threads, materialised, uri, self._settings, self._base_dir, fetch)
            await loop.run_in_executor(self._threads, write_whole, path, text)
        except (SchemaLost, OSError) as error:
            return self._note_failure(uri, client, error)
        finally:
            del self._under_way[uri]
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]
        return HERE

    def _note_failure(self, uri: str, client: str, error: SchemaLost | OSError) -> Standing:
        is_unknown = isinstance(error, SchemaLost) and error.error_type in ("unknown_schema", "bad_schema_uri")
        if is_unknown:
            self._allowance.spend(client)
        else:
            self._trouble.warning("schema", "schema %s cannot be fetched: %s", uri, error)
        outcome: Outcome = "unknown_schema" if is_unknown else "schema_unavailable"
        for_s = self._settings.unknown_s if is_unknown else FAILED_S
        self._failed[uri] = (time.monotonic() + for_s, outcome)
        if len(self._failed) > KNOWN_MAX:
            self._failed.popitem(last=False)
        return Standing(outcome, for_s)

    async def _get(self, url: str) -> bytes:
        """Fetch for validators.Registry: raises FileNotFoundError when there is nothing, else OSError."""
        if not url.startswith(self._bases) and origin_of(url) not in self._origins:
            raise OSError(f"{url} is neither below schemas.base_uris nor in fetch.allowed_origins")
        try:
            answer = await self._client.get_patiently(url, self._settings.headers, self._max_bytes)
        except AbsentError as error:
            raise FileNotFoundError(str(error)) from None
        except FetchError as error:
            raise OSError(str(error)) from None
        return answer.body or b""
