"""docs/KAFKA.md: its commands run as they stand there, with a broker that speaks TLS, a reload and an outage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import shell
from tests.harness.running import ROOT
from tests.kafka.fixtures import have_kafka

pytestmark = pytest.mark.kafka


@pytest.mark.slow(reason="a broker is started twice")
def test_the_commands_of_the_page_say_what_it_shows(tmp_path: Path) -> None:
    have_kafka()
    checkout = tmp_path / "checkout"
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / "deploy").symlink_to(ROOT / "deploy")
    python = checkout / ".venv" / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    try:
        shell.run("KAFKA.md", tmp_path, ports=(8192, 8193, 9092, 9093), root=checkout)
    finally:
        _end(tmp_path / "my-kafka-intake")


def _end(directory: Path) -> None:
    """End what a page that failed half-way has left."""
    for name in ("service.pid", "kafka.pid"):
        if (directory / name).exists():
            subprocess.run(["kill", (directory / name).read_text().strip()], capture_output=True, check=False)


def test_every_block_of_commands_is_run() -> None:
    assert {kind for kind, _ in shell.blocks_of("KAFKA.md")} == {"sh", "text", "yaml"}
