"""Lint the newest version of each title of a repository, and the streams that use them.

Place: ``penstock schemas lint`` → HERE → lint.schema, lint.title, lint.skips.
Rules: older versions are released, so that nothing about them can be changed. The order is that of titles and files.
Not here: how findings are printed (output).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

from server.errors import UsageError
from server.schemas_tool.finding import Finding, pointer
from server.schemas_tool.lint import rules, skips
from server.schemas_tool.lint.schema import Remark, remarks_of
from server.schemas_tool.lint.title import remarks_on
from server.schemas_tool.making.materialize import MaterializeError
from server.schemas_tool.streams import titles_named_in
from server.schemas_tool.versions import Version, titles_below

SKIPS: Final = "lint-skips.yaml"


def lint(root: Path, bases: Sequence[Path], streams: Sequence[Path], skipped: Collection[str] = ()) -> list[Finding]:
    """Return the findings; ``skipped`` are rules that are not applied at all. Raises UsageError."""
    titles = titles_below(root)
    if not titles:
        raise UsageError(f"{root} holds no versioned schemas (<title>/<major.minor.patch>.yaml)")
    unknown = sorted(set(skipped) - {rule.name for rule in rules.ALL})
    if unknown:
        raise UsageError(f"there is no rule {unknown[0]!r}")
    newest = [versions[-1] for versions in titles.values()]
    found = [each for version in newest for each in _of_version(version, [root, *bases])]
    found += [each for path in streams for each in _of_streams(path, titles)]
    found = [each for each in found if each.rule not in skipped]
    if (root / SKIPS).is_file():
        found = list(skips.apply(root / SKIPS, found))
    return found


def _of_version(version: Version, bases: Sequence[Path]) -> Iterator[Finding]:
    try:
        remarks = [*remarks_on(version, bases), *remarks_of(version.contents)]
    except MaterializeError as error:
        remarks = [Remark(rules.BROKEN, (), f"{rules.BROKEN.why} {error}")]
    for remark in dict.fromkeys(remarks):
        line, column = version.place(remark.path)
        yield Finding(
            rule=remark.rule.name,
            verdict="lint",
            title=version.title,
            version=version.version,
            path=pointer(remark.path),
            file=version.name,
            line=line,
            column=column,
            bump="",
            message=remark.message or remark.rule.why,
            status="error" if remark.rule.is_error else "note",
        )


def _of_streams(path: Path, titles: Collection[str]) -> Iterator[Finding]:
    """Yield a finding for each stream of a file whose title has no schema."""
    for named in titles_named_in(path):
        if named.title in titles:
            continue
        yield Finding(
            rule=rules.STREAM.name,
            verdict="lint",
            title=named.title,
            version="",
            path=pointer(named.path),
            file=str(path),
            line=named.line,
            column=1,
            bump="",
            message=f"The stream {named.stream} names {named.title!r}. {rules.STREAM.why}",
        )
