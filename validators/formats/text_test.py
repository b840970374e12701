"""Describe a test of one text in the form that generated code needs.

Place: formats.plain, and the patterns of quick.structs → HERE → quick.checks, quick.generated.
Rule: a test never accepts a text that the schema refuses.
Not here: which texts a format allows (asserted, plain).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple


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


def refusing(expression: str) -> TextTest:
    """Return the test that the whole text matches an expression of Python's. A match costs an object, 0.05 µs of 0.3:
    so the expression matches the texts that do not pass."""
    return TextTest(re.compile(rf"(?!(?:{expression})\Z)").match, refuses=True)
