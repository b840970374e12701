"""Compare two revisions under the same work, in turns, and tell whether the difference is more than noise.

Place: `python -m bench compare BASE`, `make bench-compare BASE=rev`.
Rules:
1. One side is this tree as it stands, the other a worktree of BASE; both by the same Python and the same packages, and
   both compiled or neither.
2. Both are started several times, because where a process happens to lie in memory moves its speed by 2 %, and no
   number of rounds on one process shows that. Within a start rounds are taken as base, here, here, base, so that a
   machine whose speed drifts treats both alike.
3. A start gives one ratio for each work. The verdict is by Student's t over these: "faster" or "slower" only when 95 %
   of such runs would agree on the sign; otherwise how large a difference could hide.
Not here: peers (peers), where the time goes (budget). Instructions cannot be counted where the machine is virtual and
hides its counters (`perf stat -e instructions` says "not supported"); then time is all there is.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

from bench import measure, rounds, servers
from bench.events import ROOT, best, workload
from bench.works import WORKS, Work, together
from server.compiled import cache, finder

HISTORY = Path(__file__).parent / "results" / "history.jsonl"
USUAL = ("single-hasty", "single-256", "batch-20", "batch-100")
TURNS = ("base", "here", "here", "base")

# Student's t for 95 %, by degrees of freedom.
T_95 = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26, 11: 2.20, 14: 2.14, 19: 2.09}


class Difference(NamedTuple):
    """``ratio`` is here over base; the true one is between ``low`` and ``high``, 95 times of 100."""

    ratio: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """In words."""
        if self.high < 1:
            return f"faster by {1 - self.ratio:.1%}"
        if self.low > 1:
            return f"slower by {self.ratio - 1:.1%}"
        return f"no difference seen; one of {max(self.high - 1, 1 - self.low):.1%} could hide"


def difference(ratios: list[float]) -> Difference:
    """Of one work, from one ratio for each start."""
    logs = [math.log(ratio) for ratio in ratios]
    middle = statistics.fmean(logs)
    freedom = len(logs) - 1
    t = T_95[max(known for known in T_95 if known <= freedom)]
    half = t * statistics.stdev(logs) / math.sqrt(len(logs))
    return Difference(math.exp(middle), math.exp(middle - half), math.exp(middle + half))


@contextlib.contextmanager
def worktree(revision: str, directory: Path) -> Iterator[tuple[Path, str]]:
    """A checkout of ``revision``, and its short name. Raises CalledProcessError when there is none."""
    commit = _git("rev-parse", "--short", "--verify", f"{revision}^{{commit}}")
    path = directory / "base"
    _git("worktree", "add", "--detach", str(path), commit)
    try:
        _compile(path)
        yield path, commit
    finally:
        _git("worktree", "remove", "--force", str(path))


def _compile(tree: Path) -> None:
    """Compile a checkout if this one is compiled. A form that was made here before is used again."""
    if finder.mode().name != finder.COMPILED or not (tree / cache.BUILD).is_file():
        return
    with contextlib.suppress(FileNotFoundError):
        shutil.copytree(ROOT / cache.IN_TREE, tree / cache.IN_TREE)
    subprocess.run(
        [sys.executable, "-m", "server.compiled.build"],
        cwd=tree,
        check=True,
        capture_output=True,
        text=True,
        timeout=600,
    )


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True, timeout=60)
    return done.stdout.strip()


class Sides:
    """Both servers of one start, with the same brokers."""

    def __init__(self, trees: dict[str, Path], brokers: str, directory: Path, number: int) -> None:
        self._processes: dict[str, tuple[int, int]] = {}
        self._starting = (trees, brokers, directory, sorted(trees, reverse=number % 2 == 1))

    def __enter__(self) -> Self:
        trees, brokers, directory, order = self._starting
        with contextlib.ExitStack() as stack:  # What has started is stopped when the other does not.
            for name in order:
                port = servers.free_port()
                child = servers.intake(port, brokers, workload(best("real")), directory, name=name, tree=trees[name])
                stack.enter_context(child)
                child.wait_for(port)
                self._processes[name] = (child.pid, port)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def warm(self, work: Work) -> None:
        """Both."""
        for pid, port in self._processes.values():
            rounds.warm(pid, port, work)

    def take(self, name: str, work: Work, seconds: float, watermarks: rounds.Watermarks) -> rounds.Round:
        """One round of one side."""
        pid, port = self._processes[name]
        return rounds.take(pid, port, work, seconds, watermarks)


Rounds = dict[str, dict[str, list[list[rounds.Round]]]]  # Work → side → start → rounds.


def measured(trees: dict[str, Path], works: list[Work], options: argparse.Namespace, directory: Path) -> Rounds:
    """All rounds."""
    found: Rounds = {work.name: {"base": [], "here": []} for work in works}
    with contextlib.ExitStack() as stack:
        brokers = stack.enter_context(servers.mock_cluster(directory)).line()
        watermarks = stack.enter_context(rounds.Watermarks(brokers))
        for number in range(options.starts):
            with Sides(trees, brokers, directory, number) as sides:
                for work in works:
                    sides.warm(work)
                    for side in ("base", "here"):
                        found[work.name][side].append([])
                    for turn in range(options.rounds):
                        side = TURNS[turn % len(TURNS)]
                        found[work.name][side][-1].append(sides.take(side, work, options.seconds, watermarks))
            print(f"start {number + 1} of {options.starts} done", file=sys.stderr)
    return found


def judged(found: Rounds) -> dict[str, dict[str, Any]]:
    """For each work: both summaries, the difference, the verdict."""
    results = {}
    for name, sides in found.items():
        per_start = {
            side: [statistics.median(one.cpu_us for one in start) for start in starts] for side, starts in sides.items()
        }
        ratios = [here / base for here, base in zip(per_start["here"], per_start["base"], strict=True)]
        told = difference(ratios)
        results[name] = {
            side: rounds.summary([one for start in starts for one in start]) for side, starts in sides.items()
        } | {"ratio": [round(each, 4) for each in told], "verdict": told.verdict}
    return results


def table(results: dict[str, dict[str, Any]]) -> str:
    """Lines for people."""
    lines = [f"{'CPU µs per event':<42}{'base':>9}{'here':>9}{'ratio':>8}  {'95 %':<14}verdict"]
    for name, one in results.items():
        ratio, low, high = one["ratio"]
        base, here = one["base"], one["here"]
        row = f"{WORKS[name].title:<42}{base['cpu_us_per_event']:>9.2f}{here['cpu_us_per_event']:>9.2f}{ratio:>8.3f}"
        trouble = base["lost"] + base["refused"] + here["lost"] + here["refused"]
        note = f"  LOST OR REFUSED: {trouble}" if trouble else ""
        lines.append(f"{row}  {low:.3f} – {high:.3f} {one['verdict']}{note}")
    return "\n".join(lines)


def parsed(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Return the options of a comparison. It ends the process if they show no difference."""
    options = parser.parse_args(arguments)
    if options.starts < 2 or options.rounds < 2:
        parser.error("--starts and --rounds must be at least 2: fewer show no difference")
    return options


def run(arguments: list[str]) -> int:
    """Compare, print. 1 when something became slower by more than is let pass."""
    parser = argparse.ArgumentParser(prog="python -m bench compare", description=__doc__.partition("\n")[0])
    parser.add_argument("base", help="a revision of git")
    parser.add_argument("--works", nargs="+", choices=together(), default=list(USUAL))
    parser.add_argument("--starts", type=int, default=6, help="of both servers; at least 2")
    parser.add_argument("--rounds", type=int, default=4, help="of each work in each start: base, here, here, base")
    parser.add_argument("--seconds", type=float, default=0.6, help="of load in each round")
    parser.add_argument("--let-pass", type=float, default=0.0, metavar="SHARE", help="0.03: 3 %% slower is no failure")
    parser.add_argument("--note", default="", help="what the change is, for the line that is kept")
    parser.add_argument("--keep", action="store_true", help=f"append a line to bench/results/{HISTORY.name}")
    options = parsed(parser, arguments)
    works = [WORKS[name] for name in options.works]
    with tempfile.TemporaryDirectory() as name:
        try:
            with worktree(options.base, Path(name)) as (tree, commit):
                found = measured({"base": tree, "here": ROOT}, works, options, Path(name))
        except subprocess.CalledProcessError as error:
            print(f"compare: {error.stderr.strip()}", file=sys.stderr)
            return 2
        except RuntimeError as error:
            print(f"compare: {error}", file=sys.stderr)
            return 1
    results = judged(found)
    is_changed = bool(_git("status", "--porcelain", "--untracked-files=no"))
    print(f"base {commit}, here {_git('rev-parse', '--short', 'HEAD')}{' with changes' if is_changed else ''}")
    print(table(results))
    if options.keep:
        keep(results, commit, is_changed=is_changed, note=options.note)
    is_slower = any(one["ratio"][1] > 1 + options.let_pass for one in results.values())
    return 1 if is_slower else 0


def keep(results: dict[str, dict[str, Any]], commit: str, *, is_changed: bool, note: str) -> None:
    """Append a line to HISTORY."""
    line = {"environment": measure.environment(), "base": commit, "is_changed": is_changed, "note": note}
    HISTORY.parent.mkdir(exist_ok=True)
    with HISTORY.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line | {"works": results}, ensure_ascii=False) + "\n")
