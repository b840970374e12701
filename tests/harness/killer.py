"""End a process in the middle of its work, as SIGKILL does, at a call that is counted: the same one each time.

Rule: ``Killer`` runs in a process of its own, which ``killed`` starts; calls of functions in Python and in C count, in
one thread. It prints nothing by itself: scripts print ``calls``, so that a test knows how many there are.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from tests.harness.running import ROOT

STATUS = 9


class Killer:
    """Counts calls while it is entered, and ends the process at the call with the number ``left``; 0: at none."""

    def __init__(self, left: int) -> None:
        self.calls = 0
        self._left = left

    def __enter__(self) -> Killer:
        sys.setprofile(self._on_call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _on_call(self, _frame: FrameType, kind: str, _argument: Any) -> None:
        if kind in ("call", "c_call"):
            self.calls += 1
            if self.calls == self._left:
                os._exit(STATUS)

    def watched(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, during which calls count."""

        def call(*arguments: Any) -> Any:
            with self:
                return function(*arguments)

        return call


def killed(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a script of Python in the tree."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
