"""A run says on which Kafka it ran and what a red line means, and fails where a real one is required and lacking."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PASSES = "def test_it(kafka_node): assert kafka_node\n"
FIXTURE = "import pytest\n@pytest.fixture\ndef kafka_node():\n    return 1\n"
OTHER = "\ndef test_other(kafka_node):\n    import pytest\n    pytest.skip('no corpus')\n"
LACKS = FIXTURE.replace("return 1", "pytest.skip('no real Kafka: Java is missing')")


def run(tmp_path: Path, text: str, *options: str, **environ: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "test_some.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-o", f"cache_dir={tmp_path / 'cache'}"]
    command += [f"--confcutdir={ROOT / 'tests'}", "-c", str(ROOT / "pyproject.toml"), "-p", "tests.conftest"]
    command += [*options, str(tmp_path)]
    clean = {name: value for name, value in os.environ.items() if name != "REQUIRE_KAFKA"}
    return subprocess.run(command, cwd=ROOT, env=clean | environ, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (FIXTURE + PASSES, "Kafka: real Apache Kafka 4."),
        (LACKS + PASSES, "Kafka: mock cluster only: 1 test skipped because Java is missing"),
        (FIXTURE + PASSES + OTHER, "Kafka: real Apache Kafka 4."),
        ("def test_it(): pass\n", "Kafka: no test of this run needed one"),
    ],
)
def test_the_last_lines_name_the_kafka(text: str, line: str, tmp_path: Path) -> None:
    result = run(tmp_path, text)

    assert result.returncode == 0, result.stdout + result.stderr
    assert line in result.stdout


@pytest.mark.parametrize(("text", "is_red"), [("def test_it(): assert 0\n", True), ("def test_it(): pass\n", False)])
def test_a_red_line_is_explained(text: str, is_red: bool, tmp_path: Path) -> None:
    result = run(tmp_path, text)

    assert ("FAILED names a test whose claim does not hold" in result.stdout) == is_red


def test_make_test_shows_each_part_and_the_slowest_tests() -> None:
    """With -q there is a line for each hundred tests, and none for a file."""
    said = subprocess.run(["make", "-n", "test"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    (command,) = [line for line in said.stdout.splitlines() if "-m pytest" in line]

    assert "--durations" in command
    assert " -q" not in command


@pytest.mark.parametrize(
    ("text", "code"),
    [(FIXTURE + PASSES, 0), (FIXTURE + PASSES + OTHER, 0), (LACKS + PASSES, 1), ("def test_it(): pass\n", 1)],
)
def test_a_required_kafka_that_is_lacking_fails_the_run(text: str, code: int, tmp_path: Path) -> None:
    result = run(tmp_path, text, REQUIRE_KAFKA="1")

    assert result.returncode == code, result.stdout + result.stderr


@pytest.mark.parametrize(("mended", "code"), [("def test_it(): pass\n", 0), (LACKS + PASSES, 1)])
def test_what_failed_runs_again_without_a_kafka_that_it_needs_not(mended: str, code: int, tmp_path: Path) -> None:
    first = run(tmp_path, "def test_it(): assert False\n", REQUIRE_KAFKA="1")
    again = run(tmp_path, mended, "--last-failed", REQUIRE_KAFKA="1")

    assert first.returncode == 1, first.stdout + first.stderr
    assert again.returncode == code, again.stdout + again.stderr
