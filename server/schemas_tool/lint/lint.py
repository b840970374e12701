"""Lint the newest version of each title of a repository, and the streams that use them.

Place: ``penstock schemas lint`` → HERE → lint.schema, lint.title, lint.skips.
Rules: older versions are released, so that nothing about them can be changed. The order is that of titles and files.
Not here: how findings are printed (output).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from server.config.framework.yaml import YamlError, load_yaml
from server.errors import UsageError
from server.schemas_tool.finding import Finding, pointer
from server.schemas_tool.lint import rules, skips
from server.schemas_tool.lint.schema import Remark, remarks_of
from server.schemas_tool.lint.title import remarks_on
from server.schemas_tool.making.materialize import MaterializeError
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


def _of_streams(path: Path, titles: Mapping[str, Any]) -> Iterator[Finding]:
    """Yield a finding for each stream of a file whose title has no schema."""
    try:
        value, lines = load_yaml(path.read_text(encoding="utf-8"), str(path))
    except YamlError as error:
        raise UsageError(f"{path}:{error.line}: {error.reason}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from None
    is_wrapped = isinstance(value, dict) and isinstance(value.get("streams"), dict)
    entries = value["streams"] if is_wrapped else value
    for name, settings in entries.items() if isinstance(entries, dict) else ():
        title = settings.get("schema_title") if isinstance(settings, dict) else None
        if title is None or title in titles:
            continue
        at = ("streams", name) if is_wrapped else (name,)
        yield Finding(
            rule=rules.STREAM.name,
            verdict="lint",
            title=str(title),
            version="",
            path=pointer(at),
            file=str(path),
            line=lines.get((*at, "schema_title"), lines.get(at, 1)),
            column=1,
            bump="",
            message=f"The stream {name} names {title!r}. {rules.STREAM.why}",
        )
