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

from server.catalog.snapshot import Snapshot, publishable
from server.commands.check import examine, usable
from server.config.load import Loaded, load
from server.config.settings import Config
from server.config.urls import urls_of
from server.fetch.link import Link
from server.log import set_up
from server.master.generation import Role
from server.schemas import Schemas, fingerprint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.catalog.sources import Source
    from server.commands.declarations import Occasion
    from server.master.generation import WorkerContext

log = logging.getLogger("settings")


class Generation:
    """Settings, streams and compiled schemas. ``data_dir`` is what relative paths of data are relative to."""

    def __init__(
        self, loaded: Loaded, sources: Sequence[Source], snapshot: Snapshot, schemas: Schemas, schemas_state: str
    ) -> None:
        config = loaded.config
        self.config: Config = config
        self.data_dir: Path = loaded.base_dir
        self.snapshot = snapshot
        self.schemas = schemas
        self.schemas_state = schemas_state
        self.link = Link(config, loaded.base_dir, sources, snapshot.digest)
        self.companions: list[Role] = []
        if urls_of((*config.streams.sources, *config.schemas.base_uris)):
            self.companions.append(Role("fetcher", self._run_fetcher))

    def run_worker(self, context: WorkerContext) -> int:
        """Be a worker, in the child. Its log is set up here: the master's is that of the generation which serves."""
        from server import worker

        set_up(self.config.log.level, self.config.log.style)
        self.link.leave_door()
        return worker.run(self, context)

    def adopt(self, newer: object) -> bool:
        """Hand new streams to the workers that run, when nothing else has changed. No connection notices.

        New schema titles need new workers, which share the compiled schemas; so does every other setting. Where streams
        are at URLs too it is the fetcher who publishes, and it has read the old files.
        """
        if not isinstance(newer, Generation) or newer.snapshot.digest == self.snapshot.digest:
            return False
        is_only_streams = (
            newer.config == self.config and newer.data_dir == self.data_dir and newer.schemas is self.schemas
        )
        if not is_only_streams or self.link.urls or newer.snapshot.is_open or _titles(newer) - _titles(self):
            return False
        digest, text = publishable(newer.link.sources, self.config.streams.wiki)
        self.link.publication.publish(text, digest)
        self.link.sources, self.snapshot = newer.link.sources, newer.snapshot
        return True

    def close(self) -> None:
        """In the master: nobody else will be forked from here."""
        self.link.close()

    def _run_fetcher(self, context: WorkerContext) -> int:
        from server.fetch import process  # The HTTP client takes 15 MB, which no other process needs.

        set_up(self.config.log.level, self.config.log.style)
        return process.run(self, context)


def _titles(generation: Generation) -> set[str | None]:
    return {stream.schema_title for stream in generation.snapshot.streams()}


def read(
    config_path: Path | None,
    overrides: list[str],
    occasion: Occasion = "check",
    before: Generation | None = None,
) -> Generation:
    """Read everything. Raises SettingsError with all that is wrong; warnings are logged.

    Schemas that ``before`` has compiled, from the same directories as they are now, are not compiled again.
    """
    loaded = load(config_path, overrides, os.environ)
    state = fingerprint(loaded.config.schemas, loaded.base_dir)
    known = before.schemas if before is not None and _has_schemas_of(before, loaded, state) else None
    examined = examine(loaded, occasion, known)
    snapshot, schemas = usable(examined)
    for finding in examined.findings:
        log.warning("%s", finding)
    return Generation(examined.loaded, examined.sources, snapshot, schemas, state)


def _has_schemas_of(before: Generation, loaded: Loaded, state: str) -> bool:
    is_same_place = before.data_dir == loaded.base_dir and before.config.fetch.path == loaded.config.fetch.path
    return is_same_place and before.config.schemas == loaded.config.schemas and before.schemas_state == state
