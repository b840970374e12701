"""The commands of docs/PAGE_CHANGE.md do what the page says, on a machine where nothing else was set up."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from processors.page_change.command import EXAMPLE
from tests.harness.broker import Kafka
from tests.harness.running import ROOT

pytestmark = pytest.mark.slow(reason="starts the command")
DOCS = (ROOT / "docs" / "PAGE_CHANGE.md").read_text("utf-8")


def commands(beginning: str) -> list[str]:
    """Return the indented lines of the page that begin so, with their continuations, without remarks."""
    joined = DOCS.replace("\\\n", " ")
    lines = [line.strip() for line in joined.splitlines() if line.startswith("    ")]
    return [line.partition("  # ")[0].rstrip() for line in lines if line.startswith(beginning)]


def execute(command: str, directory: Path, **environ: str) -> list[bytes]:
    """Run a command of the page in a directory. Returns the lines that it prints."""
    words = shlex.split(command)
    if words[0] == "penstock":
        words = [sys.executable, "-m", "server", *words[1:]]
    path = {"PYTHONPATH": str(ROOT)}  # An installed penstock would have it without that.
    done = subprocess.run(words, cwd=directory, env=os.environ | path | environ, capture_output=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_the_commands_of_the_embedded_runner(tmp_path: Path) -> None:
    example, run, oracle = commands("penstock process page-change")
    begun = tmp_path / "begun"
    shutil.copytree(EXAMPLE, begun, symlinks=True)  # As the page says.

    printed = execute(example, tmp_path)
    nothing = execute(f"{run} --once", begun)
    (found,) = execute(oracle, tmp_path)

    assert [orjson.loads(line)["page_change_kind"] for line in printed].count("create") == 4
    assert nothing == []
    assert (begun / "var" / "page_change" / "events-page-change.db").exists()
    assert orjson.loads(found)["lost"] == 0


@pytest.mark.kafka
def test_the_command_of_the_flink_runner(
    tmp_path: Path, kafka_broker: Kafka, flink_python: str, flink_jars: list[str]
) -> None:
    (command,) = commands("FLINK_LOG_DIR=/tmp flink/bin/python")
    assignment, _, command = command.partition(" ")
    command = command.replace("flink/bin/python", flink_python).replace("127.0.0.1:9092", kafka_broker.servers)
    command = command.replace('"$(deploy/flink/fetch)"', flink_jars[0])

    printed = execute(command, ROOT, FLINK_LOG_DIR=str(tmp_path))

    assert assignment == "FLINK_LOG_DIR=/tmp"
    assert sorted(line for line in printed if line.startswith(b"{")) == sorted(
        execute(commands("penstock process page-change --example")[0], tmp_path)
    )
