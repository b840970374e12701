"""`python -m tests.fuzz.coverage SECONDS SEED`: let atheris look for bytes that reach new code, and hand them over.

Place: __main__ runs it as a process of its own, for atheris ends the process that it runs in.
Rule: an exception that escapes, an input that takes longer than MAX_INPUT_S or more memory than MAX_RSS_MB ends the
run with its input, and with an exit code that is not 0.
Not here: what is checked (target).
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

MAX_INPUT_S = 5
MAX_RSS_MB = 1_024
MAX_BYTES = 4_096


def main() -> None:
    """Never returns."""
    seconds, seed = int(sys.argv[1]), int(sys.argv[2])
    with atheris.instrument_imports(include=["validators", "server.intake"]):
        from tests.fuzz.target import Target  # What is instrumented must not be imported before.

    with tempfile.TemporaryDirectory(prefix="penstock-fuzz-") as directory:
        target = Target(Path(directory))
        seeds = Path(directory, "seeds")
        seeds.mkdir()
        for at, raw in enumerate(target.seeds):
            (seeds / f"{at}").write_bytes(raw)
        options = [
            sys.argv[0],
            f"-max_total_time={seconds}",
            f"-seed={seed + 1}",  # 0 would be a random one.
            f"-timeout={MAX_INPUT_S}",
            f"-rss_limit_mb={MAX_RSS_MB}",
            f"-max_len={MAX_BYTES}",
            f"-artifact_prefix={tempfile.gettempdir()}/penstock-fuzz-",
            "-print_final_stats=1",
            "-verbosity=1",
            str(seeds),
        ]
        atheris.Setup(options, target.run)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
