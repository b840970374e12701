"""A finding: one thing that is wrong, or odd, in the settings and declarations of an operator.

Place: settings and streams → HERE → ``penstock check``, start-up and the log.
Rule: one line names the place, the setting, the reason and a hint; it never shows the value of a secret.
Not here: the checks (config.framework.judge, config.rules, catalog.check_streams).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

Level = Literal["error", "warning"]


class Finding(Struct, frozen=True, kw_only=True):
    """``file`` is the file, or the variable or option that set the value (``line`` is then 0)."""

    level: Level
    file: str
    reason: str
    hint: str = ""
    line: int = 0
    key: str = ""
    stream: str | None = None

    def __str__(self) -> str:
        """``file:line: key: reason. hint``."""
        where = f"{self.file}:{self.line}" if self.line else self.file
        about = f"stream {self.stream}" if self.stream is not None else ""
        subject = ", ".join(part for part in (about, self.key) if part)
        text = f"{where}: {subject}: {self.reason}" if subject else f"{where}: {self.reason}"
        return f"{text}. {self.hint[:1].upper()}{self.hint[1:]}".rstrip(" ")


def errors_of(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings that prevent a start."""
    return [finding for finding in findings if finding.level == "error"]


def text_of(findings: Sequence[Finding]) -> str:
    """Return the findings as text, one per line."""
    return "\n".join(str(finding) for finding in findings)


def quoted(value: object, *, most: int = 80) -> str:
    """A value as a message shows it: the kind in YAML's words, then the value, cut when long."""
    if value is None:
        return "null"
    text = repr(value)
    return f"{kind_of(value)} {text if len(text) <= most else text[: most - 1] + '…'}"


def kind_of(value: object) -> str:
    """Return YAML's name for the kind of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "whole number"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "text"
    return "list" if isinstance(value, list) else "map"
