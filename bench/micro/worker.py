"""Measure the cost of a request in a whole worker without a kernel: this tree compared with another, in one run.

Place: ``python -m bench worker --against TREE``, about 30 s; bench.quick measures it with sockets and brokers.
``--pure``: the other one is this tree with its hot modules interpreted (server.compiled).
``--without limits``, ``metrics``, ``rates``, ``durability``, ``shadow`` or ``expect``: the other one is this tree
without what can be left out of that (bench.without; limits and rates are asked on this side, and never reached; a tenth
of the events is judged by a shadow schema on this side, and refused by it; all are offered to two expectations of their
schema on this side, of which they fail one).
Rules: each tree is a process of its own, asked in turns for short rounds; the figure is the median of the ratios of
neighbouring rounds: a machine whose speed drifts treats both alike. Bytes are handed to the protocol and writes thrown
away; events go into memory. What is done once a beat, and a scrape of a thousand streams, are measured apart.
Not here: latency, sockets, librdkafka.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, cast

import uvloop

from bench.micro.http import Drain

ROOT = Path(__file__).parents[2]
KINDS = ("hasty", "guaranteed", "batch")
BATCH_OF = 20  # Events of a hasty batch: so few are prepared in the turn in which they come.
BATCH = 1000
AT_ONCE = 50  # Requests of a turn of the loop.
ROUNDS = 41
STREAMS = 1000
EVENT = b'{"$schema":"/web/page_view/1.1.0","meta":{"stream":"web.page_view"},"page":"/home"}'
HEAD = b"POST %b HTTP/1.1\r\nHost: intake.example.org\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
SETTINGS = """\
workers: 1
http: {{listen: ["127.0.0.1:0"], {limits}}}
schemas: {{base_uris: ["schemas", "{tree}/server/examples/schemas"]}}
streams: {{sources: ["{tree}/server/examples/streams.yaml"{streams}]}}
sink: {{kind: memory}}
log: {{level: error}}
"""

# A tree: a child process.


async def serve(tree: str, concern: str, limits: str, streams: str, expected: str) -> None:
    """Be a worker without sockets, and run a round for each line of standard input."""
    from server.boot.generation import read
    from server.master.generation import WorkerContext
    from server.shared.row import State
    from server.shared.scoreboard import Scoreboard
    from server.worker.process import Worker

    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "settings.yaml"
        file.write_text(SETTINGS.format(tree=tree, limits=limits, streams=""), encoding="utf-8")
        _write_schema(tree, Path(directory) / "schemas", expected)
        if streams:
            (Path(directory) / "streams.yaml").write_text(streams, encoding="utf-8")
            file.write_text(SETTINGS.format(tree=tree, limits=limits, streams=", streams.yaml"), encoding="utf-8")
        row = Scoreboard(2).claim(0, 1)
        assert row is not None
        context = WorkerContext(0, 1, row, [], os.getppid())
        worker = Worker(read(file, []), context, *_concerns(concern))
        running = asyncio.create_task(worker.run())
        while row.state is not State.READY:  # noqa: ASYNC110 - it is in shared memory
            await asyncio.sleep(0.01)
        for line in sys.stdin:
            kind, _, times = line.partition(" ")
            print(await _beat(worker) if kind.strip() == "beat" else await _round(worker, kind, int(times)), flush=True)
        running.cancel()


def _write_schema(tree: str, directory: Path, expected: str) -> None:
    """Write the schema of the event with these lines added, where they are found first."""
    directory.mkdir()
    if expected:
        file = directory / "web/page_view/1.1.0.yaml"
        file.parent.mkdir(parents=True)
        schema = Path(tree, "server/examples/schemas/web/page_view/1.1.0.yaml").read_text(encoding="utf-8")
        file.write_text(schema + expected, encoding="utf-8")


def _concerns(concern: str) -> tuple[Any, ...]:
    """What a worker without it is given; nothing for a whole one: another checkout may not know of concerns."""
    if not concern:
        return ()
    from bench.without import CONCERNS  # Here: it imports the server of this tree.

    return (CONCERNS[concern],)


async def _round(worker: Any, kind: str, times: int) -> float:
    """CPU of one event, in microseconds, over this many thousands of requests; a batch takes the time of ten."""
    path = b"/v1/events" if kind == "guaranteed" else b"/v1/events?hasty=true"
    body = b"[%b]" % b",".join([EVENT] * BATCH_OF) if kind == "batch" else EVENT
    events = BATCH_OF if kind == "batch" else 1
    turns = times * BATCH // AT_ONCE // (10 if kind == "batch" else 1)
    request = HEAD % (path, len(body), body)
    connections = [worker._server.connection() for _ in range(AT_ONCE)]
    for connection in connections:
        connection.connection_made(cast(Any, Drain()))
    outstanding = worker._durability.sink.outstanding
    began_ns = time.process_time_ns()
    for _ in range(turns):
        for connection in connections:
            connection.data_received(request)
        await asyncio.sleep(0)
        # Where the machine is busy, a batch may take several turns.
        while outstanding() or (kind == "batch" and any(one._current is not None for one in connections)):  # noqa: ASYNC110
            await asyncio.sleep(0)
    used_ns = time.process_time_ns() - began_ns
    for connection in connections:
        connection.connection_lost(None)
    return used_ns / (turns * AT_ONCE * events) / 1000


async def _beat(worker: Any) -> float:
    """CPU of what is done once a beat, in microseconds."""
    began_ns = time.process_time_ns()
    for _ in range(100):
        worker._copy_counters()
        worker._row.beat()
    return (time.process_time_ns() - began_ns) / 100 / 1000


def be(tree: str, concern: str, limits: str, streams: str, expected: str) -> None:
    """The life of a child. ``concern``: what it is without."""
    sys.path.insert(0, tree)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(tree, concern, limits, streams, expected))


# The parent.


class Tree:
    """One of the two."""

    def __init__(
        self,
        tree: Path,
        concern: str = "",
        limits: str = "",
        streams: str = "",
        expected: str = "",
        *,
        is_pure: bool = False,
    ) -> None:
        life = f"be({str(tree)!r}, {concern!r}, {limits!r}, {streams!r}, {expected!r})"
        program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from bench.micro.worker import be; {life}"
        self._process = subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=tree,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PENSTOCK_PURE": "1"} if is_pure else None,
        )

    def ask(self, what: str) -> float:
        """One figure."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def end(self) -> None:
        """Let it go."""
        self._process.kill()
        self._process.communicate()


def scrape_ms(streams: int) -> float:
    """How long a scrape takes whose workers have so many streams and a tenth of that in schemas."""
    from prometheus_client.exposition import generate_latest
    from prometheus_client.registry import CollectorRegistry

    from server.admin.collect import Collected
    from server.admin.view import Shared
    from server.boot.generation import read
    from server.intake.books.tally import Tallies
    from server.shared.scoreboard import Scoreboard

    with tempfile.TemporaryDirectory() as directory:
        declared = "".join(f"  stream.number.{number}: {{schema_title: web/page_view}}\n" for number in range(streams))
        (Path(directory) / "streams.yaml").write_text(f"streams:\n{declared}", encoding="utf-8")
        file = Path(directory) / "settings.yaml"
        (Path(directory) / "schemas").mkdir()
        settings = SETTINGS.format(tree=ROOT, limits="", streams="").replace(
            f"{ROOT}/server/examples/streams.yaml", "streams.yaml"
        )
        file.write_text(settings, encoding="utf-8")
        board, generation = Scoreboard(4), read(file, [])
        for slot in range(2):
            row = board.claim(slot, 1)
            assert row is not None
            books = Tallies()
            for number in range(streams):
                books.of(f"stream.number.{number}").accepted = number
            row.write_books(books)
            pages = row.pages()
            assert pages.streams is not None
            assert pages.schemas is not None
            pages.streams.write((f"stream.number.{number}", [1, 2, 3]) for number in range(streams))
            pages.schemas.write((f"/a/{number}/1.0.0", [1, 2, 3]) for number in range(streams // 10))
        registry = CollectorRegistry(auto_describe=False)
        registry.register(Collected(Shared(board, generation, os.getpid())))
        times = []
        for _ in range(5):
            began_ns = time.process_time_ns()
            generate_latest(registry)
            times.append((time.process_time_ns() - began_ns) / 1e6)
    return statistics.median(times)


def run(arguments: list[str]) -> int:
    """The command."""
    from bench.compare import HISTORY, keep
    from bench.without import CONCERNS, DECLARED, EXPECTED, HTTP
    from server.compiled import finder

    parser = argparse.ArgumentParser(prog="python -m bench worker", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--against", type=Path, metavar="TREE", help="another checkout")
    parser.add_argument("--without", choices=sorted(CONCERNS), help="this tree without it is the other one")
    parser.add_argument("--pure", action="store_true", help="this tree interpreted is the other one")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--keep", metavar="NOTE", help=f"append a line with this note to bench/results/{HISTORY.name}")
    options = parser.parse_args(arguments)
    print(f"a scrape of {STREAMS} streams: {scrape_ms(STREAMS):.0f} ms of CPU")
    asked, not_asked = HTTP.get(options.without, ("", ""))
    declared, expected = (each.get(options.without, "") for each in (DECLARED, EXPECTED))
    trees = [Tree(ROOT, limits=asked, streams=declared, expected=expected)]
    if options.without:
        trees.append(Tree(ROOT, options.without, not_asked))
    elif options.pure:
        print(f"this tree runs {finder.mode()}")
        trees.append(Tree(ROOT, is_pure=True))
    elif options.against:
        trees.append(Tree(options.against.resolve()))
    try:
        # Checks in the background may spend 2 ms at once that they have saved while the other tree was asked.
        times = 10 if options.without in ("shadow", "expect") else 1
        works: dict[str, Any] = {}
        for kind in (*KINDS, "beat"):
            asked = kind if kind == "beat" else f"{kind} {times}"
            for tree in trees:
                tree.ask(asked)  # To get warm.
            figures = [[tree.ask(asked) for tree in trees] for _ in range(options.rounds)]
            columns = [statistics.median(column) for column in zip(*figures, strict=True)]
            line = f"{kind:<11} {columns[0]:7.2f} µs"
            if len(trees) > 1:
                ratios = sorted(here / there for here, there in figures)
                low, ratio, high = statistics.quantiles(ratios, n=4)
                line += f", there {columns[1]:7.2f} µs, ratio {ratio:.3f} (half of them {low:.2f} to {high:.2f})"
                works[f"worker-{kind}"] = {
                    "base": {"cpu_us_per_event": round(columns[1], 3)},
                    "here": {"cpu_us_per_event": round(columns[0], 3)},
                    "ratio": [round(one, 4) for one in (ratio, low, high)],
                }
            print(line)
        if options.keep and works:
            base = "interpreted" if options.pure else options.without or str(options.against)
            keep(works, base, is_changed=False, note=options.keep)
    finally:
        for tree in trees:
            tree.end()
    return 0
