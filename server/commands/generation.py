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
from server.log import set_up
from server.schemas import Schemas

if TYPE_CHECKING:
    from server.master.generation import Role, WorkerContext

log = logging.getLogger("settings")


class Generation:
    """Settings, streams and compiled schemas. ``data_dir`` is what relative paths of data are relative to."""

    def __init__(self, loaded: Loaded, snapshot: Snapshot, schemas: Schemas) -> None:
        self.config: Config = loaded.config
        self.data_dir: Path = loaded.base_dir
        self.snapshot = snapshot
        self.schemas = schemas
        self.companions: list[Role] = []

    def run_worker(self, context: WorkerContext) -> int:
        """Be a worker, in the child. Its log is set up here: the master's is that of the generation which serves."""
        from server import worker

        set_up(self.config.log.level, self.config.log.style)
        return worker.run(self, context)

    def close(self) -> None:
        """Nothing is held yet for children."""


def read(config_path: Path | None, overrides: list[str]) -> Generation:
    """Read everything. Raises SettingsError with all that is wrong; warnings are logged."""
    examined = examine(load(config_path, overrides, os.environ))
    snapshot, schemas = usable(examined)
    for finding in examined.findings:
        log.warning("%s", finding)
    return Generation(examined.loaded, snapshot, schemas)
