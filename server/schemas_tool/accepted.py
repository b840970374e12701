"""Breaks that people have accepted: each with its reason, its owner and the day on which it is looked at again.

Place: check → HERE, for the file that ``--accepted`` names.
Rules: an entry names rule, title, version and path, so that it covers one break and no other. One that covers nothing
fails, and so does one whose day is over: it covers nothing any more.
Not here: what a break is (compare).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from server.config.framework.yaml import YamlError, load_yaml
from server.errors import UsageError
from server.schemas_tool import rules
from server.schemas_tool.finding import Finding


class Accepted(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """An entry of the file. ``path`` is the JSON pointer that the finding shows."""

    rule: str
    title: str
    version: str
    path: str
    reason: str
    owner: str
    expires: datetime.date

    def covers(self, found: Finding) -> bool:
        """Whether this is the break that was accepted."""
        return (self.rule, self.title, self.version, self.path) == (
            found.rule,
            found.title,
            found.version,
            found.path,
        )


class AcceptedFile:
    """The entries of one file, with the lines on which they begin."""

    def __init__(self, path: Path) -> None:
        """Raises UsageError for a file that cannot be read as such entries."""
        self._path = path
        try:
            value, lines = load_yaml(path.read_text(encoding="utf-8"), str(path))
            self._entries = msgspec.convert(value or [], list[Accepted])
        except YamlError as error:
            raise UsageError(f"{path}:{error.line}: {error.reason}") from None
        except (OSError, UnicodeDecodeError, msgspec.ValidationError) as error:
            raise UsageError(f"{path}: {error}") from None
        self._lines = [lines.get((index,), 1) for index in range(len(self._entries))]

    def apply(self, findings: Iterable[Finding], today: datetime.date) -> Iterator[Finding]:
        """Mark the findings that are accepted, and yield findings about the entries themselves."""
        waiting = [found for found in findings if found.status == "error"]
        for entry, line in zip(self._entries, self._lines, strict=True):
            covered = [found for found in waiting if entry.covers(found)]
            if entry.expires < today:
                yield self._finding(rules.EXPIRED, entry, line, f"accepted until {entry.expires} by {entry.owner}")
                continue
            for found in covered:
                found.status, found.reason = "accepted", f"{entry.reason} ({entry.owner}, until {entry.expires})"
            if not covered:
                yield self._finding(rules.UNUSED, entry, line, "this break does not happen: remove the entry")

    def _finding(self, rule: rules.Rule, entry: Accepted, line: int, message: str) -> Finding:
        return Finding(
            rule=rule.name,
            verdict="incompatible",
            title=entry.title,
            version=entry.version,
            path=entry.path,
            file=str(self._path),
            line=line,
            column=1,
            bump=rule.bump,
            message=f"{entry.rule}: {message}",
        )
