"""The processor as a command: run it, run its example, run its oracle.

Place: server.commands.process → HERE → embedded.run, oracle.
Rule: settings are read and checked before anything is opened.
Not here: the options (server.commands.process).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import msgspec

from processors.page_change.catalog import open_catalog
from processors.page_change.settings import load
from server import log
from server.errors import EXIT_DONE, EXIT_FOUND

EXAMPLE = Path(__file__).parent / "example"


def run(config: Path, *, once: bool) -> int:
    """Run until told to stop, or with ``once`` to the end of the inputs."""
    settings, base_dir = load(config)
    catalog = open_catalog(settings, base_dir)
    log.set_up(catalog.generation.config.log.level, catalog.generation.config.log.style)
    from processors.page_change.embedded.run import Runner, Stop

    stop = Stop()
    stop.listen()
    running = Runner(settings, base_dir, catalog)
    try:
        running.run(once=once, stop=stop)
    finally:
        running.close()
    return EXIT_DONE


def oracle(seed: int, pages: int) -> int:
    """Print the findings of one seed as a JSON object. Returns 1 if a promise was broken."""
    from processors.page_change.oracle.run import judged

    with tempfile.TemporaryDirectory(prefix="penstock-page-change-") as name:
        report = judged(Path(name), seed, pages)
    print(msgspec.json.encode(report).decode())
    return EXIT_DONE if report.is_good else EXIT_FOUND


def example() -> int:
    """Consolidate the example data, and print each event of the output as a line."""
    from processors.page_change.oracle.run import consolidated, records_of

    arrivals = records_of((EXAMPLE / "events.ndjson").read_bytes().splitlines())
    with tempfile.TemporaryDirectory(prefix="penstock-page-change-") as name:
        for output in consolidated(Path(name), {"eqiad": arrivals}):
            sys.stdout.write(output.value.decode() + "\n")
    return EXIT_DONE
