"""Describe a test of one text in the form that generated code needs.

Place: formats.plain, and the patterns of quick.structs → HERE → quick.checks, quick.generated.
Rule: a test never accepts a text that the schema refuses.
Not here: which texts a format allows (asserted, plain).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from validators.regex import pattern


class TextTest(NamedTuple):
    """``call`` returns a true value when the text passes; it may raise ValueError when it does not.

    ``beside`` is a further condition, written in Python, that must also hold; ``{x}`` stands for the text.
    ``for_short``, where there is one, is called instead for texts of up to pattern.SHORT characters. With ``refuses``
    both functions return a true value when the text does not pass.
    """

    call: Callable[[str], Any]
    beside: str = ""
    for_short: Callable[[str], Any] | None = None
    refuses: bool = False


def automatic(expression: str) -> TextTest | None:
    """Return the test that an automaton finds an expression of ECMA-262 in a text, or None."""
    found = pattern.dfa(expression)
    return None if found is None else TextTest(found.accepts)


def searching(expression: str) -> TextTest:
    """Return the test that ``re`` or RE2 finds an expression of ECMA-262 in a text. A match costs an object, 0.05 µs of
    0.3: so an expression for ``re`` matches the texts that do not pass, if it can."""
    refuser = pattern.refuser(expression)
    if refuser is not None:
        return TextTest(refuser.match, refuses=True)
    short = pattern.for_short(expression)
    return TextTest(pattern.compiled(expression).search, for_short=None if short is None else short.search)
