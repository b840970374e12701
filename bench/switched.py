"""Compare the cost of an event with something switched off and on, in turns: the console, shadow validation, or other
properties of the producers.

Place: `python -m bench switched console`, `shadow` or `linger`.
Rules:
1. Each side is a server of its own with the same code, brokers and events; the console has the settings of production,
   and a tenth of the events is judged by another version of their schema.
2. As in compare: several starts, and within each the sides in turns, forwards and then backwards, so that a machine
   whose speed drifts treats all alike. A start gives one ratio for each side; the interval is Student's t over these.
3. CPU is that of the whole service, its admin process included; ``events/s`` is what a closed loop gets.
4. Viewers read the stream of the page as fast as it comes, in a process on the core of the load.
Not here: what the page does with it (console), a worker without a kernel (micro.worker).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from bench import measure, rounds, servers
from bench.compare import Difference, difference, parsed
from bench.events import Workload
from bench.works import WORKS, Work

RESULTS = Path(__file__).parent / "results"
VIEWERS = 10


class Side(NamedTuple):
    """``settings``: lines of YAML. ``shadow``: the schema version that judges a tenth of the events. ``most``: the
    share of the throughput that it may cost; the first side is the one that others are compared with. ``properties``:
    those of the producers."""

    name: str
    title: str
    most: float = 0.0
    settings: str = ""
    shadow: str = ""
    is_viewed: bool = False
    properties: str = servers.PROPERTIES


Sides = tuple[Side, ...]
_CONSOLE = "console: {enabled: true}\n"
CONSOLE: Sides = (
    Side("off", "off"),
    Side("on", "on, no viewer", 0.03, _CONSOLE),
    Side("viewed", "on, ten viewers", 0.10, _CONSOLE, is_viewed=True),
)
SHADOW: Sides = (Side("off", "off"), Side("on", "a tenth is judged", 0.05, shadow="1.0.0"))
LINGER: Sides = (
    Side("ms5", "linger.ms 5, as it is", 1.0),
    Side("ms1", "linger.ms 1", 1.0, properties="linger.ms: 1"),
    Side("ms50", "linger.ms 50", 1.0, properties="linger.ms: 50"),
    Side("sticky", "sticky for 50 ms instead of 10", 1.0, properties="linger.ms: 5, sticky.partitioning.linger.ms: 50"),
    Side("batch", "batches of 1,000 messages at most", 1.0, properties="linger.ms: 5, batch.num.messages: 1000"),
)
# With the works that they are compared by.
WHAT: dict[str, tuple[Sides, tuple[str, ...]]] = {
    "console": (CONSOLE, ("single-hasty", "batch-20")),
    "shadow": (SHADOW, ("example", "example-100")),
    "linger": (LINGER, ("single-hasty", "batch-100")),
}


def given(side: Side, events: Workload, directory: Path) -> Workload:
    """Return the events with the streams of a side."""
    if not side.shadow:
        return events
    declared = yaml.safe_load(events.streams.read_text(encoding="utf-8"))
    for name in events.topics:
        judged = {"shadow_schema": side.shadow, "shadow_rate": 0.1}
        declared["streams"][name].setdefault("producers", {}).setdefault("eventgate", {}).update(judged)
    file = directory / f"{side.name}-streams.yaml"
    file.write_text(json.dumps(declared), encoding="utf-8")
    return events._replace(streams=file)


@contextlib.contextmanager
def viewers(port: int, directory: Path) -> Iterator[None]:
    """Ten readers of the stream, in a process of their own, that are connected when the block begins."""
    with servers.Child(
        "viewers", ["bench.load.viewers", str(port), str(VIEWERS)], servers.LOAD_CORES, directory
    ) as child:
        if child.line() != "connected":
            raise RuntimeError(f"the viewers failed:\n{(directory / 'viewers.log').read_text()[-2000:]}")
        yield


Rounds = dict[str, dict[str, list[list[rounds.Round]]]]  # Work → side → start → rounds.


def measured(sides: Sides, works: list[Work], options: argparse.Namespace, directory: Path) -> Rounds:
    """Return all rounds."""
    found: Rounds = {work.name: {side.name: [] for side in sides} for work in works}
    with contextlib.ExitStack() as stack:
        brokers = stack.enter_context(servers.mock_cluster(directory)).line()
        watermarks = stack.enter_context(rounds.Watermarks(brokers))
        for number in range(options.starts):
            with started(sides, works[0].workload, brokers, directory, number) as servers_of:
                for work in works:
                    _rounds(work, servers_of, options, watermarks, found[work.name])
            print(f"start {number + 1} of {options.starts} done", file=sys.stderr)
    return found


@contextlib.contextmanager
def started(
    sides: Sides, events: Workload, brokers: str, directory: Path, number: int
) -> Iterator[dict[str, tuple[int, int]]]:
    """Yield process and port of all sides, by name. In which order they are started changes."""
    order = sides[number % len(sides) :] + sides[: number % len(sides)]
    with contextlib.ExitStack() as stack:
        found: dict[str, tuple[int, int]] = {}
        for side in order:
            port, admin_port = servers.free_port(), servers.free_port()
            more = f'admin: {{listen: "127.0.0.1:{admin_port}"}}\n{side.settings}'
            child = servers.intake(
                port, brokers, given(side, events, directory), directory,
                name=side.name, more=more, properties=side.properties,
            )  # fmt: skip
            stack.enter_context(child)
            child.wait_for(port)
            if side.is_viewed:
                stack.enter_context(viewers(admin_port, directory))
            found[side.name] = (child.pid, port)
        yield {side.name: found[side.name] for side in sides}


def _rounds(
    work: Work,
    sides: dict[str, tuple[int, int]],
    options: argparse.Namespace,
    watermarks: rounds.Watermarks,
    found: dict[str, list[list[rounds.Round]]],
) -> None:
    for side, (pid, port) in sides.items():
        rounds.warm(pid, port, work)
        found[side].append([])
    for turn in range(options.rounds):
        for side in sides if turn % 2 == 0 else reversed(sides):
            pid, port = sides[side]
            found[side][-1].append(rounds.take(pid, port, work, options.seconds, watermarks))


def judged(found: Rounds) -> dict[str, dict[str, Any]]:
    """Return for each work and side its summary, and the ratios to the first side of CPU per event and of events a
    second."""
    results: dict[str, dict[str, Any]] = {}
    for name, sides in found.items():
        results[name] = {}
        base = next(iter(sides.values()))
        for side, starts in sides.items():
            told: dict[str, Any] = rounds.summary([one for start in starts for one in start])
            if starts is not base:
                told["cpu_ratio"] = [round(each, 4) for each in _ratio(starts, base, lambda one: one.cpu_us)]
                told["throughput_ratio"] = [
                    round(each, 4) for each in _ratio(starts, base, lambda one: one.events / one.seconds)
                ]
            results[name][side] = told
    return results


def _ratio(here: list[list[rounds.Round]], base: list[list[rounds.Round]], of: Any) -> Difference:
    return difference(
        [
            statistics.median(of(one) for one in on) / statistics.median(of(one) for one in off)
            for on, off in zip(here, base, strict=True)
        ]
    )


def table(sides: Sides, results: dict[str, dict[str, Any]]) -> str:
    """Return lines for people."""
    lines = [f"{'':<42}{'CPU µs':>9}{'events/s':>10}{'CPU':>8}  {'95 %':<16}{'throughput':>10}  {'95 %':<16}"]
    for name in results:
        for side in sides:
            one = results[name][side.name]
            title = f"{WORKS[name].title}: {side.title}"
            row = f"{title:<42}{one['cpu_us_per_event']:>9.2f}{one['events_per_s']:>10,}"
            if "cpu_ratio" in one:
                ratio, low, high = one["cpu_ratio"]
                row += f"{ratio - 1:>+8.1%}  " + f"{low - 1:+.1%} to {high - 1:+.1%}".ljust(16)
                ratio, low, high = one["throughput_ratio"]
                row += f"{ratio - 1:>+10.1%}  {low - 1:+.1%} to {high - 1:+.1%}"
            trouble = one["lost"] + one["refused"]
            lines.append(row + (f"  LOST OR REFUSED: {trouble}" if trouble else ""))
    return "\n".join(lines)


def is_too_much(sides: Sides, results: dict[str, dict[str, Any]]) -> bool:
    """Return whether a side costs more of the throughput than it may, beyond doubt."""
    return any(
        found[side.name]["throughput_ratio"][2] < 1 - side.most for found in results.values() for side in sides[1:]
    )


def run(arguments: list[str]) -> int:
    """Compare, print. 1 when a side costs more of the throughput than it may, beyond doubt."""
    parser = argparse.ArgumentParser(prog="python -m bench switched", description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=WHAT)
    parser.add_argument("--starts", type=int, default=5, help="of all servers; at least 2")
    parser.add_argument("--rounds", type=int, default=4, help="of each side and work in each start")
    parser.add_argument("--seconds", type=float, default=0.6, help="of load in each round")
    parser.add_argument("--keep", action="store_true", help="write it below bench/results")
    options = parsed(parser, arguments)
    sides, names = WHAT[options.what]
    works = [WORKS[name] for name in names]
    with tempfile.TemporaryDirectory() as name:
        try:
            found = measured(sides, works, options, Path(name))
        except (RuntimeError, socket.gaierror) as error:
            print(f"switched: {error}", file=sys.stderr)
            return 1
    results = judged(found)
    print(table(sides, results))
    if options.keep:
        results_file = RESULTS / f"switched-{options.what}.json"
        results_file.write_text(json.dumps({"environment": measure.environment(), "works": results}, indent=1) + "\n")
    return 1 if is_too_much(sides, results) else 0
