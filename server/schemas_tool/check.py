"""Check a repository of schemas: all consecutive versions, and what has been released before.

Place: ``penstock schemas check`` → HERE → compare, accepted.
Rules: without a released state, each version is compared with the one before it. With one, only versions that are not
released yet are compared, and released files must not change.
Not here: how the outcome is printed (output).
"""

from __future__ import annotations

import datetime
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from server.errors import EXIT_DONE, EXIT_FOUND, UsageError
from server.schemas.judges import UnusableError, bundle_of
from server.schemas_tool import rules
from server.schemas_tool.accepted import AcceptedFile
from server.schemas_tool.compare import Comparison, compare, notes, unusable
from server.schemas_tool.finding import Finding, finding
from server.schemas_tool.making.materialize import MaterializeError, read
from server.schemas_tool.proof.gap import bare
from server.schemas_tool.versions import Version, titles_below

EXIT_UNKNOWN = 2
EXIT_WRONG_USE = 3
CONFIG = ".jsonschema-tools.yaml"


class Outcome(Struct):
    """The result of a check. ``pairs`` counts the comparisons."""

    profile: str
    schemas: int
    pairs: int
    findings: list[Finding]

    @property
    def exit_code(self) -> int:
        """0: all is compatible; 1: a break; 2: no break, and something is unknown."""
        errors = [found for found in self.findings if found.status == "error"]
        if any(found.verdict != "unknown" for found in errors):
            return EXIT_FOUND
        return EXIT_UNKNOWN if errors else EXIT_DONE


def check(
    root: Path,
    profile: str,
    bases: Sequence[Path],
    baseline: Path | None,
    accepted: Path | None,
    today: datetime.date,
) -> Outcome:
    """Check all titles below ``root``. Raises UsageError."""
    titles = titles_below(root)
    if not titles:
        raise UsageError(f"{root} holds no versioned schemas (<title>/<major.minor.patch>.yaml)")
    before = titles_below(baseline) if baseline is not None else None
    all_bases = [root, *bases]
    comparisons = [compare(old, new, profile, all_bases) for old, new in _pairs(titles, before)]
    findings = [found for each in comparisons for found in each.findings]
    findings += _released(titles, before, all_bases)
    findings += _alone(titles, before, comparisons, all_bases)
    if profile == "wmf":
        _skip_as_configured(root, comparisons)
    if accepted is not None:
        findings += AcceptedFile(accepted).apply(list(findings), today)
    count = sum(len(versions) for versions in titles.values())
    return Outcome(profile, count, len(comparisons), findings)


Titles = Mapping[str, list[Version]]


def _pairs(titles: Titles, before: Titles | None) -> Iterator[tuple[Version, Version]]:
    for title, versions in titles.items():
        known = {version.version: version for version in (before or {}).get(title, ())}
        mine = {version.version for version in versions}
        all_of_them = [*versions, *(each for name, each in known.items() if name not in mine)]
        all_of_them.sort(key=lambda version: version.numbers)
        for old, new in itertools.pairwise(all_of_them):
            if new.version not in known:
                yield old, new


def _alone(
    titles: Titles, before: Titles | None, comparisons: Sequence[Comparison], bases: Sequence[Path]
) -> Iterator[Finding]:
    """Yield what is wrong with new versions that were compared with none."""
    compared = {(each.title, each.version) for pair in comparisons for each in (pair.old, pair.new)}
    for title, versions in titles.items():
        known = {version.version for version in (before or {}).get(title, ())}
        for version in versions:
            if version.version not in known and (title, version.version) not in compared:
                yield from unusable(version, bases)
                yield from notes(version, bases)


def _released(titles: Titles, before: Titles | None, bases: Sequence[Path]) -> Iterator[Finding]:
    """Yield released files that have changed or are gone."""
    for title, versions in (before or {}).items():
        mine = {version.version: version for version in titles.get(title, ())}
        for old in versions:
            new = mine.get(old.version)
            if new is None:
                yield finding(rules.REMOVED, old, (), "incompatible", rules.REMOVED.why, before=old.version)
            elif _is_changed(old, new, bases):
                yield _edited(old, new)


def _is_changed(old: Version, new: Version, bases: Sequence[Path]) -> bool:
    """Compare texts; or, where the released state has another form, contents, which a service publishes whole."""
    if old.path.suffix == new.path.suffix:
        return old.text != new.text
    try:
        return all(old.contents != each for each in (new.contents, bundle_of(new.contents, new.uri, bases).schema))
    except (MaterializeError, UnusableError):
        return True


def _edited(old: Version, new: Version) -> Finding:
    try:
        is_meant_the_same = bare(old.contents) == bare(new.contents)
    except MaterializeError:
        is_meant_the_same = False
    is_same_for_others = is_meant_the_same and sorted(_marks(old.contents)) == sorted(_marks(new.contents))
    bump = "patch" if is_same_for_others else "minor"
    if not is_meant_the_same:
        what = "it judges events differently"
    elif not is_same_for_others:
        what = "a keyword that begins with x- differs, by which events are withheld, watched or read"
    else:
        what = "only its descriptions or its form differ"
    message = f"{rules.EDITED.why} Compared with the released file, {what}: make a new version."
    return finding(rules.EDITED, new, (), "incompatible", message, before=old.version, bump=bump)


def _marks(schema: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the keywords of a schema that begin with x-, with their places and values."""
    if isinstance(schema, list):
        for number, each in enumerate(schema):
            yield from _marks(each, f"{path}/{number}")
    elif isinstance(schema, dict):
        are_names = path.endswith(("/properties", "/patternProperties"))
        for key, value in schema.items():
            if key.startswith("x-") and not are_names:
                yield f"{path}/{key}", repr(value)
            else:
                yield from _marks(value, f"{path}/{key}")


def _skip_as_configured(root: Path, comparisons: Iterable[Comparison]) -> None:
    """Accept what the settings of jsonschema-tools tell it to skip."""
    settings: Any = read(root / CONFIG) if (root / CONFIG).is_file() else {}
    skipped = settings.get("skipSchemaTestCases", {}) if isinstance(settings, dict) else {}
    patterns = [text for text, cases in (skipped or {}).items() if "schema-version-compatibility" in (cases or ())]
    for each in comparisons:
        name = str(each.new.contents.get("$id", ""))
        if each.findings and any(re.search(text, name) for text in patterns):
            for found in each.findings:
                found.status, found.reason = "accepted", f"{CONFIG} skips it"
