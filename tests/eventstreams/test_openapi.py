"""The description of EventStreams says what it does: requests of all kinds get answers that it names."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.harness.streaming import Intake, Streams

# A name in the path is given, and what a filter may say is in no schema: such requests are allowed and answered 400.
LEFT_OUT = "positive_data_acceptance"
# Streams end by themselves at once, so that every answer has an end.
SHORT = {"max_age_s": 0.1, "limits": {"max_clients_per_address": 0, "max_filters": 100_000}}


def test_requests_of_all_kinds_are_answered_as_described(tmp_path: Path) -> None:
    """Schemathesis makes them: examples, every bound and one beyond it, and some at random."""
    with Intake(tmp_path) as intake, Streams(tmp_path, SHORT) as streams:
        intake.post("/a", "/b", "/c")
        host, port = streams.address
        program = [str(Path(sys.executable).with_name("st")), "--no-color", "run", f"http://{host}:{port}/?spec"]
        what = ["--checks", "all", "--exclude-checks", LEFT_OUT, "--phases", "examples,coverage,fuzzing"]
        only = ["--exclude-path-regex", "^/v2/stream/(?!web.page_view)"]
        bounds = ["--max-examples", "5", "--seed", "7", "--no-shrink", "--suppress-health-check", "all"]
        done = subprocess.run(
            [*program, *what, *only, *bounds, "--warnings", "off"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=280,
        )

        assert done.returncode == 0, done.stdout[-6000:]
        assert "internal error" not in streams.log()
