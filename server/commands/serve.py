"""``penstock serve``: run the service.

Place: __main__ → HERE → master.loop → worker.
Rule: nothing is opened before the settings have been read and checked.
Not here: the life of processes (master), the parts of a worker (worker).
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from server import log
from server.commands.support.options import add_settings
from server.host import stdio
from server.master import signals
from server.master.loop import Master

if TYPE_CHECKING:
    from server.boot import generation
    from server.master.generation import Generation

WELCOME = """
Penstock serves its example schemas and streams on {address}; events go to {sink}.
Open {address}/ in a browser, or post a first event:

  curl -i {address}/v1/events -H 'content-type: application/json' \\
    -d '{{"$schema":"/web/page_view/1.1.0","meta":{{"stream":"web.page_view"}},"page":"/home"}}'

and see it arrive, from another terminal:

  {penstock} events --follow
"""
CONSOLE = """
The console shows every event, and why one was refused:

  http://{listen}/console/
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_settings(parser)
    parser.set_defaults(run=lambda options: run(options.config, options.set))


def run(config_path: Path | None, overrides: list[str]) -> int:
    """Serve until a signal ends it. Returns the exit code."""
    signals.hold()  # It comes first: an early TERM or HUP must reach the master, not kill a half-started process.
    stdio.never_wait(log.on_resumed)
    from server.boot import announce, generation  # The import takes 0.3 s, so it is not at the head of this file.

    readings = generation.Readings(config_path, overrides)
    first = readings.read()
    announce.announce(first, config_path, overrides)
    # It is loaded before the fork, so that all workers share its code and none of them spends 0.1 s on it.
    importlib.import_module("server.worker.process")
    ready_made = iter([first])
    welcome = _Welcome(first) if config_path is None else None

    def on_ready(ready: Generation, addresses: list[str]) -> None:
        log.set_up(ready.config.log.level, ready.config.log.style)
        if welcome is not None:
            welcome.say(addresses)

    return Master(lambda: next(ready_made, None) or readings.read(), on_ready=on_ready).run()


class _Welcome:
    """Prints once what to do next, for the embedded default, which newcomers start."""

    def __init__(self, first: generation.Generation) -> None:
        from server.sink.kind import kind_of

        self._sink = kind_of(first.config.sink).describe(first.config.sink, first.data_dir)
        self._console_on = first.config.admin.listen if first.config.console.enabled else ""
        self._is_said = False

    def say(self, addresses: list[str]) -> None:
        """Print the welcome, unless it was printed before."""
        if self._is_said:
            return
        self._is_said = True
        local = Path(".venv/bin/penstock")
        penstock = str(local) if local.exists() else "penstock"
        print(WELCOME.format(address=addresses[0], sink=self._sink, penstock=penstock), end="", flush=True)
        if self._console_on and not self._console_on.endswith(":0"):  # Else the log names the port.
            print(CONSOLE.format(listen=self._console_on), end="", flush=True)
