"""docs/openapi.yaml says what the service does: every route is in it, and all requests get answers that it names."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import yaml

from server.pages.service import description
from server.paths import Paths
from tests.harness.served import Served
from tests.process.test_answers import VALID, ask

ROOT = Path(__file__).parents[2]

# What makes an event valid is said by the schemas of a service, not by the description, which allows much more.
LEFT_OUT = "positive_data_acceptance"


def test_every_route_is_described() -> None:
    described = set(json.loads(description())["paths"])
    places = {path.partition("{")[0] + "*" if "{" in path else path for path in described}

    assert places == set(Paths)


def test_the_description_is_in_the_docs() -> None:
    assert yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text()) == json.loads(description())


def test_requests_of_all_kinds_are_answered_as_described(tmp_path: Path) -> None:
    """Schemathesis makes them: examples, every bound and one beyond it, and some at random."""
    with Served(tmp_path, workers=1, intake={"test_events": [VALID]}) as service:
        answer = ask(service, "GET", "/?spec")
        assert answer.json() == json.loads(description())
        assert ask(service, "GET", "/").status == 404
        host, port = service.address
        program = [str(Path(sys.executable).with_name("st")), "--no-color", "run", f"http://{host}:{port}/?spec"]
        what = ["--checks", "all", "--exclude-checks", LEFT_OUT, "--phases", "examples,coverage,fuzzing"]
        bounds = ["--max-examples", "5", "--seed", "7", "--no-shrink", "--suppress-health-check", "all"]
        done = subprocess.run(
            [*program, *what, *bounds, "--warnings", "off"], cwd=tmp_path, capture_output=True, text=True, timeout=220
        )

        assert done.returncode == 0, done.stdout[-6000:]
        assert "internal error" not in service.log()
