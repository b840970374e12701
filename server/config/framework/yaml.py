"""Read YAML 1.2 with the line of every path in it.

Place: files, the environment and the command line → HERE → document, source, and the sources of streams.
Rule: this is one of the three modules of ``server`` that import ``validators``, and it imports its YAML reader alone.
Not here: the meaning of the values.
"""

from __future__ import annotations

from typing import Any

from validators.load import yaml12


class YamlError(Exception):
    """A text that is not YAML 1.2, or has a name twice in one map; ``line`` counts from 1, 0 when unknown."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


class LeadingZeroError(YamlError):
    """A text with a number such as 010; the reason does not show it."""


def load_yaml(text: str, name: str, *, is_strict: bool = False) -> tuple[Any, dict[tuple[str | int, ...], int]]:
    """Return the value, and the line of every path in it. Raises YamlError; with ``is_strict`` LeadingZeroError for 010
    too, which other readers of YAML take for 8."""
    try:
        return yaml12.load_with_lines(text, name, is_strict=is_strict)
    except yaml12.LeadingZeroError as error:
        raise LeadingZeroError(error.line, error.reason) from None
    except yaml12.YamlError as error:
        raise YamlError(error.line, error.reason) from None
