"""``penstock soak``: check that every 2xx was true, by load, faults, and reading everything back.

Place: __main__ → HERE → soak.
Rules: a run has one seed; it starts the processes that it needs and leaves none running. The exit code is 1 if a
promise was broken; the report names the seed that repeats the run.
Not here: the parts (soak).
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import signal
import socket
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import msgspec

from server.commands.support.options import minutes
from server.errors import EXIT_DONE, EXIT_FOUND, UsageError
from server.shared.ledger import Numbers
from soak.books import Books
from soak.brokers import PARTITIONS, Brokers, Kafka, Mock
from soak.clients import TOPICS, SoakClient
from soak.faults import Fault, Faults
from soak.service import Kill, Service
from soak.strangers import Strangers
from soak.topic_reader import TopicReader
from soak.verdict import SoakVerdict, judge

CLIENTS = 16
PAUSE_S = 0.1
EMPTY_S = 120.0
PORTS = range(20_000, 32_000)
MAX_LINES = 30
LINES = ("do not add up", "Traceback", "books of stream", "SIGPIPE")

log = logging.getLogger("soak")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="seed of the random clients and faults; default 1"
    )
    parser.add_argument("--minutes", type=minutes, default=1.0, metavar="M", help="how long; default 1")
    parser.add_argument(
        "--kafka", type=Path, metavar="SCRIPT", help="start Apache Kafka by this instead of mock brokers"
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the outcome as JSON, and the log next to it")
    parser.add_argument("--clock", action="store_true", help="also let the service's clock jump; needs libfaketime")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    return run(options.seed, options.minutes, options.kafka, options.report, has_own_clock=options.clock)


def _end(number: int, _frame: object) -> None:
    """End as after an exception, so that nothing that was started is left behind."""
    raise SystemExit(128 + number)


def run(seed: int, minutes: float, kafka: Path | None, report: Path | None, *, has_own_clock: bool) -> int:
    """Do one run. Returns the exit code."""
    signal.signal(signal.SIGTERM, _end)
    with tempfile.TemporaryDirectory(prefix="penstock-soak-") as name:
        directory = Path(name)
        brokers: Brokers = Kafka(kafka, directory) if kafka is not None else Mock()
        service: Service | None = None
        try:
            brokers.create(TOPICS)
            service = Service(
                directory, brokers.servers, _free_port(), brokers.most_in_flight, has_own_clock=has_own_clock
            )
            outcome = _outcome(_Run(seed, minutes, brokers, service))
            _write(outcome, sys.stdout)
            if report is not None:
                report.parent.mkdir(parents=True, exist_ok=True)
                report.write_bytes(msgspec.json.format(msgspec.json.encode(outcome), indent=1) + b"\n")
                report.with_suffix(".log").write_text(service.log())
        finally:
            if service is not None:
                service.close()
            brokers.stop()
    return EXIT_FOUND if outcome.verdict.violations else EXIT_DONE


def _outcome(run: _Run) -> Outcome:
    """Return the outcome of a run. Raises the exception that ended it: PenstockError if the service did not start."""
    try:
        return asyncio.run(run.run())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


class Outcome(msgspec.Struct):
    """The content of the report."""

    seed: int
    minutes: float
    brokers: str
    left_out: list[str]
    faults: list[Fault]
    kills: list[Kill]
    books: Numbers
    verdict: SoakVerdict
    errors: list[str]


class _Run:
    """A run with one seed."""

    def __init__(self, seed: int, minutes: float, brokers: Brokers, service: Service) -> None:
        self._seed = seed
        self._minutes = minutes
        self._brokers = brokers
        self._service = service
        self._clients = [
            SoakClient(index, seed, lambda: service.address, service.holder, PAUSE_S) for index in range(CLIENTS)
        ]
        self._strangers = Strangers(seed, lambda: service.address)
        self._faults = Faults(seed, service, brokers, self._strangers)

    async def run(self) -> Outcome:
        reader = TopicReader(self._brokers.servers, TOPICS, PARTITIONS)
        reader.start()
        await self._service.start()
        async with asyncio.TaskGroup() as clients:
            for client in self._clients:
                clients.create_task(client.run())
            await self._faults.run(time.time() + self._minutes * 60)
            await asyncio.sleep(2)
            for client in self._clients:
                client.is_stopping = True
        is_empty = await self._until_empty()
        await self._service.stop()
        await asyncio.to_thread(reader.finish)
        sent = [one for client in self._clients for one in client.sent] + self._strangers.sent
        books = Books(self._service.books(), self._service.kills)
        is_idempotent = self._brokers.is_idempotent
        verdict = judge(sent, reader.found, self._faults.done, books, reader.gaps, is_idempotent=is_idempotent)
        verdict.violations += self._service.unclean + self._faults.late
        if not is_empty:
            verdict.violations.append(f"{self._service.waiting()} events still wait in the spool after {EMPTY_S:g} s")
        said = self._service.log()
        errors = [line for line in said.splitlines() if " ERROR " in line]
        verdict.violations += [f"the log says {line!r}" for line in LINES if line in said]
        return Outcome(
            self._seed,
            self._minutes,
            type(self._brokers).__name__,
            self._left_out(),
            self._faults.done,
            self._service.kills,
            books.summary(),
            verdict,
            errors,
        )

    async def _until_empty(self) -> bool:
        deadline = time.monotonic() + EMPTY_S
        while self._service.waiting():
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.2)
        return True

    def _left_out(self) -> list[str]:
        left_out = [
            f"brokers: {kind}"
            for kind in ("hang", "sicken", "down", "slow", "refuse", "shrink")
            if kind not in self._brokers.can
        ]
        if not self._service.can_fill_disk:
            left_out.append("a full disk: this user may not mount a tmpfs")
        if not self._service.can_jump:
            left_out.append("jumps of the clock: not without --clock")
        return left_out


def _write(outcome: Outcome, out: TextIO) -> None:
    verdict = outcome.verdict
    print(f"soak: seed {outcome.seed}, {outcome.minutes:g} minutes, brokers: {outcome.brokers}", file=out)
    for fault in outcome.faults:
        clock = time.strftime("%H:%M:%S", time.localtime(fault.at))
        print(f"  {clock} {fault.name}{f' ({fault.detail})' if fault.detail else ''}", file=out)
    for line in outcome.errors[:MAX_LINES]:
        print(f"  {line}", file=out)
    print(f"left out: {'; '.join(outcome.left_out) or 'nothing'}", file=out)
    print(f"sent {verdict.sent}; " + ", ".join(f"{n} {answer}" for answer, n in verdict.answered.items()), file=out)
    print(
        f"of those accepted: {verdict.once} delivered once, {verdict.twice} twice or more, {verdict.never} never "
        f"({verdict.lost_to_kills} hasty ones in the memory of a killed process, {verdict.refused_for_good} hasty ones "
        f"that the brokers refused for good); "
        f"{verdict.unanswered_there} delivered without an answer",
        file=out,
    )
    print("by the books: " + ", ".join(f"{count} {name}" for name, count in outcome.books.items() if count), file=out)
    for violation in verdict.violations:
        print(f"VIOLATION: {violation}", file=out)
    for history in verdict.histories:
        print(f"  {history}", file=out)
    print("violations: " + (str(len(verdict.violations)) if verdict.violations else "none"), file=out, flush=True)


def _free_port() -> int:
    """Return a free port below those that the kernel gives to connections: one of these could be taken while the
    service is down."""
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise UsageError(f"no port is free between {PORTS.start} and {PORTS.stop}")
