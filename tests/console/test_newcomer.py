"""The first minutes with the console, as docs/CONSOLE.md tells them: run, open, post, see why it was wrong, mend it."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.console.test_page import ROWS
from tests.harness.browsers import Chromium, free_port
from tests.harness.console_page import Page
from tests.harness.running import PATIENCE_S, ROOT, Running

TEXT = (ROOT / "docs" / "CONSOLE.md").read_text("utf-8")
BLOCKS = re.findall(r"^```(sh|text)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)


class Run(Running):
    """The command of `make run`, without making the virtual environment, on free ports."""

    def __init__(self, directory: Path, http: int, admin: int) -> None:
        program = directory / "venv" / "bin" / "penstock"
        program.parent.mkdir(parents=True)
        program.write_text(f'#!/bin/sh\nexec {sys.executable} -m server "$@"\n')
        program.chmod(0o755)
        said = subprocess.run(
            ["make", "-n", "run", f"VENV={directory / 'venv'}"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        command = shlex.split(said.stdout.splitlines()[-1].removeprefix("exec "))
        assert command == [str(program), "serve"]
        settings = [
            *("--set", f'http.listen=["127.0.0.1:{http}"]'),
            *("--set", f"admin.listen=127.0.0.1:{admin}"),
            *("--set", f"sink.sqlite.path={directory / 'events'}"),
        ]
        super().__init__(["-m", "server", *command[1:], *settings], directory / "log")


def curl(command: str, port: int) -> str:
    done = subprocess.run(
        ["sh", "-c", command.replace("127.0.0.1:8192", f"127.0.0.1:{port}")],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env={"PATH": os.environ["PATH"]},
    )
    return done.stdout


@pytest.mark.usefixtures("axe")
def test_a_newcomer_sees_why_an_event_was_refused_and_mends_it(browser: Chromium, tmp_path: Path) -> None:
    (_, wrong), (_, why), (_, right), (_, accepted) = BLOCKS
    port, admin_port = free_port(), free_port()
    with Run(tmp_path, port, admin_port) as service:
        service.says("ready: generation")
        (printed,) = service.says(r"(http://127\.0\.0\.1:\d+/console/)")[:1]
        assert printed == f"http://127.0.0.1:{admin_port}/console/"
        page = Page(browser, printed)

        refused = curl(wrong, port)
        page.until(f"{ROWS} === 1")
        page.click(".row")
        page.until("document.querySelectorAll('.detail .hint').length > 1")
        shown = page.text(".detail")
        mended = curl(right, port)
        page.until(f"{ROWS} === 2")
        first = page.text(".item .row")
        page.close()

    assert "HTTP/1.1 400" in refused
    for line in why.splitlines():
        assert line in shown
    assert accepted.strip() in mended
    assert "accepted" in first
