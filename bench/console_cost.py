"""Compare the cost of an event with the console off, on without a viewer, and on with ten viewers, in turns.

Place: `python -m bench console-cost`.
Rules:
1. Each side is a server of its own with the same code, brokers and events; the console has the settings of production.
2. As in compare: several starts, and within each the sides in turns, forwards and then backwards, so that a machine
   whose speed drifts treats all alike. A start gives one ratio for each side; the interval is Student's t over these.
3. CPU is that of the whole service, its admin process included; ``events/s`` is what a closed loop gets.
4. Viewers read the stream of the page as fast as it comes, in a process on the core of the load.
Not here: what the page does with it (console).
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
from typing import Any

from bench import measure, rounds, servers
from bench.compare import Difference, difference, parsed
from bench.events import best, workload
from bench.works import WORKS, Work, together

RESULTS = Path(__file__).parent / "results" / "console_cost.json"
USUAL = ("single-hasty", "batch-20")
OFF, ON, VIEWED = "off", "on", "viewed"
SIDES = (OFF, ON, VIEWED)
TITLES = {OFF: "off", ON: "on, no viewer", VIEWED: "on, ten viewers"}
MOST = {ON: 0.03, VIEWED: 0.10}
VIEWERS = 10


def console(admin_port: int, side: str) -> str:
    """Lines of YAML for a side: they replace the admin address."""
    lines = f'admin: {{listen: "127.0.0.1:{admin_port}"}}\n'
    return lines if side == OFF else f"{lines}console: {{enabled: true}}\n"


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


def measured(works: list[Work], options: argparse.Namespace, directory: Path) -> Rounds:
    """All rounds."""
    found: Rounds = {work.name: {side: [] for side in SIDES} for work in works}
    with contextlib.ExitStack() as stack:
        brokers = stack.enter_context(servers.mock_cluster(directory)).line()
        watermarks = stack.enter_context(rounds.Watermarks(brokers))
        for number in range(options.starts):
            with started(brokers, directory, number) as sides:
                for work in works:
                    _rounds(work, sides, options, watermarks, found[work.name])
            print(f"start {number + 1} of {options.starts} done", file=sys.stderr)
    return found


@contextlib.contextmanager
def started(brokers: str, directory: Path, number: int) -> Iterator[dict[str, tuple[int, int]]]:
    """All sides: process and port by name. In which order they are started changes."""
    order = SIDES[number % len(SIDES) :] + SIDES[: number % len(SIDES)]
    with contextlib.ExitStack() as stack:
        found: dict[str, tuple[int, int]] = {}
        for side in order:
            port, admin_port = servers.free_port(), servers.free_port()
            more = console(admin_port, side)
            child = servers.intake(port, brokers, workload(best("real")), directory, name=side, more=more)
            stack.enter_context(child)
            child.wait_for(port)
            if side == VIEWED:
                stack.enter_context(viewers(admin_port, directory))
            found[side] = (child.pid, port)
        yield found


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
        for side in SIDES if turn % 2 == 0 else reversed(SIDES):
            pid, port = sides[side]
            found[side][-1].append(rounds.take(pid, port, work, options.seconds, watermarks))


def judged(found: Rounds) -> dict[str, dict[str, Any]]:
    """For each work and side: its summary, and the ratios to off of CPU per event and of events a second."""
    results: dict[str, dict[str, Any]] = {}
    for name, sides in found.items():
        results[name] = {}
        for side, starts in sides.items():
            told: dict[str, Any] = rounds.summary([one for start in starts for one in start])
            if side != OFF:
                told["cpu_ratio"] = [round(each, 4) for each in _ratio(starts, sides[OFF], lambda one: one.cpu_us)]
                told["throughput_ratio"] = [
                    round(each, 4) for each in _ratio(starts, sides[OFF], lambda one: one.events / one.seconds)
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


def table(results: dict[str, dict[str, Any]]) -> str:
    """Lines for people."""
    lines = [f"{'':<42}{'CPU µs':>9}{'events/s':>10}{'CPU':>8}  {'95 %':<16}{'throughput':>10}  {'95 %':<16}"]
    for name, sides in results.items():
        for side, one in sides.items():
            title = f"{WORKS[name].title}: {TITLES[side]}"
            row = f"{title:<42}{one['cpu_us_per_event']:>9.2f}{one['events_per_s']:>10,}"
            if side != OFF:
                ratio, low, high = one["cpu_ratio"]
                row += f"{ratio - 1:>+8.1%}  " + f"{low - 1:+.1%} to {high - 1:+.1%}".ljust(16)
                ratio, low, high = one["throughput_ratio"]
                row += f"{ratio - 1:>+10.1%}  {low - 1:+.1%} to {high - 1:+.1%}"
            trouble = one["lost"] + one["refused"]
            lines.append(row + (f"  LOST OR REFUSED: {trouble}" if trouble else ""))
    return "\n".join(lines)


def is_too_much(results: dict[str, dict[str, Any]]) -> bool:
    """Whether a side costs more of the throughput than it may, beyond doubt."""
    return any(
        sides[side]["throughput_ratio"][2] < 1 - most for sides in results.values() for side, most in MOST.items()
    )


def run(arguments: list[str]) -> int:
    """Compare, print. 1 when the console costs more than 3 % without a viewer or 10 % with ten, beyond doubt."""
    parser = argparse.ArgumentParser(prog="python -m bench console-cost", description=__doc__.partition("\n")[0])
    parser.add_argument("--works", nargs="+", choices=together(), default=list(USUAL))
    parser.add_argument("--starts", type=int, default=5, help="of all three servers; at least 2")
    parser.add_argument("--rounds", type=int, default=4, help="of each side and work in each start")
    parser.add_argument("--seconds", type=float, default=0.6, help="of load in each round")
    parser.add_argument("--keep", action="store_true", help=f"write bench/results/{RESULTS.name}")
    options, works = parsed(parser, arguments)
    with tempfile.TemporaryDirectory() as name:
        try:
            found = measured(works, options, Path(name))
        except (RuntimeError, socket.gaierror) as error:
            print(f"console-cost: {error}", file=sys.stderr)
            return 1
    results = judged(found)
    print(table(results))
    if options.keep:
        RESULTS.write_text(json.dumps({"environment": measure.environment(), "works": results}, indent=1) + "\n")
    return 1 if is_too_much(results) else 0
