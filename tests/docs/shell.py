"""Runs the commands of a page of docs as they stand there, in one shell, and compares what they print.

A page has blocks of commands (``sh``), each of which may be followed by a block of what it prints (``text``): lines of
which every part between "…" is found in the output of the commands before. Ports of the page become free ones.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.harness.running import ROOT

END = "== end of block"


def blocks_of(page: str) -> list[tuple[str, str]]:
    """The blocks of a page of docs, each with its language."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "docs" / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def run(page: str, directory: Path, *, ports: tuple[int, ...] = (8192, 8193), root: Path = ROOT) -> None:
    """Run all commands of the page in the directory. ``ports`` are those that it names at 127.0.0.1."""
    blocks = blocks_of(page)
    program = directory / "bin" / "penstock"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m server "$@"\n')
    program.chmod(0o755)
    script = "set -e\n" + "".join(f"{text}echo '{END}'\n" for kind, text in blocks if kind == "sh")
    free = dict(zip(ports, _free_ports(len(ports)), strict=True))
    for old, new in free.items():
        script = script.replace(f"127.0.0.1:{old}", f"127.0.0.1:{new}")
    script = script.replace('export CHECKOUT="$PWD" PATH="$PWD/.venv/bin:$PATH"', "true")
    environment = os.environ | {
        "CHECKOUT": str(root),
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PENSTOCK_HTTP__LISTEN": f'["127.0.0.1:{free[8192]}"]',
        "PENSTOCK_ADMIN__LISTEN": f"127.0.0.1:{free[8193]}",
        "URL": f"http://127.0.0.1:{free[8192]}",
    }
    if 9092 in free:
        environment |= {"KAFKA_PORT": str(free[9092]), "KAFKA_CONTROLLER_PORT": str(free[9093])}
    shell = subprocess.Popen(
        ["bash", "-c", script],
        cwd=directory,
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
    for kind, text in blocks:
        if kind == "sh":
            output = next(outputs, "")
        elif kind == "text":
            for line in text.splitlines():
                missing = [part for part in line.split("…") if part.strip() not in output]
                assert missing == [], said
    assert shell.returncode == 0, said
