"""Judge the marks that the intake is held to, each met or missed, by the figures that were kept last.

Place: `python -m bench marks`; costs, latency, scaling and budget keep the figures.
Rules: a mark is a ratio within one run, or a bound. One whose figures are not there is "not measured", no pass: the
exit code is 0 only when all are met.
Not here: why one is missed (budget, profile).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

PLACE = Path(__file__).parent / "results"


class Mark(NamedTuple):
    """``measured`` gives the figure that must be at most ``most``; None where it was not measured."""

    what: str
    most: float
    measured: Callable[[Figures], float | None]
    unit: str = "×"


class Figures:
    """What was kept last."""

    def __init__(self, place: Path) -> None:
        self.costs = _read(place / "costs.json")
        self.latency = _read(place / "latency.json")
        self.scaling = _read(place / "scaling.json")

    def cost(self, work: str, peer: str = "intake") -> float | None:
        """CPU µs per event."""
        for one in self.costs.get("results", []):
            if (one["work"], one["peer"]) == (work, peer):
                return float(one["cpu_us_per_event"])
        return None

    def floor(self, name: str) -> float | None:
        """A floor that is no server."""
        value = self.costs.get("floors", {}).get(name)
        return None if value is None else float(value)

    def rate(self, work: str, share: float, name: str) -> float | None:
        """A figure of the intake at a share of its capacity, on a real Kafka alone."""
        if not self.latency.get("brokers", "").startswith("Apache"):
            return None
        for one in self.latency["results"]:
            if (one["peer"], one["work"]) == ("intake", work):
                return float(next(rate for rate in one["rates"] if rate["share"] == share)[name])
        return None

    def step(self, what: str, count: int) -> float | None:
        """CPU µs per event in one step of scaling."""
        for one in self.scaling.get("results", []):
            if (one["what"], one["count"]) == (what, count):
                return float(one["cpu_us_per_event"])
        return None

    def lost(self) -> float | None:
        """Events of the intake that were answered 2xx and did not arrive, over all that was kept."""
        if not self.costs or not self.latency:
            return None
        found = sum(one["lost"] for one in self.costs["results"] if one["peer"] == "intake")
        rates = [rate for one in self.latency["results"] if one["peer"] == "intake" for rate in one["rates"]]
        return float(found + sum(rate["lost"] for rate in rates))

    def idle_mb(self) -> float | None:
        """The largest worker, before any load; the first process is the master."""
        idle = [one for name, one in self.costs.get("idle_mb", {}).items() if name.startswith("intake")]
        return max((worker["rss"] for processes in idle for worker in processes[1:]), default=None)

    def peak_mb(self) -> float | None:
        """The most that a process of the intake had, under all loads."""
        found = [one["peak_mb"] for one in self.costs.get("results", []) if one["peer"] == "intake"]
        return max(found, default=None)


def _read(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found


def _over(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None


def _against(work: str, peer: str) -> Callable[[Figures], float | None]:
    return lambda figures: _over(figures.cost(work), figures.cost(work, peer))


def _loads(work: str) -> Callable[[Figures], float | None]:
    return lambda figures: _over(figures.cost(work), figures.floor("loads_us"))


LINGER_MS = 5.0
PEER_MARKS = [
    ("single-hasty", "rust", 0.75),
    ("single-hasty", "naive", 0.5),
    ("single-hasty", "fastapi", 0.1),
    ("single-hasty", "node", 0.25),
    ("single-hasty", "go", 1 / 3.5),
    ("single-hasty", "bare", 2.0),
    ("single-256", "rust", 0.75),
    ("batch-100", "rust", 0.7),
    ("batch-100", "naive", 0.33),
    ("batch-20-hasty", "rust", 0.8),
    ("batch-20", "rust", 0.8),
]
MARKS = [
    *(Mark(f"{work} over {peer}", most, _against(work, peer)) for work, peer, most in PEER_MARKS),
    Mark("batch-100 over orjson.loads", 2.8, _loads("batch-100")),
    Mark("batch-20-hasty over orjson.loads", 3.6, _loads("batch-20-hasty")),
    Mark("batch-20 over orjson.loads", 4.2, _loads("batch-20")),
    Mark("invalid-100 over batch-100", 2.0, lambda f: _over(f.cost("invalid-100"), f.cost("batch-100"))),
    Mark("single-256, p50 at half load", LINGER_MS + 3, lambda f: f.rate("single-256", 0.5, "p50_ms"), "ms"),
    Mark("single-256, p99.9 at half load", 25.0, lambda f: f.rate("single-256", 0.5, "p999_ms"), "ms"),
    Mark("4 workers over 1", 1.05, lambda f: _over(f.step("workers", 4), f.step("workers", 1))),
    Mark("a worker, idle", 60.0, Figures.idle_mb, "MB"),
    Mark("a worker, under load", 120.0, Figures.peak_mb, "MB"),
    Mark("events lost", 0.0, Figures.lost, ""),
]


def judged(figures: Figures) -> list[tuple[Mark, float | None, str]]:
    """Each mark with its figure and its verdict."""
    found = []
    for mark in MARKS:
        value = mark.measured(figures)
        verdict = "not measured" if value is None else "met" if value <= mark.most else "MISSED"
        found.append((mark, value, verdict))
    return found


def run(arguments: list[str]) -> int:
    """Print them. 1 unless all are met."""
    parser = argparse.ArgumentParser(prog="python -m bench marks", description=__doc__.partition("\n")[0])
    parser.add_argument("--results", type=Path, default=PLACE, help="where the figures are")
    options = parser.parse_args(arguments)
    all_judged = judged(Figures(options.results))
    print(f"{'mark':<36}{'at most':>12}{'measured':>12}")
    for mark, value, verdict in all_judged:
        most = f"{mark.most:.2f} {mark.unit}"
        told = "–" if value is None else f"{value:.2f} {mark.unit}"
        by = f", by {value / mark.most - 1:.0%}" if verdict == "MISSED" and value is not None and mark.most else ""
        print(f"{mark.what:<36}{most:>12}{told:>12}  {verdict}{by}")
    return 0 if all(verdict == "met" for _, _, verdict in all_judged) else 1
