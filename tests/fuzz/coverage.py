"""`python -m tests.fuzz.coverage SURFACE SECONDS SEED DIRECTORY`: atheris looks for bytes that reach new code.

Place: __main__ runs it as a process of its own, in a directory that it removes: atheris ends its process itself.
Rule: an exception that escapes, an input that takes longer than MAX_INPUT_S or more memory than MAX_RSS_MB ends the
run with its input, and with an exit code that is not 0.
Not here: what is checked (target: bodies; wire: connections; doors: content types, encodings, queries).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import atheris

if TYPE_CHECKING:
    from tests.fuzz.havoc import Fuzzed

MAX_INPUT_S = 5
MAX_RSS_MB = 1_024
MAX_BYTES = 4_096


def main() -> None:
    """Never returns."""
    surface, seconds, seed, directory = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    with atheris.instrument_imports(include=["validators", "server.intake", "server.http"]):
        from tests.fuzz.doors import DoorsTarget
        from tests.fuzz.target import Target  # What is instrumented must not be imported before.
        from tests.fuzz.wire import WireTarget

    targets: dict[str, Callable[[], Fuzzed]] = {
        "wire": WireTarget,
        "doors": lambda: DoorsTarget(directory / "doors"),
        "bodies": lambda: Target(directory),
    }
    target = targets[surface]()
    seeds = directory / "seeds"
    seeds.mkdir(exist_ok=True)  # What an earlier run has found goes on from there.
    for at, raw in enumerate(target.seeds):
        (seeds / f"{at}").write_bytes(raw)
    options = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        f"-seed={seed + 1}",  # 0 would be a random one.
        f"-timeout={MAX_INPUT_S}",
        f"-rss_limit_mb={MAX_RSS_MB}",
        f"-max_len={MAX_BYTES}",
        f"-artifact_prefix={tempfile.gettempdir()}/penstock-fuzz-",  # Kept: it is the finding.
        "-print_final_stats=1",
        "-verbosity=1",
        str(seeds),
    ]
    atheris.Setup(options, target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
