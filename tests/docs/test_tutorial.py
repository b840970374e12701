"""docs/TUTORIAL.md: its commands run as they stand there, and say what the page shows."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.running import ROOT

PAGE = (ROOT / "docs" / "TUTORIAL.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(sh|text)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
END = "== end of block"


def free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


@pytest.mark.slow(reason="a service is started, reloaded twice and drained")
def test_the_commands_of_the_tutorial_say_what_the_page_shows(tmp_path: Path) -> None:
    public, admin = free_ports(2)
    program = tmp_path / "bin" / "penstock"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m server "$@"\n')
    program.chmod(0o755)
    script = "set -e\n" + "".join(f"{text}echo '{END}'\n" for kind, text in BLOCKS if kind == "sh")
    environment = os.environ | {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PENSTOCK_HTTP__LISTEN": f'["127.0.0.1:{public}"]',
        "PENSTOCK_ADMIN__LISTEN": f"127.0.0.1:{admin}",
        "URL": f"http://127.0.0.1:{public}",
    }
    shell = subprocess.Popen(
        ["bash", "-c", script.replace("127.0.0.1:8192", f"127.0.0.1:{public}")],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        said = shell.communicate(timeout=280)[0].decode()
    finally:
        if shell.poll() is None:
            os.killpg(shell.pid, signal.SIGKILL)
    outputs = iter(said.split(END))
    output = ""
    for kind, text in BLOCKS:
        if kind == "sh":
            output = next(outputs, "")
            continue
        for line in text.splitlines():
            missing = [part for part in line.split("…") if part.strip() not in output]

            assert missing == [], said
    assert shell.returncode == 0, said


def test_every_block_of_commands_is_run() -> None:
    """A block of another kind, such as `bash`, would be shown and not run."""
    assert set(re.findall(r"^```(\w+)$", PAGE, re.MULTILINE)) == {"sh", "text"}
    assert len(BLOCKS) == len(re.findall(r"^```\w+$", PAGE, re.MULTILINE))
