"""Run the whole suite as two processes at once, and what failed once more by itself.

Place: `.ci/run` → HERE → pytest.
Rules: most of the suite's time is spent on waiting for processes and brokers. Those tests run alone in one process; the
tests of ``BESIDE``, which start little or wait for browsers, run in another one behind them, which gives way. What it
prints is shown when both have ended. What fails has one second chance (docs/decisions/0006-second-chance.md).
Not here: the two halves of the quick tests (tests.quick), what else CI does (.ci/run).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
BESIDE: Final = ("bench", "clients", "console", "deploy", "fuzz", "property", "server", "validators", "wire")
GIVES_WAY: Final = 5  # Of nice: the other process has clocks to meet.
MOST_BY_CHANCE: Final = 2
FAILED: Final = 1  # pytest's exit code when all tests were run.
CACHE: Final = ROOT / ".pytest_cache"  # pytest's own, of which --last-failed reads.


def halves() -> tuple[list[str], list[str]]:
    """The arguments of pytest for the tests that wait, and for those beside them: each test is in one of the two."""
    folders = [f"tests/{name}" for name in BESIDE]
    return [f"--ignore={folder}" for folder in folders], ["-o", f"cache_dir={CACHE / 'beside'}", *folders]


def last_failed(cache: Path) -> list[str]:
    """The tests that failed in the last run with this cache."""
    try:
        return sorted(json.loads((cache / "v" / "cache" / "lastfailed").read_text()))
    except FileNotFoundError:
        return []


def deserves_a_second_chance(codes: Sequence[int], failed: Sequence[str]) -> bool:
    """Whether so few tests failed that it may have been chance, and nothing else went wrong."""
    return set(codes) <= {0, FAILED} and 0 < len(failed) <= MOST_BY_CHANCE


def run_halves(arguments: Sequence[str]) -> list[int]:
    """The exit codes of both halves."""
    command = [sys.executable, "-m", "pytest", "-q", *arguments]
    waiting, beside = halves()
    with tempfile.TemporaryFile() as shown:
        # No test there needs a real Kafka, so a run without one is no failure.
        behind = subprocess.Popen(
            ["nice", "-n", str(GIVES_WAY), *command, *beside],
            cwd=ROOT,
            env=os.environ | {"REQUIRE_KAFKA": "0"},
            stdout=shown,
            stderr=subprocess.STDOUT,
        )
        codes = [subprocess.run([*command, *waiting], cwd=ROOT, check=False).returncode, behind.wait()]
        shown.seek(0)
        print(f"\nBeside it: {' '.join(BESIDE)}", flush=True)
        sys.stdout.buffer.write(shown.read())
        sys.stdout.flush()
    return codes


def run_again(failed: Sequence[str]) -> int:
    """The exit code of a run of these tests alone."""
    print("\nWhat failed, once more by itself", flush=True)
    cache = CACHE / "v" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "lastfailed").write_text(json.dumps(dict.fromkeys(failed, True)))
    return subprocess.run([sys.executable, "-m", "pytest", "-q", "--last-failed"], cwd=ROOT, check=False).returncode


def main(arguments: Sequence[str]) -> int:
    """``arguments``: a file that gets the names of what failed by chance; then what pytest is given."""
    by_chance, *rest = arguments
    for cache in (CACHE, CACHE / "beside"):
        (cache / "v" / "cache" / "lastfailed").unlink(missing_ok=True)
    codes = run_halves(rest)
    if not any(codes):
        return 0
    failed = [*last_failed(CACHE), *last_failed(CACHE / "beside")]
    if not deserves_a_second_chance(codes, failed) or run_again(failed):
        return 1
    Path(by_chance).write_text("\n".join(failed), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
