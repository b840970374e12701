"""Hold the sockets and shared memory that connect the fetcher and the workers of one generation.

Place: boot.generation → HERE, before the first fork → fetch.process (one end), worker (the other).
Rule: nothing here needs a file or a name that another program could take; all of it ends with the last process.
Not here: what is sent over it (catalog.publication, fetch.fetch_socket, fetch.health).
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from server.catalog.publication import Publication
from server.config.urls import urls_of
from server.fetch.fetch_socket import listening
from server.fetch.health import Health
from server.fetch.store import Answers

if TYPE_CHECKING:
    from server.catalog.sources import Source
    from server.config.settings import Config


class Link:
    """The shared parts. ``door`` None: no schema is at a URL. Relative paths are relative to ``base_dir``."""

    def __init__(self, config: Config, base_dir: Path, sources: Sequence[Source], digest: str) -> None:
        self.base_dir = base_dir
        self.cache_dir = base_dir / config.fetch.path
        self.sources = sources
        self.urls = urls_of(config.streams.sources)
        self.answers = Answers(self.cache_dir, config.streams.headers)
        found = [self.answers.good(url) for url in self.urls]
        self.health = Health(self.urls, [kept.fetched_at if kept else 0.0 for kept in found])
        self.publication = Publication(digest)
        self.door: socket.socket | None = listening() if urls_of(config.schemas.base_uris) else None
        self.address: bytes = self.door.getsockname() if self.door else b""

    def close(self) -> None:
        """Close everything: in the master, when no more children will be forked with it."""
        self.publication.close()
        self.leave_door()

    def leave_door(self) -> None:
        """Close the listening socket, in a worker, because only the fetcher listens."""
        if self.door is not None:
            self.door.close()
