"""One reading of the settings and of all that they name: what workers are forked with.

Place: commands.serve, commands.validate → HERE → master.generation (its Protocol), worker.
Rule: everything is read, checked and compiled before the first fork, so workers share it; bad settings end here with
every finding in the message.
Not here: what is looked at (commands.check), what a worker does with it (worker).
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from server.catalog.snapshot import Snapshot
from server.commands.check import examine, usable
from server.config.load import Loaded, load
from server.config.settings import Config
from server.config.urls import urls_of
from server.fetch.link import Link
from server.log import set_up
from server.master.generation import Role
from server.schemas import Schemas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.catalog.sources import Source
    from server.commands.declarations import Occasion
    from server.master.generation import WorkerContext

log = logging.getLogger("settings")


class Generation:
    """Settings, streams and compiled schemas. ``data_dir`` is what relative paths of data are relative to."""

    def __init__(self, loaded: Loaded, sources: Sequence[Source], snapshot: Snapshot, schemas: Schemas) -> None:
        config = loaded.config
        self.config: Config = config
        self.data_dir: Path = loaded.base_dir
        self.snapshot = snapshot
        self.schemas = schemas
        self.companions: list[Role] = []
        self.link: Link | None = None
        if urls_of((*config.streams.sources, *config.schemas.base_uris)):
            self.link = Link(config, loaded.base_dir, sources, snapshot.digest)
            self.companions.append(Role("fetcher", self._run_fetcher))

    def run_worker(self, context: WorkerContext) -> int:
        """Be a worker, in the child. Its log is set up here: the master's is that of the generation which serves."""
        from server import worker

        set_up(self.config.log.level, self.config.log.style)
        if self.link is not None:
            self.link.leave_door()
        return worker.run(self, context)

    def close(self) -> None:
        """In the master: nobody else will be forked from here."""
        if self.link is not None:
            self.link.close()

    def _run_fetcher(self, context: WorkerContext) -> int:
        from server.fetch import process  # The HTTP client takes 15 MB, which no other process needs.

        set_up(self.config.log.level, self.config.log.style)
        return process.run(self, context)


def read(config_path: Path | None, overrides: list[str], occasion: Occasion = "check") -> Generation:
    """Read everything. Raises SettingsError with all that is wrong; warnings are logged."""
    examined = examine(load(config_path, overrides, os.environ), occasion)
    snapshot, schemas = usable(examined)
    for finding in examined.findings:
        log.warning("%s", finding)
    return Generation(examined.loaded, examined.sources, snapshot, schemas)
