"""`make fuzz`: put cases before the judges, and bytes before the whole of it, for as long as there is time.

Place: the long run of what tests/validators/test_differential.py and tests/fuzz/test_fuzz.py begin.
Rule: every part is bounded by time and by count, and prints what to give it to go on, or to see a finding again.
Not here: the parts (tests/validators/differential, havoc, coverage, routes).
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.conftest import CORPUS
from tests.fuzz import havoc, routes
from tests.fuzz.doors import DoorsTarget
from tests.fuzz.target import Target
from tests.fuzz.wire import WireTarget
from tests.validators.differential import Tally, ask_generated, ask_hypothesis, ask_real

# Shares of the time, in the order they run in; the last one takes what is left.
SHARES = {
    "corpus": 0.2,
    "coverage": 0.1,
    "wire-coverage": 0.1,
    "doors-coverage": 0.1,
    "bytes": 0.1,
    "wire": 0.1,
    "doors": 0.1,
    "routes": 0.1,
    "hypothesis": 0.1,
    "spool-files": 0.1,
    "generated": 0.1,
}
MAX_CASES = 1_000_000


class Run:
    """One run: its bounds, and whether anything was found."""

    def __init__(self, seconds: float, cases: int, seed: int, parts: list[str]) -> None:
        self._cases = cases
        self._seed = seed
        self._parts = parts
        self._ends = time.monotonic() + seconds
        self._part_ends = 0.0
        self._next_seed = seed
        self._tally = Tally()
        self._failures = 0

    def run(self) -> bool:
        """Run the parts one after another. True: nothing was found."""
        by_name: dict[str, Callable[[], str]] = {
            "corpus": self._corpus,
            "coverage": partial(self._coverage, "bodies"),
            "wire-coverage": partial(self._coverage, "wire"),
            "doors-coverage": partial(self._coverage, "doors"),
            "bytes": partial(self._in_directory, Target),
            "wire": partial(self._havoc, WireTarget),
            "doors": partial(self._in_directory, DoorsTarget),
            "routes": self._routes,
            "hypothesis": self._hypothesis,
            "spool-files": self._spool_files,
            "generated": self._generated,
        }
        left = [name for name in SHARES if name in self._parts]
        while left:
            share = SHARES[left[0]] / sum(SHARES[name] for name in left)
            self._part_ends = time.monotonic() + share * (self._ends - time.monotonic())
            name = left.pop(0)
            start = time.monotonic()
            print(f"{name}: {by_name[name]()} ({time.monotonic() - start:.0f} s)", flush=True)
        print(f"judges: {self._tally.report()}")
        found = sum(self._tally.kinds.values())
        counted = (
            f"{self._tally.counts['cases']:,} cases, {found:,} disagreements, {self._failures} failures over bytes"
        )
        print(f"{counted}. Go on with: --seed {self._next_seed}")
        return not found and not self._failures

    def _is_late(self) -> bool:
        return time.monotonic() > self._part_ends

    def _is_enough(self) -> bool:
        return self._is_late() or self._tally.counts["cases"] >= self._cases

    def _corpus(self) -> str:
        if self._seed:
            return "the same for every seed: only seed 0 runs it"
        if not CORPUS.is_dir():
            return f"not run: there is no {CORPUS}"
        ask_real(CORPUS, self._tally, 1.0, self._seed, self._is_enough)
        counted = f"{self._tally.counts['cases']:,} cases"
        return f"{counted}, cut short" if self._is_enough() else f"{counted}, every single one"

    def _hypothesis(self) -> str:
        before, number = self._tally.counts["cases"], self._seed
        while not self._is_enough():
            ask_hypothesis(number, self._tally)
            number += 1
        return f"{self._tally.counts['cases'] - before:,} cases, rounds {self._seed} to {number - 1}"

    def _generated(self) -> str:
        before = self._tally.counts["cases"]
        while not self._is_enough():
            ask_generated(self._next_seed, self._tally)
            self._next_seed += 1
        return f"{self._tally.counts['cases'] - before:,} cases, schemas {self._seed} to {self._next_seed - 1}"

    def _in_directory(self, make: Callable[[Path], havoc.Fuzzed]) -> str:
        with tempfile.TemporaryDirectory(prefix="penstock-fuzz-") as directory:
            return self._havoc(lambda: make(Path(directory)))

    def _havoc(self, make: Callable[[], havoc.Fuzzed]) -> str:
        first = self._seed * 1_000
        after, failures = havoc.run(make(), first, lambda _number: self._is_late())
        self._failures += len(failures)
        return "\n  ".join([f"inputs {first} to {after - 1}, {len(failures)} failures", *map(str, failures)])

    def _routes(self) -> str:
        """Needs an instance of its own, and its callbacks to itself: alone for ten minutes it is `--only routes`."""
        first = self._seed * 1_000
        with tempfile.TemporaryDirectory(prefix="penstock-fuzz-") as directory, routes.client(Path(directory)) as one:
            found = one.run(first, lambda _number: self._is_late())
        self._failures += len(found.failures) + len(found.too_slow())
        longest = max((each.ms for each in found.longest()), default=0.0)
        each_time = f"{len(found.too_slow())} callbacks over {routes.MAX_CALLBACK_MS:g} ms each time"
        counted = (
            f"cases {first} to {found.after - 1}, {len(found.failures)} failures, {each_time}, "
            f"longest callback {longest:g} ms"
        )
        return "\n  ".join([counted, *map(str, found.beyond), *found.failures])

    def _spool_files(self) -> str:
        """In a process of its own: the spool's waits are shortened there."""
        seconds, first = max(1, int(self._part_ends - time.monotonic()) - 5), self._seed * 1_000
        command = [sys.executable, "-m", "tests.fuzz.spool_files", f"--first={first}", f"--seconds={seconds}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 300)
        self._failures += done.returncode != 0
        return done.stdout.rstrip().replace("\n", "\n  ") or done.stderr

    def _coverage(self, surface: str) -> str:
        if importlib.util.find_spec("atheris") is None:
            return "not run: atheris is not installed (`make fuzz` does, where there is a wheel of it)"
        seconds = max(1, int(self._part_ends - time.monotonic()) - 5)
        with tempfile.TemporaryDirectory(prefix="penstock-fuzz-") as directory:
            command = [sys.executable, "-m", "tests.fuzz.coverage", surface, str(seconds), str(self._seed), directory]
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120)
            except subprocess.TimeoutExpired:
                self._failures += 1
                return "it hung, and was ended"
        lines = (done.stderr + done.stdout).splitlines()
        if done.returncode:
            self._failures += 1
            return "\n  ".join(["a failure", *lines[-40:]])
        return ", ".join(line for line in lines if line.startswith(("stat::number_of", "stat::peak", "Done")))


def main() -> int:
    """The command line. Exit code 1: something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="of the whole run (600)")
    parser.add_argument("--cases", type=int, default=MAX_CASES, help=f"for the judges ({MAX_CASES})")
    parser.add_argument("--seed", type=int, default=0, help="where to go on (0)")
    parser.add_argument("--only", default=",".join(SHARES), help="some of the parts, by commas")
    chosen = parser.parse_args()
    parts = chosen.only.split(",")
    if unknown := set(parts) - SHARES.keys():
        parser.error(f"--only: there is no part {', '.join(sorted(unknown))}; there are {', '.join(SHARES)}")
    logging.disable(logging.INFO)
    return 0 if Run(chosen.seconds, chosen.cases, chosen.seed, parts).run() else 1


if __name__ == "__main__":
    sys.exit(main())
