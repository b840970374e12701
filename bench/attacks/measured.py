"""`make attack`: every attack together with a bystander: the cost of each, and the latency that it leaves to others.

Place: `python -m bench attacks` → HERE → arena, attacker, bystander; the table is in table.
Rules:
1. One served intake for the whole table; those that need a site to fetch from have one of their own.
2. Each attack is run three times: alone, for what CPU it costs (``C``); and beside the bystander, between two spans of
   the bystander by itself. What is kept is ``answered / (CPU - C)`` of the span with the attack over the same of the
   spans without: the throughput per core-second that the attack leaves. The median of ``--rounds``.
3. Attackers pause as long as each request took, so that something is left to measure.
4. Of crowds, what counts is the bystander's p99 for each kind of its requests, with the attack and without.
5. Memory is the peak of the worker during an attack, over what it held before the first one.
Not here: what an attack does, how it must end (table).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench import measure
from bench.attacks.arena import Arena
from bench.attacks.table import ATTACKS, QUICK_MS, SLOWER, Attack, wrong
from bench.events import ROOT
from bench.servers import LOAD_CORES

RESULTS = Path(__file__).parent.parent / "results" / "attacks.json"
GROWN_MB = 64.0
SPAN_S = 1.5
ATTACK_S = 300.0


class Beside(NamedTuple):
    """A span of the bystander, with the CPU of the server during it."""

    told: dict[str, Any]
    cpu_s: float

    def per_core_s(self, attack_s: float = 0.0) -> float:
        """Answers for a second of the CPU that was left."""
        left_s = max(self.cpu_s - attack_s, 0.001)
        return float(self.told["answered"]) / left_s


class Bystander:
    """The process, and its spans."""

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        command = [sys.executable, "-m", "bench.attacks.bystander", str(arena.target(1).port)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        os.sched_setaffinity(self._process.pid, LOAD_CORES)

    def span(self, during: Callable[[], object]) -> Beside:
        """Honest requests while something is done."""
        before_s = self._arena.cpu_s()
        self._say("go")
        during()
        self._say("stop")
        assert self._process.stdout is not None
        told = json.loads(self._process.stdout.readline())
        return Beside(told, self._arena.cpu_s() - before_s)

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)


def _attack(arena: Arena, attack: Attack, scale: float, seconds: float) -> dict[str, Any]:
    target = arena.target(scale)
    arguments = [attack.name, target.port, scale, target.patience_s, target.site, seconds]
    command = [sys.executable, "-m", "bench.attacks.attacker", *map(str, arguments)]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=ATTACK_S)
    if done.returncode:
        raise RuntimeError(f"{attack.name}: the attacker failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _round(arena: Arena, bystander: Bystander, attack: Attack, scale: float) -> dict[str, Any]:
    """One attack: before, alone, beside, after."""
    rest: Callable[[], None] = lambda: time.sleep(SPAN_S)  # noqa: E731
    before = bystander.span(rest)
    arena.begin()
    start_s, seconds = arena.cpu_s(), 0.0 if attack.is_patient else SPAN_S
    alone = _attack(arena, attack, scale, seconds)
    each_s = (arena.cpu_s() - start_s) / alone["runs"]
    found: dict[str, Any] = {}
    beside = bystander.span(lambda: found.update(_attack(arena, attack, scale, seconds)))
    peak_mb = arena.peak_mb()
    after = bystander.span(rest)
    usual = statistics.mean((before.per_core_s(), after.per_core_s()))
    outcome = Counter(alone["outcome"]) + Counter(found["outcome"])
    return {
        "outcome": dict(outcome),
        "wrong": wrong(attack, outcome),
        "trouble": arena.trouble(),
        "peak_mb": round(peak_mb, 1),
        "cpu_ms": round(each_s * 1000, 1),
        "seconds": round(found["seconds"], 1),
        "kept": round(beside.per_core_s(each_s * found["runs"]) / usual, 3),
        "per_s": round(beside.told["answered"] / beside.told["seconds"]),
        "per_s_without": round(
            statistics.mean(each.told["answered"] / each.told["seconds"] for each in (before, after))
        ),
        "p99_ms": beside.told["p99_ms"],
        "p99_ms_without": {
            kind: round(statistics.mean((before.told["p99_ms"][kind], after.told["p99_ms"][kind])), 2)
            for kind in beside.told["p99_ms"]
        },
        "worst_ms": beside.told["worst_ms"],
        "others": beside.told["others"],
    }


def _judged(attack: Attack, rounds: list[dict[str, Any]], start_mb: float) -> dict[str, Any]:
    """The median round by what was kept; troubles and peaks of all of them."""
    middle = sorted(rounds, key=lambda each: each["kept"])[len(rounds) // 2]
    grown_mb = round(max(each["peak_mb"] for each in rounds) - start_mb, 1)
    reasons = [each[what] for each in rounds for what in ("wrong", "trouble") if each[what]]
    if middle["kept"] < attack.keeps:
        reasons.append(f"{middle['kept']:.0%} kept of {attack.keeps:.0%}")
    if attack.is_crowd:
        reasons += _slower(middle["p99_ms"], middle["p99_ms_without"])
    if grown_mb > GROWN_MB:
        reasons.append(f"{grown_mb:.0f} MB grown of {GROWN_MB:.0f}")
    return {"name": attack.name, **middle, "grown_mb": grown_mb, "missed": "; ".join(dict.fromkeys(reasons))}


def _slower(beside_ms: dict[str, float], without_ms: dict[str, float]) -> list[str]:
    """The kinds of requests that waited too long."""
    return [
        f"{kind} {beside_ms[kind]:.0f} ms instead of {without_ms[kind]:.0f}"
        for kind in beside_ms
        if beside_ms[kind] > max(QUICK_MS, SLOWER * without_ms[kind])
    ]


def _each(times_ms: dict[str, float]) -> str:
    return "/".join(f"{each:.1f}" for each in times_ms.values())


def _show(row: dict[str, Any]) -> None:
    outcome = ", ".join(f"{count} x {word}" for word, count in sorted(row["outcome"].items()) if count)
    print(
        f"{row['name'][:36]:36} {outcome[:44]:44} {row['grown_mb']:+7.1f} {row['cpu_ms']:8.0f}"
        f" {row['per_s_without']:6} {row['per_s']:6} {row['kept']:6.0%}"
        f" {_each(row['p99_ms_without']):>17} {_each(row['p99_ms']):>17} {row['worst_ms']:7.0f}"
        f"  {'MISSED: ' + row['missed'] if row['missed'] else 'met'}",
        flush=True,
    )


def _table(attacks: list[Attack], rounds: int, scale: float, *, has_site: bool) -> Iterator[dict[str, Any]]:
    """Run them in one arena."""
    if not attacks:
        return
    with (
        tempfile.TemporaryDirectory(prefix="penstock-attacks-") as directory,
        Arena(Path(directory), has_site=has_site, is_pinned=True) as arena,
    ):
        bystander = Bystander(arena)
        try:
            bystander.span(lambda: time.sleep(2 * SPAN_S))
            start_mb = arena.resident_mb()
            for attack in attacks:
                row = _judged(attack, [_round(arena, bystander, attack, scale) for _ in range(rounds)], start_mb)
                row["scale"] = scale
                _show(row)
                yield row
            print(f"resident memory of the worker: {start_mb:.0f} MB before, {arena.resident_mb():.0f} MB after")
        finally:
            bystander.close()


def _keep(rows: list[dict[str, Any]], rounds: int) -> None:
    """Write these rows, and those of attacks that were not run now, in the order of the table."""
    before = json.loads(RESULTS.read_text())["attacks"] if RESULTS.exists() else []
    known = {row["name"]: row for row in [*before, *rows]}
    kept = [known[attack.name] for attack in ATTACKS if attack.name in known]
    environment = measure.environment() | {"load_average": os.getloadavg()[0]}
    RESULTS.write_text(json.dumps({"environment": environment, "rounds": rounds, "attacks": kept}, indent=1) + "\n")


def run(arguments: list[str]) -> int:
    """Print the table. Exit code 1: something was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench attacks", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="attacks whose names this pattern finds")
    parser.add_argument("--rounds", type=int, default=1, help="of each attack; the median counts (1)")
    parser.add_argument("--scale", type=float, default=1.0, help="of the counts of the attacks (1)")
    parser.add_argument("--keep", action="store_true", help=f"write {RESULTS.relative_to(ROOT)}")
    chosen = parser.parse_args(arguments)
    picked = [attack for attack in ATTACKS if re.search(chosen.only, attack.name)]
    print(
        f"{'attack':36} {'outcome':44} {'MB':>7} {'CPU ms':>8} {'/s':>6} {'beside':>6} {'kept':>6}"
        f" {'p99 single/50/gz':>17} {'beside, ms':>17} {'worst':>7}"
    )
    rows: list[dict[str, Any]] = []
    for has_site in (False, True):
        here = [attack for attack in picked if attack.needs_site == has_site]
        for row in _table(here, chosen.rounds, chosen.scale, has_site=has_site):
            rows.append(row)
            if chosen.keep:
                _keep(rows, chosen.rounds)
    missed = [row["name"] for row in rows if row["missed"]]
    print(f"{len(rows) - len(missed)} of {len(rows)} met" + (f"; missed: {', '.join(missed)}" if missed else ""))
    return 1 if missed else 0
