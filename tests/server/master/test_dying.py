"""What a child that a fatal signal ends leaves in the log of a real service."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness.running import PATIENCE_S, ROOT
from tests.harness.served import Served

LEFT = "was ended by a fatal signal: the stacks of its threads"


def records(service: Served) -> list[dict[str, Any]]:
    """Every line of the log. A line that is not JSON fails the test."""
    return [json.loads(line) for line in service.log().splitlines()]


@pytest.mark.slow(reason="a service is started")
@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV])
def test_the_stacks_of_workers_that_die_at_once_are_one_json_record_each(tmp_path: Path, number: int) -> None:
    """Two die at the same time, and no line of the log is anything but JSON."""
    with Served(tmp_path, log={"style": "json"}) as service:
        victims = service.workers()
        for victim in victims:
            os.kill(victim, number)
        service.says("died: SIG", times=2)
        left = [record for record in records(service) if LEFT in record["message"]]

        assert {int(record["message"].split()[1]) for record in left} == victims
        for record in left:
            assert record["level"] == "error"
            assert record["stacks"].count("Fatal Python error") == 1
            assert "server/worker/process.py" in record["stacks"]
        service.until(lambda: len(service.workers() - victims) == 2)


@pytest.mark.slow(reason="a service is started")
def test_in_a_terminal_the_stacks_are_lines(tmp_path: Path) -> None:
    with Served(tmp_path, workers=1, log={"style": "text"}) as service:
        (victim,) = service.workers()
        os.kill(victim, signal.SIGABRT)
        service.says("died: SIGABRT")

        assert "stacks of its threads\n  Fatal Python error: Aborted\n" in service.log()


DYING = """
import os, signal
from server.shared.stacks import Stacks

stacks = Stacks()
pid = os.fork()
if not pid:
    stacks.leave_when_dying(3)
    os.kill(os.getpid(), signal.SIGABRT)
os.waitpid(pid, 0)
print([stacks.left_by(row).partition(chr(10))[0] for row in (2, 3, 3)])
"""


def test_what_a_row_left_is_read_once() -> None:
    """A later child of the same row must not be blamed for it."""
    done = subprocess.run([sys.executable, "-c", DYING], cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)

    assert done.stdout == "['', 'Fatal Python error: Aborted', '']\n", done.stderr
    assert done.stderr == ""
