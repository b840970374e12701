"""One reading of the settings for EventStreams: the intake's, with this program's addresses and workers.

Place: commands.eventstreams → HERE → master, worker.
Rules: everything is read and checked as for the intake (server.boot), so that a file that serves one serves the other.
Settings of the same name in both, such as addresses, are this program's own.
Not here: what a worker does (worker).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from eventstreams.filters import compile_filter
from eventstreams.sources.make import check
from eventstreams.streams import public_streams
from eventstreams.web.admission import AdmissionMemory
from server.boot.generation import Generation
from server.config.canary_settings import CanarySettings
from server.config.console_settings import ConsoleSettings
from server.config.plausibility_settings import PlausibilitySettings
from server.config.settings import AdminSettings, Config, Http
from server.log import set_up
from server.master.loop import ROWS

if TYPE_CHECKING:
    from server.master.generation import WorkerContext
    from server.metrics.table import MetricTable

_memory: list[AdmissionMemory] = []  # One for the master: streams are counted over all of its generations.


class StreamsGeneration(Generation):
    """A generation whose workers serve streams."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        if not _memory:
            _memory.append(AdmissionMemory(ROWS))
        self.admission = _memory[0]
        check(self.config)
        self.public = public_streams(self.snapshot, self.config.intake.stream_field, compile_filter)

    @staticmethod
    def settings_of(config: Config) -> Config:
        """Return the settings with the addresses, workers and drain of EventStreams."""
        own = config.eventstreams
        http: Http = msgspec.structs.replace(config.http, listen=own.listen, cors=own.cors)
        admin: AdminSettings = msgspec.structs.replace(config.admin, listen=own.admin_listen)
        console: ConsoleSettings = msgspec.structs.replace(config.console, enabled=False)  # It is the intake's.
        canary: CanarySettings = msgspec.structs.replace(config.canary, enabled=False)  # The same.
        plausibility: PlausibilitySettings = msgspec.structs.replace(config.plausibility, enabled=False)
        changed: Config = msgspec.structs.replace(
            config,
            http=http,
            admin=admin,
            console=console,
            canary=canary,
            plausibility=plausibility,
            workers=own.workers,
            drain_s=own.drain_s,
        )
        return changed

    def metric_table(self) -> MetricTable:
        """Return the metrics of this program."""
        from eventstreams.metrics import TABLE

        return TABLE

    def run_worker(self, context: WorkerContext) -> int:
        """Be a worker, in the child."""
        from eventstreams import worker  # It loads the client of the brokers, which the master must not have.

        set_up(self.config.log.level, self.config.log.style)
        self.link.leave_door()
        return worker.run(self, context)
