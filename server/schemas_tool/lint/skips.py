"""Skips of lint: rules that a repository does not apply to some of its schemas, each with the reason.

Place: lint.lint → HERE, for ``lint-skips.yaml`` of the repository.
Rules: titles and paths are patterns of shells (``*``). A skip that covers nothing is a finding.
Not here: rules (lint.rules).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from server.config.framework.yaml import YamlError, load_yaml
from server.errors import UsageError
from server.schemas_tool.finding import Finding
from server.schemas_tool.lint import rules


class Skip(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """An entry of the file."""

    rule: str
    reason: str
    title: str = "*"
    path: str = "*"

    def covers(self, found: Finding) -> bool:
        """Whether the finding is skipped."""
        is_place = fnmatchcase(found.title, self.title) and fnmatchcase(found.path, self.path)
        return found.rule == self.rule and is_place


def apply(file: Path, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings that are not skipped, and one for each skip that covers nothing. Raises UsageError."""
    try:
        value, lines = load_yaml(file.read_text(encoding="utf-8"), str(file))
        skips = msgspec.convert(value or [], list[Skip])
    except YamlError as error:
        raise UsageError(f"{file}:{error.line}: {error.reason}") from None
    except (OSError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"{file}: {error}") from None
    used: set[Skip] = set()
    for found in findings:
        covering = [skip for skip in skips if skip.covers(found)]
        used.update(covering)
        if not covering:
            yield found
    for at, skip in enumerate(skips):
        if skip not in used:
            yield Finding(
                rule=rules.SKIP.name,
                verdict="lint",
                title=skip.title,
                version="",
                path=skip.path,
                file=str(file),
                line=lines.get((at,), 1),
                column=1,
                bump="",
                message=f"{skip.rule}: {rules.SKIP.why}",
            )
