"""A process of ours that a test starts, watches and stops: its log, its children, its end.

Rules: every wait is for something to be so, never for a time; its deadline is far beyond what a busy machine needs, and
shows the log when it is missed. Only processes started here are signalled.
Not here: what is run (served, tests.server.master.toy).
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

ROOT = Path(__file__).parents[2]
POLL_S = 0.01
PATIENCE_S = 60.0  # Costs nothing unless a test fails. Two cores may be shared by six processes for a while.

Found = TypeVar("Found")

# A shell that runs us in the background has us ignore INT, and every process that is started here would do the same.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def eventually(look: Callable[[], Found], within_s: float = PATIENCE_S, or_show: Callable[[], str] = str) -> Found:
    """Look until what is seen is true, and return it. Fails at the deadline."""
    deadline = time.monotonic() + within_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:g} s; the log says:\n{or_show()}")
        time.sleep(POLL_S)


def children_of(pid: int) -> set[int]:
    """Living children of a process, zombies left out."""
    children = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == pid and state != "Z":
            children.add(int(stat.parent.name))
    return children


def name_of(pid: int) -> str:
    """What a process calls itself; "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Running:
    """One Python process with its log in a file. Use it in a ``with`` statement: no process outlives that."""

    def __init__(
        self, arguments: Sequence[str], log: Path, environ: dict[str, str] | None = None, **options: Any
    ) -> None:
        self._log = log
        with log.open("ab") as sink:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT,
                env=os.environ | (environ or {}),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                **options,
            )

    @property
    def pid(self) -> int:
        """The master."""
        return int(self.process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def log(self) -> str:
        """Everything said so far, by master and workers."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def workers(self) -> set[int]:
        """The pids of all living workers, companions left out."""
        return {pid for pid in self.children() if name_of(pid) == "penstock:worker"}

    def children(self) -> set[int]:
        """The pids of all living children."""
        return children_of(self.pid)

    def until(self, look: Callable[[], Found], within_s: float = PATIENCE_S) -> Found:
        """Wait for something; the log is shown when it does not come."""
        return eventually(look, within_s, self.log)

    def says(self, pattern: str, times: int = 1, within_s: float = PATIENCE_S) -> list[str]:
        """Wait until the log has this many matches of a regular expression."""
        return self.until(lambda: found if len(found := re.findall(pattern, self.log())) >= times else [], within_s)

    def signal(self, number: signal.Signals) -> None:
        """Signal the master."""
        self.process.send_signal(number)

    def exit_code(self, within_s: float = PATIENCE_S) -> int:
        """Wait for the end of the master."""
        try:
            return int(self.process.wait(within_s))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {within_s:g} s; the log says:\n{self.log()}") from None

    def end(self) -> None:
        """Make sure that neither the master nor a worker is left."""
        workers = self.workers()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        for pid in workers:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
