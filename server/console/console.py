"""The console of one generation: joins channel, ring, sessions and explanations in the admin process.

Place: admin.process → HERE → console.routes.
Rule: everything runs on the loop of the admin process, which has a lower priority than the workers.
Not here: HTTP (console.routes).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from server.console.access import Access, read_token
from server.console.arrivals import Arrivals
from server.console.checks.coverage import Coverage
from server.console.checks.sessions import Sessions
from server.console.checks.strict import warnings
from server.console.copying.channel import Channel, CopyReader
from server.console.explain import Explainer
from server.console.micro import Micro
from server.console.rates import Rates
from server.console.ring import Ring
from server.console.rows import Row

if TYPE_CHECKING:
    from server.catalog.snapshot import Snapshot
    from server.config.settings import Config
    from server.schemas.repository import SchemaRepository

SHARE_OF_SESSION: Final = 4  # One test session may fill this part of what the console remembers.


class Console:
    """Everything that the routes show. ``workers`` returns the number of living workers; ``notices`` are messages of
    the program that watches schemas and streams (``penstock dev``)."""

    def __init__(
        self,
        config: Config,
        base_dir: Path,
        channel: Channel,
        schemas: SchemaRepository,
        snapshot: Snapshot,
        workers: Callable[[], int],
    ) -> None:
        self.settings = config.console
        self.service = config.service_name or "penstock"
        self.ring = Ring(config.console.max_events, config.console.max_bytes)
        self.sessions = Sessions(channel.rules, config.console.max_bytes // SHARE_OF_SESSION)
        self.arrivals = Arrivals(self.ring, self._admit)
        self.micro = Micro(self.ring)
        self.rates = Rates()
        self.coverage = Coverage(self.schema_of)
        self.access = Access(read_token(config.console.token_file, base_dir))
        self.explainer = Explainer(schemas, snapshot)
        self.schemas = schemas
        self.snapshot = snapshot
        self.workers = workers
        self.viewers = 0  # Streams that are open.
        self.note_reader = channel.note_reader  # Called for everything that reads; it lets workers copy more.
        self.notices: list[dict[str, Any]] = []
        self._reader = CopyReader(channel, self.arrivals.take)
        self.ring.on_row += [self.rates.add, self.coverage.add]

    @property
    def is_development(self) -> bool:
        """Whether the page may send events and order chaos."""
        return self.settings.mode == "development"

    def state(self) -> dict[str, Any]:
        """Return what changes and is no row. Viewers ask for it every second."""
        self.note_reader()
        return {"workers": self.workers(), "viewers": self.viewers, "notices": self.notices}

    def schema_of(self, uri: str) -> Any:
        """Return a schema that this process knows; None if it does not."""
        found = self.schemas.find_here(uri) if uri else ("", "")
        return None if isinstance(found, tuple) else found.schema

    def _admit(self, row: Row) -> bool:
        """Return whether a row is shown, with its warnings."""
        if not self.sessions.admit(row):
            return False
        if row.event is not None and self.sessions.is_strict(row.copy.test):
            row.warn(warnings(row.decoded(), self.schema_of(row.summary.get("schema", ""))))
        return True

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to take copies."""
        self._reader.start(loop)

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take no more copies."""
        self._reader.close(loop)

    def use(self, snapshot: Snapshot) -> None:
        """Use these streams from now on."""
        self.snapshot = snapshot
        self.explainer.use(snapshot)
