"""The service without durability: it has no receipts and no spool, and may lose accepted events.

Place: `python -m bench.peers.undurable serve -c FILE`, started by durability.
Rule: it is the service, started as it always is, whose workers are given other parts (bench.without).
Not here: measuring. Do not serve with this.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.without import CONCERNS
from server.boot.generation import Generation, Readings
from server.log import set_up
from server.master import signals
from server.master.generation import Role, WorkerContext
from server.master.loop import Master
from server.worker import process


class Undurable:
    """A generation (server.master.generation) whose workers lack durability."""

    def __init__(self, made: Generation) -> None:
        self._made = made
        self.config = made.config

    @property
    def companions(self) -> Sequence[Role]:
        """Those of the service."""
        return self._made.companions

    def run_worker(self, context: WorkerContext) -> int:
        """Be a worker, in the child."""
        set_up(self.config.log.level, self.config.log.style)
        self._made.link.leave_door()
        return process.run(self._made, context, CONCERNS["durability"])

    def adopt(self, newer: object) -> bool:
        """Take over what the service would."""
        return self._made.adopt(newer._made if isinstance(newer, Undurable) else newer)

    def close(self) -> None:
        """Release what the master holds."""
        self._made.close()


def main(arguments: Sequence[str]) -> int:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers.undurable", description=__doc__.partition("\n")[0])
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("-c", "--config", type=Path, required=True)
    options = parser.parse_args(arguments)
    signals.hold()
    readings = Readings(options.config, [])
    return Master(lambda: Undurable(readings.read()), on_ready=lambda *_: None).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
