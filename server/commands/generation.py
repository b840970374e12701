"""One reading of the settings and of all that they name: what workers are forked with.

Place: commands.serve, commands.validate → HERE → master.generation (its Protocol), worker.
Rules: everything is read, checked and compiled before the first fork, so workers share it; bad settings end here with
every finding in the message. All of it has ``READ_S``: schemas that are not reached are ready at their first event.
Not here: what is looked at (commands.check), what a worker does with it (worker).
"""

from __future__ import annotations

import ctypes
import gc
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
    from server.master.generation import WorkerContext

# Of a start or a reload; the rest of its 5 s is for what cannot wait. 2,000 schemas of 25 properties take 2 s when
# schemas.prepared_path knows them, 6 s when not; 10,000 streams 1.2 s.
READ_S = 3.0

log = logging.getLogger("settings")


class Generation:
    """Settings, streams and compiled schemas. ``data_dir`` is what relative paths of data are relative to."""

    def __init__(self, loaded: Loaded, snapshot: Snapshot, schemas: Schemas) -> None:
        self.config: Config = loaded.config
        self.data_dir: Path = loaded.base_dir
        self.snapshot = snapshot
        self.schemas = schemas

    def run_worker(self, context: WorkerContext) -> int:
        """Be a worker, in the child. Its log is set up here: the master's is that of the generation which serves."""
        from server import worker

        set_up(self.config.log.level, self.config.log.style)
        return worker.run(self, context)


class Readings:
    """Reads again and again; what has not changed is taken from the reading before, so that both share its memory."""

    def __init__(self, config_path: Path | None, overrides: list[str]) -> None:
        self._config_path = config_path
        self._overrides = overrides
        self._schemas: Schemas | None = None

    def read(self) -> Generation:
        """The next reading. Raises SettingsError."""
        made = read(self._config_path, self._overrides, self._schemas)
        self._schemas = made.schemas
        return made


def read(config_path: Path | None, overrides: list[str], before: Schemas | None = None) -> Generation:
    """Read everything. Raises SettingsError with all that is wrong; warnings are logged."""
    gc.disable()  # What is made here stays: looking through all of it again and again takes a tenth of the time.
    try:
        examined = examine(load(config_path, overrides, os.environ), READ_S, before)
    finally:
        gc.enable()
    _give_back()
    snapshot, schemas = usable(examined)
    for finding in examined.findings:
        log.warning("%s", finding)
    if examined.unread:
        log.warning("%d schemas are left for their first event: penstock check reads them all", examined.unread)
    return Generation(examined.loaded, snapshot, schemas)


def _give_back() -> None:
    """Hand back to the kernel what reading took and no longer needs: every worker would have it for its life.

    8 MB after 10,000 streams. Another C library than glibc may not know how.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
