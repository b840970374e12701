"""CI runs the suite as two processes: each test in one of them, and a second chance for few."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import whole

PASSES = "def test_passes() -> None:\n    pass\n"
FAILS = "def test_fails() -> None:\n    raise AssertionError\n"
FAILS_ONCE = """
from pathlib import Path

def test_fails_once() -> None:
    seen = Path(__file__).with_suffix(".seen")
    was_there = seen.exists()
    seen.touch()
    assert was_there
"""


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waiting: list[str], beside: list[str]) -> tuple[int, str]:
    """The exit code and what failed by chance, of a tree with these test files."""
    for folder, texts in (("process", waiting), ("server", beside)):
        (tmp_path / "tests" / folder).mkdir(parents=True)
        for number, text in enumerate(texts):
            (tmp_path / "tests" / folder / f"test_{folder}_{number}.py").write_text(text)
    monkeypatch.setattr(whole, "ROOT", tmp_path)
    monkeypatch.setattr(whole, "CACHE", tmp_path / ".pytest_cache")
    monkeypatch.setattr(whole, "BESIDE", ("server",))
    by_chance = tmp_path / "by_chance"
    code = whole.main([str(by_chance), f"--rootdir={tmp_path}"])
    return code, by_chance.read_text() if by_chance.exists() else ""


def test_both_halves_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(tmp_path, monkeypatch, [PASSES], [PASSES]) == (0, "")


@pytest.mark.parametrize(
    ("waiting", "beside"),
    [
        ([FAILS], [PASSES]),
        ([PASSES], [FAILS]),
        ([FAILS_ONCE, FAILS_ONCE], [FAILS_ONCE]),
        ([PASSES], ["import nothing"]),
    ],
    ids=["waiting", "beside", "three by chance", "not to be read"],
)
def test_a_failure_in_either_half_fails(
    waiting: list[str], beside: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(tmp_path, monkeypatch, waiting, beside) == (1, "")


def test_two_failures_have_a_second_chance_and_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, named = run(tmp_path, monkeypatch, [FAILS_ONCE], [PASSES, FAILS_ONCE])

    assert code == 0
    assert named.splitlines() == [
        "tests/process/test_process_0.py::test_fails_once",
        "tests/server/test_server_1.py::test_fails_once",
    ]


def test_no_test_beside_the_others_asks_for_a_real_kafka() -> None:
    """There, a skip for the lack of one would pass for green."""
    folders = [f"tests/{name}" for name in whole.BESIDE]
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "kafka", *folders]
    done = subprocess.run(command, cwd=whole.ROOT, capture_output=True, text=True)

    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout[-2000:]
    assert all((whole.ROOT / folder).is_dir() for folder in folders)
