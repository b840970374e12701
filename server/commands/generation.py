"""One reading of the settings and of all that they name: what workers are forked with.

Place: commands.serve, commands.validate → HERE → master.generation (its Protocol), worker.
Rule: everything is read, checked and compiled before the first fork, so workers share it; bad settings end here with
every finding in the message.
Not here: what is wrong with streams (catalog.check), what a worker does with it (worker).
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from server.catalog.check import check
from server.catalog.snapshot import Snapshot, build
from server.catalog.sources import read_files
from server.config.finding import errors_of, text_of
from server.config.load import Loaded, load
from server.config.settings import Config
from server.errors import SettingsError
from server.schemas import Schemas, open_schemas

if TYPE_CHECKING:
    from server.master.generation import WorkerContext

log = logging.getLogger("settings")


class Generation:
    """Settings, streams and compiled schemas. ``data_dir`` is what relative paths of data are relative to."""

    def __init__(self, loaded: Loaded, snapshot: Snapshot, schemas: Schemas) -> None:
        self.config: Config = loaded.config
        self.data_dir: Path = loaded.base_dir
        self.snapshot = snapshot
        self.schemas = schemas

    def run_worker(self, context: WorkerContext) -> int:
        """Be a worker, in the child."""
        from server import worker

        return worker.run(self, context)


def read(config_path: Path | None, overrides: list[str]) -> Generation:
    """Read everything. Raises SettingsError with all that is wrong; warnings are logged."""
    loaded = load(config_path, overrides, os.environ)
    config = loaded.config
    sources = read_files([loaded.path(source) for source in config.streams.sources])
    schemas = open_schemas(config.schemas, loaded.base_dir)
    findings = [*loaded.findings, *check(sources, config, schemas)]
    if wrong := errors_of(findings):
        raise SettingsError(text_of(wrong))
    for finding in findings:
        log.warning("%s", finding)
    snapshot = build(sources, topic_prefix=config.sink.topic_prefix, wiki=config.streams.wiki)
    titles = [stream.schema_title for stream in snapshot.streams() if stream.schema_title]
    for unusable in schemas.read_ahead(titles):
        log.warning("schema %s cannot be used: %s", unusable.uri, unusable.reason)
    return Generation(loaded, snapshot, schemas)
