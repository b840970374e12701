"""Follow new streams and ask for schemas at URLs, in a worker.

Place: worker → HERE → catalog.snapshot_follower, fetch.schema_fetcher.
Rules: it is made before the loop runs and begins on the loop. If no schema is at a URL, nothing is asked for and no
request waits.
Not here: fetching (fetch.process), the effects of a new snapshot (worker).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from server.catalog.publication import head_of
from server.catalog.snapshot_follower import SnapshotFollower
from server.fetch.schema_fetcher import SchemaFetcher
from server.schemas.repository import Unfetched

if TYPE_CHECKING:
    from server.catalog.snapshot import Snapshot
    from server.config.settings import Config
    from server.fetch.link import Link
    from server.schemas.repository import SchemaRepository


_logger = logging.getLogger("streams")


class Materials(Protocol):
    """The part of boot.generation.Generation that is used here."""

    config: Config
    schemas: SchemaRepository
    snapshot: Snapshot
    link: Link


class Fetched:
    """``fetcher`` None: no schema is at a URL. ``use`` is called with each new snapshot."""

    def __init__(self, materials: Materials, use: Callable[[Snapshot], None]) -> None:
        config, link, remote = materials.config, materials.link, materials.schemas.remote
        self._config = config
        self._schemas = materials.schemas
        self._link = link
        self._use = use
        self._snapshot = materials.snapshot
        self._used_s = time.time()
        self._following: SnapshotFollower | None = None
        self.fetcher: SchemaFetcher | None = None
        if not materials.snapshot.is_open:
            self._following = SnapshotFollower(
                link.publication, materials.snapshot, config.sink.topic_prefix, self._swap
            )
        if remote is not None:
            self.fetcher = SchemaFetcher(remote, link.address, config.schemas.wait_s)

    def begin(self) -> None:
        """Begin, on the loop, before the first request."""
        if self._following is not None:
            self._following.catch_up()
        if self.fetcher is not None:
            intake = self._config.intake
            for uri in (intake.error_schema_uri, *([intake.alarm_schema_uri] if intake.alarm_stream else [])):
                found = self._schemas.find(uri)
                if isinstance(found, Unfetched):  # No request would wait for this one.
                    self.fetcher.ask(found.uri)

    def look(self) -> None:
        """Look for a new snapshot. This is called on every beat."""
        if self._following is not None:
            self._following.look(asyncio.get_running_loop().call_later)

    def close(self) -> None:
        """Stop: let all waiting requests continue."""
        if self.fetcher is not None:
            self.fetcher.close()

    def mark(self) -> tuple[int, int]:
        """Return the digest of the snapshot in use, and since when it is used, for the scoreboard."""
        return head_of(self._snapshot.digest), int(self._used_s * 1000)

    def info(self) -> dict[str, Any]:
        """Return which snapshot this worker serves with, and how fresh the streams are."""
        info: dict[str, Any] = {"digest": self._snapshot.digest, "age_s": round(time.time() - self._used_s, 1)}
        if self._link.urls:
            info["urls"] = [
                {"good_age_s": round(one.good_age_s, 1), "failing_s": round(one.failing_s, 1)}
                for one in self._link.health.all()
            ]
        return info

    def _swap(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._used_s = time.time()
        self._use(snapshot)
        _logger.info("streams are now those of snapshot %s", snapshot.digest[:12])
