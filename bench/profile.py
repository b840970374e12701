"""Draw a flame graph of a worker, with native frames, from samples that are taken from outside while it serves.

Place: `python -m bench profile`, `make profile`; budget → HERE for samples.
Rules: the sampler (py-spy) stops the worker for each sample, so nothing is measured while it looks: costs come from
rounds without it. It needs the right to trace processes. The brokers are the mock cluster.
Not here: what the samples add up to (budget).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench import measure, rounds, servers
from bench.events import ROOT
from bench.peers import start
from bench.rounds import Round
from bench.works import WORKS, Work

PLACE = ROOT / "build" / "profile"
RATE = 100  # Samples a second. Each stops the worker for about a millisecond.
SPARE_S = 1.0  # The load begins before the sampler and ends after it.


class Target(NamedTuple):
    """A running intake."""

    master: int
    worker: int
    port: int


@contextlib.contextmanager
def served(work: Work) -> Iterator[Target]:
    """The intake with one worker, warm."""
    with tempfile.TemporaryDirectory() as name, servers.mock_cluster(Path(name)) as cluster:
        port = servers.free_port()
        with start.peer("intake", port, cluster.line(), [work.workload], Path(name)) as child:
            child.wait_for(port)
            rounds.warm(child.pid, port, work)
            yield Target(child.pid, measure.worker(child.pid), port)


def sample(target: Target, work: Work, seconds: float, kind: str, file: Path) -> None:
    """Write what is sampled during a load to ``file``. Raises RuntimeError in the sampler's words."""
    kept: list[Round] = []

    def load() -> None:
        kept.append(rounds.take(target.master, target.port, work, seconds + 2 * SPARE_S, None))

    loading = threading.Thread(target=load)
    loading.start()
    command = [str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(target.worker)]
    command += ["--native", "--function", "--full-filenames", "--rate", str(RATE), "--duration", f"{seconds:.0f}"]
    command += ["--format", kind, "--output", str(file)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=seconds + 60)
    loading.join()
    if done.returncode or not file.is_file() or not kept or not kept[0].events:
        raise RuntimeError(f"nothing was sampled:\n{(done.stdout + done.stderr)[-1000:]}")


def is_missing() -> bool:
    """Whether there is no sampler here."""
    return importlib.util.find_spec("py_spy") is None and not Path(sys.executable).with_name("py-spy").exists()


def run(arguments: list[str]) -> int:
    """Draw one flame graph for each work."""
    parser = argparse.ArgumentParser(prog="python -m bench profile", description=__doc__.partition("\n")[0])
    parser.add_argument("--works", nargs="+", choices=WORKS, default=["single-hasty", "single-256", "batch-100"])
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args(arguments)
    if is_missing():
        print("profile: py-spy is not installed: make bench-venv", file=sys.stderr)
        return 2
    PLACE.mkdir(parents=True, exist_ok=True)
    for name in options.works:
        file = PLACE / f"{name}.svg"
        with served(WORKS[name]) as target:
            sample(target, WORKS[name], options.seconds, "flamegraph", file)
        print(f"{WORKS[name].title}: {file.relative_to(ROOT)}")
    return 0
