"""Count what Python does, where a clock would give another answer on a busy machine.

Rule: a step is a line of Python that is run, or a call of a function in C. What one such call does inside is not seen:
it is bounded by the bytes that it is given.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


class Steps:
    """Counts while it is entered."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Steps:
        self._before = sys.gettrace(), sys.getprofile()
        sys.setprofile(self._on_call)
        sys.settrace(self._on_line)
        return self

    def __exit__(self, *_: object) -> None:
        trace, profile = self._before
        sys.settrace(trace)
        sys.setprofile(profile)

    def _on_call(self, _frame: FrameType, event: str, _argument: Any) -> None:
        self.count += event == "c_call"

    def _on_line(self, _frame: FrameType, event: str, _argument: Any) -> Any:
        self.count += event == "line"
        return self._on_line


def steps_of(work: Callable[[], object]) -> int:
    """The steps of one call."""
    with Steps() as steps:
        work()
    return steps.count
