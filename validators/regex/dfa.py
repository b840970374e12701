"""Run a deterministic automaton over a text: one look at a table for each character.

Place: dfa_builder makes the tables → HERE → quick.generated, for each text of an event that has a pattern.
Rules: tables are for ASCII; a text with another character is given to ``otherwise``. Compiled ahead of time
(docs/decisions/0010-compiled-hot-path.md) it takes a third of the time that ``re`` takes; interpreted it would take
ten times as much, so IS_FAST says whether to use it.
Not here: which expressions have an automaton (dfa_builder).
"""

# hot path

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mypy_extensions import i64

FAILED: Final = 0  # The state in which no text that begins like this matches.
FOUND: Final = 1  # The state in which every such text matches.
START: Final = 2
SHIFT: Final = 7  # A state has a row of 128 states: one for each character.


class Dfa:
    """An automaton. ``table`` holds the rows of its states, ``accepting`` a 1 for each state in which the end of a text
    is a match. ``otherwise`` judges texts that are not ASCII."""

    def __init__(self, table: bytes, accepting: bytes, otherwise: Callable[[str], object]) -> None:
        self._table = table
        self._accepting = accepting
        self._otherwise = otherwise

    def accepts(self, text: str) -> bool:
        """Whether the expression matches somewhere in a text."""
        table = self._table
        length: i64 = len(text)
        state: i64 = START
        at: i64 = 0
        while at < length:
            code: i64 = ord(text[at])
            if code > 127:
                return bool(self._otherwise(text))
            state = table[(state << SHIFT) | code]
            if state <= FOUND:
                return state == FOUND
            at += 1
        return self._accepting[state] == 1


IS_FAST: Final[bool] = not isinstance(Dfa.accepts, FunctionType)
