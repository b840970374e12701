"""The processor as a command: run it, run its example, run its oracle.

Place: server.commands.processing.process → HERE → embedded.run, oracle.
Rule: settings are read and checked before anything is opened.
Not here: the options (server.commands.processing.process).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from processors.page_change.catalog import open_catalog
from processors.page_change.format import Names
from processors.page_change.settings import load
from processors.wrong import located
from server import log
from server.errors import EXIT_DONE, EXIT_FOUND, UsageError

if TYPE_CHECKING:
    from processors.page_change.oracle.inputs import Arrival
    from processors.page_change.records import Output

EXAMPLE = Path(__file__).parent / "example"


class Where(Struct, frozen=True):
    """Where the example and the oracle run: the runner, and brokers between whose topics it works (None: between
    databases); ``jars`` are those of Flink's connector."""

    runner: str
    servers: str | None
    jars: list[str]


def run(config: Path, runner: str, *, once: bool) -> int:
    """Run until told to stop, or with ``once`` to the end of the inputs."""
    with located(config):
        return _run(config, runner, once=once)


def _run(config: Path, runner: str, *, once: bool) -> int:
    settings, base_dir = load(config)
    catalog = open_catalog(settings, base_dir)
    log.set_up(catalog.generation.config.log.level, catalog.generation.config.log.style)
    if runner == "flink":
        from processors.page_change.flink.job import run as run_job

        run_job(config.absolute(), settings, catalog, once=once)
        return EXIT_DONE
    from processors.page_change.embedded.run import Runner
    from processors.page_change.embedded.stop import GivenUpError, Stop

    stop = Stop(settings.drain_s)
    stop.listen()
    try:
        running = Runner(settings, base_dir, catalog, stop)
    except GivenUpError:
        return EXIT_DONE  # Nothing was read yet.
    try:
        running.run(once=once)
    finally:
        running.close()
    return EXIT_DONE


def forget(config: Path, wiki: str) -> int:
    """Forget every page of a wiki whose numbers have begun again. The processor must not run."""
    from processors.page_change.embedded.store import Store

    settings, base_dir = load(config)
    with located(config):
        store = Store(base_dir / settings.path)
    try:
        forgotten = store.forget_wiki(wiki)
    finally:
        store.close()
    print(msgspec.json.encode({"wiki": wiki, "forgotten": forgotten}).decode())
    return EXIT_DONE


def oracle(seed: int, pages: int, where: Where) -> int:
    """Print the findings of one seed as a JSON object. Returns 1 if a promise was broken."""
    from processors.page_change.oracle.run import history_of, verdict_on

    with tempfile.TemporaryDirectory(prefix="penstock-page-change-") as name:
        wiki, inputs = history_of(seed, pages)
        report = verdict_on(wiki, inputs, _consolidated(Path(name), inputs.centres, where))
    print(msgspec.json.encode(report).decode())
    return EXIT_DONE if report.is_good else EXIT_FOUND


def example(where: Where) -> int:
    """Consolidate the example data, and print each event of the output as a line."""
    from processors.page_change.oracle.run import records_of

    arrivals = records_of((EXAMPLE / "events.ndjson").read_bytes().splitlines())
    with tempfile.TemporaryDirectory(prefix="penstock-page-change-") as name:
        for output in _consolidated(Path(name), {"eqiad": arrivals}, where):
            if output.stream == Names().output:
                sys.stdout.write(output.value.decode() + "\n")
    return EXIT_DONE


def _consolidated(directory: Path, centres: Mapping[str, Sequence[Arrival]], where: Where) -> list[Output]:
    if where.servers is not None:
        from processors.page_change.oracle import kafka

        return kafka.consolidated(directory, centres, where.runner, where.servers, where.jars)
    if where.runner == "flink":
        raise UsageError("the Flink runner reads and writes Kafka: name its brokers by --kafka")
    from processors.page_change.oracle.run import consolidated

    return consolidated(directory, centres)
