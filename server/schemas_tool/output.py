"""Print findings: as text, as JSON, for JUnit, for the reviews of GitHub and GitLab, and as Markdown.

Place: ``penstock schemas check`` and ``lint`` → HERE → standard output.
Rules: the same findings give the same bytes. Text from schemas is escaped for the form in which it is written.
Not here: what a finding is (finding).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from msgspec import UNSET

from server.schemas_tool import rules
from server.schemas_tool.finding import Finding

_LEVELS: Final = {"error": "error", "note": "notice", "accepted": "notice", "allowed": "notice"}


def text(findings: Sequence[Finding], summary: str) -> str:
    """Return findings with the lines that they are about."""
    return "\n".join([*(line for found in findings for line in _told(found)), summary]) + "\n"


def _told(found: Finding) -> Iterator[str]:
    about = found.verdict if found.status == "error" else f"{found.verdict}, {found.status}"
    change = f"{found.before} → {found.version}" if found.before else found.version
    yield f"{found.file}:{found.line}:{found.column}: {found.rule} ({about})"
    yield f"    {found.title} {change}{f', at {found.where}' if found.where else ''}: {found.message}"
    yield from _excerpt(found)
    if found.old_file:
        yield f"    before: {found.old_file}:{found.old_line}:{found.old_column}"
    if found.witness is not UNSET:
        taken = (
            "an event that the later version takes and the earlier refuses"
            if found.direction == "writers"
            else ("an event that the earlier version takes and the later refuses")
        )
        yield f"    {taken}: {json.dumps(found.witness, ensure_ascii=False)}"
    if found.reason:
        yield f"    {found.reason}"
    if found.rule == rules.UNUSABLE.name and found.status == "error":
        yield "    needed: a schema that can be used"
    elif found.bump and found.status == "error":
        yield f"    needed: a new {found.bump} version, or an entry in the file of accepted breaks"
    yield ""


def _excerpt(found: Finding) -> Iterator[str]:
    try:
        lines = Path(found.file).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    if 0 < found.line <= len(lines):
        yield f"    {found.line:5} | {lines[found.line - 1]}"
        yield f"          | {' ' * (found.column - 1)}^"


def as_json(findings: Sequence[Finding], summary: str) -> str:
    """Return one object; its names are a contract."""
    return (
        json.dumps(
            {"summary": summary, "findings": [found.as_json() for found in findings]}, indent=2, ensure_ascii=False
        )
        + "\n"
    )


def junit(findings: Sequence[Finding], summary: str) -> str:
    """Return a report of test cases, one for each finding."""
    failures = sum(found.status == "error" for found in findings)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuite name="penstock schemas" tests="{max(1, len(findings))}" failures="{failures}">',
    ]
    for found in findings:
        name = quoteattr(f"{found.title} {found.version} {found.path}")
        lines.append(f"  <testcase classname={quoteattr(found.rule)} name={name} file={quoteattr(found.file)}>")
        if found.status == "error":
            body = escape("\n".join(_told(found)))
            lines.append(f"    <failure message={quoteattr(found.message)}>{_xml(body)}</failure>")
        lines.append("  </testcase>")
    if not findings:
        lines.append(f'  <testcase classname="schemas" name={quoteattr(summary)}/>')
    return "\n".join([*lines, "</testsuite>"]) + "\n"


def _xml(body: str) -> str:
    """Leave out the characters that XML 1.0 cannot hold."""
    return "".join(char for char in body if char in "\t\n\r" or " " <= char <= "\ud7ff" or char > "\ue000")


def github(findings: Sequence[Finding], summary: str) -> str:
    """Return workflow commands, which GitHub shows at the lines of a review."""
    lines = [
        f"::{_LEVELS[found.status]} file={_property(found.file)},line={found.line},col={found.column},"
        f"title={_property(found.rule)}::{_message(_short(found))}"
        for found in findings
    ]
    return "\n".join([*lines, summary]) + "\n"


def _message(value: str) -> str:
    return value.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    return _message(value).replace(":", "%3A").replace(",", "%2C")


def _short(found: Finding) -> str:
    event = found.as_json().get("witness")
    shown = f" Event: {json.dumps(event, ensure_ascii=False)}" if event is not None else ""
    return f"{found.title} {found.version}{found.path}: {found.message}{shown}"


def gitlab(findings: Sequence[Finding], summary: str) -> str:
    """Return a Code Quality report."""
    entries: list[dict[str, Any]] = [
        {
            "description": _short(found),
            "check_name": found.rule,
            "fingerprint": hashlib.sha256(
                "\n".join((found.rule, found.title, found.version, found.path, found.direction)).encode()
            ).hexdigest(),
            "severity": "major" if found.status == "error" else "info",
            "location": {"path": found.file, "lines": {"begin": found.line}},
        }
        for found in findings
    ]
    return json.dumps(entries, indent=2, ensure_ascii=False) + "\n"


def markdown(findings: Sequence[Finding], summary: str) -> str:
    """Return a table for a comment or a page."""
    lines = [summary, ""]
    if findings:
        lines += ["| file | rule | verdict | bump | |", "|---|---|---|---|---|"]
    for found in findings:
        about = found.verdict if found.status == "error" else f"{found.verdict}, {found.status}"
        cells = (f"{found.file}:{found.line}", found.rule, about, found.bump, _short(found))
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


FORMATS: Final[dict[str, Callable[[Sequence[Finding], str], str]]] = {
    "text": text,
    "json": as_json,
    "junit": junit,
    "github": github,
    "gitlab": gitlab,
    "markdown": markdown,
}
