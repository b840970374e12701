"""Compare consecutive versions of each title, and say what a change breaks.

Place: ``penstock schemas check`` → HERE → contain, witness, wmf.
Rules:
1. ``readers``: every event that the earlier version takes, the later one takes. ``writers``: the other way round.
2. A break within a major version is an error; one between major versions is allowed, since the version says so.
3. A verdict is compatible (proved), incompatible (an event shows it) or unknown, with the reason.
Not here: breaks that were accepted (accepted), output (output).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from server.schemas.judges import Bundle, UnusableError, bundle_of
from server.schemas_tool import privacy, rules, wmf
from server.schemas_tool.finding import Finding, Verdict, finding, in_event, pointer
from server.schemas_tool.making.materialize import MaterializeError
from server.schemas_tool.proof.contain import Proof
from server.schemas_tool.proof.gap import Gap, bare
from server.schemas_tool.proof.witness import Search
from server.schemas_tool.rules import Rule
from server.schemas_tool.versions import SEVERITY, Version, bump_between

PROFILES: Final[dict[str, tuple[str, ...]]] = {
    "backward": ("readers",),
    "forward": ("writers",),
    "full": ("readers", "writers"),
    "lenient": ("readers",),
    "wmf": (),
}
_MOST_FINDINGS: Final = 200  # Of one pair of versions; the rest would say nothing new.


class Comparison(NamedTuple):
    """The outcome for two consecutive versions of a title."""

    old: Version
    new: Version
    verdict: Verdict
    bump: str
    findings: list[Finding]


def compare(old: Version, new: Version, profile: str, bases: Sequence[Path]) -> Comparison:
    """Compare two versions of a title."""
    try:
        found = list(_wmf(old, new) if profile == "wmf" else _proved(old, new, profile, bases))
        if profile != "wmf":
            found += privacy.weakened(old, _bundle(old, tuple(bases)), new, _bundle(new, tuple(bases)))
        is_changed = bare(old.contents) != bare(new.contents)
    except (UnusableError, MaterializeError, RecursionError) as error:
        found = [finding(rules.UNUSABLE, new, (), "unknown", str(error), before=old.version)]
        is_changed = True
    verdicts = {each.verdict for each in found}
    verdict: Verdict = (
        "incompatible" if "incompatible" in verdicts else "unknown" if "unknown" in verdicts else "compatible"
    )
    needed = "major" if found else "minor" if is_changed else "patch"
    actual = bump_between(old, new)
    if actual == "major" and not list(unusable(new, bases)):
        for each in found:
            each.status = "allowed"
    if profile != "wmf":
        found += _bump(old, new, verdict, needed, actual)
        found += notes(new, bases)
    return Comparison(old, new, verdict, needed, found)


def unusable(version: Version, bases: Sequence[Path]) -> Iterator[Finding]:
    """Yield a finding about a version that cannot be used by itself."""
    try:
        _bundle(version, tuple(bases)).annotated()
    except (UnusableError, MaterializeError, RecursionError) as error:
        yield finding(rules.UNUSABLE, version, (), "unknown", str(error))


def notes(version: Version, bases: Sequence[Path]) -> Iterator[Finding]:
    """Yield what is odd in a version by itself."""
    try:
        yield from privacy.withheld(version, _bundle(version, tuple(bases)))
    except (UnusableError, MaterializeError, RecursionError):
        return  # Another finding says so.


def _bump(old: Version, new: Version, verdict: Verdict, needed: str, actual: str) -> Iterator[Finding]:
    if verdict == "compatible" and SEVERITY[actual] < SEVERITY[needed]:
        message = f"{old.version} → {new.version} raises the {actual} number; this change needs the {needed} one"
        yield finding(rules.TOO_SMALL, new, ("$id",), "compatible", message, before=old.version, bump=needed)
    if verdict == "compatible" and actual == "major":
        message = f"{old.version} → {new.version} raises the major number; the {needed} one would do"
        yield finding(
            rules.TOO_LARGE, new, ("$id",), "compatible", message, before=old.version, bump=needed, status="note"
        )


def _wmf(old: Version, new: Version) -> Iterator[Finding]:
    if old.numbers[0] != new.numbers[0]:
        return
    for rule, path in wmf.differences(new.contents, old.contents):
        yield _placed(finding(rule, new, path, "incompatible", rule.why, before=old.version), old, path)


def _proved(old: Version, new: Version, profile: str, bases: Sequence[Path]) -> Iterator[Finding]:
    before, after = _bundle(old, tuple(bases)), _bundle(new, tuple(bases))
    if profile == "lenient":
        before, after = Bundle(_declared_only(before.schema)), Bundle(_tolerant(after.schema))
    for direction in PROFILES[profile]:
        first, second = (before, after) if direction == "readers" else (after, before)
        yield from _gaps(first, second, old, new, direction)


@lru_cache(maxsize=4)
def _bundle(version: Version, bases: tuple[Path, ...]) -> Bundle:
    return bundle_of(version.contents, version.uri, bases)


def _gaps(first: Bundle, second: Bundle, old: Version, new: Version, direction: str) -> Iterator[Finding]:
    search: Search | None = None
    seen: set[tuple[str, str]] = set()
    for gap in Proof(first, second).gaps():
        rule = rules.rule_of(gap.keyword)
        if (rule.name, pointer(gap.place)) in seen or len(seen) >= _MOST_FINDINGS:
            continue
        search = search or Search(first, second)
        witness, reason = _witness(search, gap)
        seen.add((rule.name, pointer(gap.place)))
        yield _of_gap(gap, rule, old, new, direction, witness, reason)


def _witness(search: Search, gap: Gap) -> tuple[Any, str]:
    if gap.keyword in ("unsupported", "depth"):
        return None, rules.rule_of(gap.keyword).why
    try:
        witness = search.witness(gap)
    except UnusableError as error:
        return None, str(error)
    return witness, "" if witness is not None else "neither a proof nor an event that shows a break was found"


def _of_gap(gap: Gap, rule: Rule, old: Version, new: Version, direction: str, witness: Any, reason: str) -> Finding:
    place = gap.place if direction == "readers" else _old_path(gap)
    verdict: Verdict = "incompatible" if witness is not None else "unknown"
    found = finding(rule, new, place, verdict, rule.why, before=old.version)
    found.where, found.direction, found.reason = in_event(gap.where), direction, reason
    if witness is not None:
        found.witness = witness
    return _placed(found, old, _old_path(gap) if direction == "readers" else gap.place)


def _old_path(gap: Gap) -> tuple[str | int, ...]:
    """Return where the first schema says something of the same keyword, or of the same value."""
    for part in gap.old:
        if isinstance(part.schema, dict) and gap.keyword in part.schema:
            return (*part.path, gap.keyword)
    return gap.old[0].path if gap.old else ()


def _placed(found: Finding, old: Version, path: tuple[str | int, ...]) -> Finding:
    found.old_file = old.name
    found.old_line, found.old_column = old.place(path)
    return found


def _declared_only(schema: Any, *, is_alone: bool = True) -> Any:
    """Close an earlier schema: writers send no properties that it does not declare."""
    if not isinstance(schema, dict):
        return schema
    found = {key: _rewritten(key, value, _declared_only) for key, value in schema.items()}
    is_union = any(key in schema for key in ("allOf", "anyOf", "oneOf", "if", "$ref", "not", "dependencies"))
    if is_alone and not is_union and "properties" in schema and schema.get("additionalProperties", True) is True:
        found["additionalProperties"] = False
    return found


def _tolerant(schema: Any, *, is_alone: bool = True) -> Any:
    """Open a later schema: readers pass over properties that they do not know."""
    if not isinstance(schema, dict):
        return schema
    found = {key: _rewritten(key, value, _tolerant) for key, value in schema.items()}
    if is_alone and found.get("additionalProperties") is False:
        del found["additionalProperties"]
    return found


def _rewritten(key: str, value: Any, rewrite: Any) -> Any:
    """Apply ``rewrite`` to the schemas below a keyword; those that judge the same value are not alone."""
    if key in ("properties", "patternProperties") and isinstance(value, dict):
        return {name: rewrite(each) for name, each in value.items()}
    if key in ("additionalProperties", "additionalItems", "items") and isinstance(value, dict):
        return rewrite(value)
    if key in ("allOf", "anyOf", "oneOf") and isinstance(value, list):
        return [rewrite(each, is_alone=False) for each in value]
    return value
