"""A process of ours that a test starts, watches and stops: its log, its children, its end.

Rules: every wait is for a condition, never for a time. Its deadline is far beyond the needs of a busy machine, and the
failure shows the log. Only processes started here are signalled.
Not here: the programs that are run (served, tests.server.master.toy).
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
PATIENCE_S = 60.0  # It costs nothing unless a test fails. Six processes may share two cores for a while.

Found = TypeVar("Found")

# A shell that runs us in the background makes us ignore INT, and every process started here would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def eventually(look: Callable[[], Found], within_s: float = PATIENCE_S, or_show: Callable[[], str] = str) -> Found:
    """Call ``look`` until its result is true, and return that. Fails at the deadline."""
    deadline = time.monotonic() + within_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:g} s; the log says:\n{or_show()}")
        time.sleep(POLL_S)


def open_things() -> tuple[int, int]:
    """Descriptors and threads of this process."""
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


def children_of(pid: int) -> set[int]:
    """Return the living children of a process, without zombies."""
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
    """Return the name of a process; "" if it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def is_alive(pid: int) -> bool:
    """Whether the process exists and is not a zombie."""
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
        """The pid of the master."""
        return int(self.process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def log(self) -> str:
        """Return the log so far, of master and workers."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def workers(self) -> set[int]:
        """Return the pids of all living workers, without companions."""
        return {pid for pid in self.children() if name_of(pid) == "penstock:worker"}

    def children(self) -> set[int]:
        """Return the pids of all living children."""
        return children_of(self.pid)

    def until(self, look: Callable[[], Found], within_s: float = PATIENCE_S) -> Found:
        """Wait for a condition; the failure shows the log."""
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
        """Kill the master and the workers that are left."""
        workers = self.workers()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        for pid in workers:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
