"""Scripts say what they take, and do nothing for arguments that they do not know."""

from __future__ import annotations

import subprocess

import pytest

from tests.harness.running import ROOT


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("kafka/run", "--help"), 0),
        (("kafka/run", "-h"), 0),
        (("kafka/run", "nix"), 2),
        (("kafka/run", "fetch", "nix"), 2),
        (("kafka/run", ""), 2),
        (("flink/fetch", "--help"), 0),
        (("flink/fetch", "nix"), 2),
    ],
)
def test_a_script_shows_its_usage(command: tuple[str, ...], code: int) -> None:
    done = subprocess.run(
        [ROOT / "deploy" / command[0], *command[1:]],
        capture_output=True,
        text=True,
        timeout=20,
        stdin=subprocess.DEVNULL,
    )
    shown, nothing = (done.stdout, done.stderr) if code == 0 else (done.stderr, done.stdout)

    assert done.returncode == code
    assert f"deploy/{command[0]}" in shown
    assert not nothing
