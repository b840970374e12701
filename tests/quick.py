"""Run the quick tests as two processes, one for each core of a small machine.

Place: `make test-quick` → HERE → pytest.
Rules: each half takes about as long as the other; folders that belong to neither are given by name. What a half prints
is shown when it ends. The exit code is that of pytest: 5 if neither half has a test that was asked for.
Not here: which tests are slow (their markers), the whole suite (`make test`).
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

FIRST: Final = ("tests/server/intake", "tests/server/sink")
COMMON: Final = ("-q", "-m", "not slow and not kafka")
NO_TESTS: Final = 5


def halves(left_out: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments of pytest that choose the tests of each half."""
    ignored = [f"--ignore=tests/{name}" for name in left_out]
    # The cache of what has failed is one file, which one of them writes.
    return [*FIRST, *ignored], ["-p", "no:cacheprovider", *ignored, *(f"--ignore={folder}" for folder in FIRST)]


def main(arguments: Sequence[str]) -> int:
    """``arguments``: folders below tests that are left out, then ``--`` and what pytest is given."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "pytest", *COMMON, *half, *arguments[at + 1 :]],
            cwd=Path(__file__).parents[1],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for half in halves(arguments[:at])
    ]
    codes = []
    for process in running:
        shown, _ = process.communicate()
        sys.stdout.buffer.write(shown)
        sys.stdout.flush()
        codes.append(process.returncode)
    failed = [code for code in codes if code not in (0, NO_TESTS)]
    return failed[0] if failed else min(codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
