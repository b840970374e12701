"""``penstock eventstreams``: serve the streams that allow it to their consumers, as Server-Sent Events.

Place: __main__ → HERE → master.loop → eventstreams.worker.
Rule: as for ``penstock serve``; the file of the settings is the same one.
Not here: the life of processes (master), the parts of a worker (eventstreams).
"""

from __future__ import annotations

import argparse
import importlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from server import log
from server.commands.support.options import add_settings
from server.host import stdio
from server.master import signals
from server.master.loop import Master

if TYPE_CHECKING:
    from server.master.generation import Generation

_logger = logging.getLogger("settings")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_settings(parser)
    parser.set_defaults(run=lambda options: run(options.config, options.set))


def run(config_path: Path | None, overrides: list[str]) -> int:
    """Serve until a signal ends it. Returns the exit code."""
    signals.hold()  # It comes first: an early TERM or HUP must reach the master, not kill a half-started process.
    stdio.never_wait(log.on_resumed)
    from eventstreams.generation import StreamsGeneration
    from server.boot import generation

    readings = generation.Readings(config_path, overrides, StreamsGeneration)
    first = readings.read()
    assert isinstance(first, StreamsGeneration)
    public = first.public.streams
    _logger.info("%d of %d declared streams are public", len(public), len(first.snapshot.names()))
    if not public:
        _logger.warning("no stream is public: set consumers.eventstreams.enabled for those that consumers may read")
    importlib.import_module("eventstreams.worker")  # Before the fork, so that workers share its code.
    ready_made = iter([first])

    def on_ready(ready: Generation, _addresses: list[str]) -> None:
        log.set_up(ready.config.log.level, ready.config.log.style)

    return Master(lambda: next(ready_made, None) or readings.read(), on_ready=on_ready).run()
