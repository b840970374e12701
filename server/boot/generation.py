"""Read the settings and everything that they name into a generation, with which workers are forked.

Place: commands.serve, commands.validate → HERE → master.generation (its Protocol), worker.
Rules: everything is read, checked and compiled before the first fork, so that workers share it; bad settings end here
with every finding in the message. Reading may take ``READ_S``: schemas beyond that are compiled for their first event.
Not here: the checks (boot.examine), what a worker does with a generation (worker).
"""

from __future__ import annotations

import gc
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from server.boot.examine import examine, usable
from server.catalog.snapshot import Snapshot, publishable
from server.config.load import Loaded, load
from server.config.settings import Config
from server.config.urls import urls_of
from server.console.copying.channel import Channel
from server.console.copying.chaos import SharedRules
from server.fetch.link import Link
from server.host.memory import give_back
from server.log import set_up
from server.master.generation import Role
from server.privacy.check import hash_keys
from server.schemas.repository import SchemaRepository, fingerprint
from server.sink.kind import kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.auth.credentials import Credentials
    from server.boot.declarations import Occasion
    from server.catalog.sources import Source
    from server.master.generation import WorkerContext
    from server.metrics.table import MetricTable

# The share of a start or a reload; the rest of its 5 s is for work that cannot wait. 2,000 schemas of 25 properties
# take 2 s when schemas.prepared_path has them, else 6 s; 10,000 streams take 1.2 s.
READ_S = 3.0

log = logging.getLogger("settings")


class Generation:
    """Settings, streams and compiled schemas. Relative paths of data are relative to ``data_dir``."""

    def __init__(
        self,
        loaded: Loaded,
        sources: Sequence[Source],
        snapshot: Snapshot,
        schemas: SchemaRepository,
        files_state: tuple[str, str],
        credentials: Credentials,
    ) -> None:
        config = self.settings_of(loaded.config)
        self.config: Config = config
        self.data_dir: Path = loaded.base_dir
        self.snapshot = snapshot
        self.schemas = schemas
        self.files_state = files_state
        self.credentials = credentials
        self.hash_keys = hash_keys(loaded)
        self.link = Link(config, loaded.base_dir, sources, snapshot.digest)
        self.channel: Channel | None = None
        self.companions: list[Role] = []
        if urls_of((*config.streams.sources, *config.schemas.base_uris, config.auth.jwt.keys or "")):
            self.companions.append(Role("fetcher", self._run_fetcher))
        self.companions.append(Role("admin", self._run_admin, (config.admin.listen,)))
        if config.canary.enabled:
            self.companions.append(Role("canary", self._run_canaries))
        if config.plausibility.enabled and config.plausibility.samples.enabled:
            self.companions.append(Role("samples", self._run_samples))

    def open(self, rules: SharedRules | None = None) -> None:
        """Make what is shared by the processes that will be forked: the way of copies to the console. ``rules`` of
        test sessions are those of the generation before."""
        if self.config.console.enabled:
            self.channel = Channel(rules)

    @staticmethod
    def settings_of(config: Config) -> Config:
        """Return the settings that master and children see. Another program on the same file has addresses and workers
        of its own."""
        return config

    def metric_table(self) -> MetricTable:
        """Return the metrics of this program. It is asked for in the admin process alone."""
        from server.metrics.table import INTAKE

        return INTAKE

    def run_worker(self, context: WorkerContext) -> int:
        """Be a worker, in the child. Its log is set up here, because the master logs by the settings of the generation
        that serves."""
        from server.worker import process as worker

        set_up(self.config.log.level, self.config.log.style)
        self.link.leave_door()
        return worker.run(self, context)

    def adopt(self, newer: object) -> bool:
        """Publish new streams to the running workers when nothing else has changed; no connection is closed.

        New schema titles need new workers, which share the compiled schemas. So does a change of any other setting, or
        of a file that settings name. Where streams are at URLs too, the fetcher publishes, and it has read the old
        files; then new workers are needed as well.
        """
        if not isinstance(newer, Generation) or newer.snapshot.digest == self.snapshot.digest:
            return False
        is_only_streams = (
            newer.config == self.config
            and newer.data_dir == self.data_dir
            and newer.files_state == self.files_state
            and newer.credentials.as_in_settings() == self.credentials.as_in_settings()
        )
        if not is_only_streams or self.link.urls or newer.snapshot.is_open or _titles(newer) - _titles(self):
            return False
        digest, text = publishable(newer.link.sources, self.config.streams.wiki)
        self.link.publication.publish(text, digest)
        self.link.sources, self.snapshot = newer.link.sources, newer.snapshot
        return True

    def close(self) -> None:
        """Release the master's parts, when no more children will be forked with this generation."""
        self.link.close()
        if self.channel is not None:
            self.channel.close()

    def _run_admin(self, context: WorkerContext) -> int:
        from server.admin import process  # The admin process serves HTTP with aiohttp, which no worker needs.

        set_up(self.config.log.level, self.config.log.style)
        self.link.leave_door()
        return process.run(self, context)

    def _run_canaries(self, context: WorkerContext) -> int:
        from server.canary import process  # It loads the clients of HTTP and of the brokers.

        set_up(self.config.log.level, self.config.log.style)
        self.link.leave_door()
        return process.run(self, context)

    def _run_samples(self, context: WorkerContext) -> int:
        from server.plausibility.sampling import process  # It loads the client of the brokers.

        set_up(self.config.log.level, self.config.log.style)
        self.link.leave_door()
        return process.run(self, context)

    def _run_fetcher(self, context: WorkerContext) -> int:
        from server.fetch import process  # The HTTP client takes 15 MB, which no other process needs.

        set_up(self.config.log.level, self.config.log.style)
        return process.run(self, context)


def _titles(generation: Generation) -> set[str | None]:
    return {stream.schema_title for stream in generation.snapshot.streams()}


class Readings:
    """Reads the settings repeatedly, and reuses unchanged parts of the previous reading, so that both share memory."""

    def __init__(self, config_path: Path | None, overrides: list[str], make: type[Generation] = Generation) -> None:
        """``make`` is the kind of generation, which differs between the programs that read one file."""
        self._config_path = config_path
        self._overrides = overrides
        self._make = make
        self._schemas: SchemaRepository | None = None
        self._rules: SharedRules | None = None  # Test sessions outlive a reload.

    def read(self) -> Generation:
        """Read the next generation. Raises SettingsError."""
        occasion: Occasion = "start" if self._schemas is None else "reload"
        made = read(self._config_path, self._overrides, self._schemas, occasion, self._make)
        self._schemas = made.schemas
        if self._rules is None and made.config.console.enabled:
            self._rules = SharedRules()
        made.open(self._rules)
        return made


def read(
    config_path: Path | None,
    overrides: list[str],
    before: SchemaRepository | None = None,
    occasion: Occasion = "check",
    make: type[Generation] = Generation,
) -> Generation:
    """Read everything. Raises SettingsError with all errors; warnings are logged."""
    gc.disable()  # The objects that are made here stay, and collecting them in vain would take a tenth of the time.
    try:
        loaded = load(config_path, overrides, os.environ)
        if occasion == "start":
            set_up(loaded.config.log.level, loaded.config.log.style)  # What is found now is logged as all that follows.
        state = _files_state(loaded)
        examined = examine(loaded, READ_S, before, occasion)
    finally:
        gc.enable()
    give_back()  # 8 MB after 10,000 streams, which every worker would hold for its life.
    snapshot, schemas = usable(examined)
    for finding in examined.findings:
        log.warning("%s", finding)
    if examined.unread:
        log.warning(
            "%d schemas will be read at their first event: penstock check reads all of them ahead", examined.unread
        )
    return make(loaded, examined.sources, snapshot, schemas, state, examined.credentials)


def _files_state(loaded: Loaded) -> tuple[str, str]:
    """Changes when schemas do, or files that the sink's settings name: workers that run have read the old ones."""
    sink = loaded.config.sink
    return fingerprint(loaded.config.schemas, loaded.base_dir), kind_of(sink).files_state(sink)
