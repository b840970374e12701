"""Compare a document with the structs, and report all faults.

Place: config.framework.document → HERE → config.load.
Rule: all faults are reported, not only the first; msgspec decides whether a value is allowed, the texts are written
here; a secret's value is in no message.
Not here: checks of settings against one another (config.rules).
"""

from __future__ import annotations

import difflib
import re
from typing import Any

import msgspec

from server.config.framework import shape
from server.config.framework.document import KeyPath, SettingsDocument, dotted
from server.config.framework.finding import Finding, kind_of, quoted
from server.config.framework.program import Program
from server.config.framework.section import Section


def judge(document: SettingsDocument, program: Program) -> list[Finding]:
    """Return all faults of the document's keys and values, in the order of the document."""
    judging = _Judging(document, program)
    judging.section(document.value, program.root, ())
    return judging.findings


def nearest(name: str, section: type[Section], above: tuple[str, ...], root: type[Section]) -> str:
    """Return a hint for an unknown name: the likeliest neighbour, or the same name elsewhere below the root."""
    known = list(shape.fields(section))
    if close := difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6):
        return f"did you mean {dotted((*above, close[0]))}?"
    elsewhere = [path for path, _ in shape.every(root) if path[-1] == name.lower()]
    if elsewhere:
        return f"did you mean {dotted(elsewhere[0])}?"
    return f"known here: {', '.join(known)}"


class _Judging:
    """One walk over a document; ``findings`` grows on the way."""

    def __init__(self, document: SettingsDocument, program: Program) -> None:
        self.findings: list[Finding] = []
        self._document = document
        self._program = program

    def section(self, value: Any, section: type[Section], path: tuple[str, ...]) -> None:
        """Judge the map of one section, whose struct is ``section``."""
        fields = shape.fields(section)
        for key, inner in value.items():
            kind = fields.get(key)
            if kind is None:
                self._add((*path, key), "unknown setting", nearest(str(key), section, path, self._program.root))
            elif (below := shape.section_of(kind)) is None:
                self._value(inner, kind, (*path, key))
                self._secrets(inner, (*path, key))
            elif isinstance(inner, dict):
                self.section(inner, below, (*path, key))
            elif inner is not None:  # A section whose lines are all commented out is null: its defaults hold.
                reason = f"found {self._shown(inner, (*path, key))}; allowed is a map of settings"
                self._add((*path, key), reason, f"known in it: {', '.join(shape.fields(below))}")

    def _value(self, value: Any, kind: Any, path: KeyPath) -> None:
        if _is_allowed(value, kind):
            return
        of_map, of_list = shape.map_of(kind), shape.list_of(kind)
        before = len(self.findings)
        if of_map is not None and isinstance(value, dict):
            for key, inner in value.items():
                if isinstance(key, str):
                    self._value(inner, of_map, (*path, key))
        elif of_list is not None and isinstance(value, list):
            for index, inner in enumerate(value):
                self._value(inner, of_list, (*path, index))
        if len(self.findings) == before:
            reason = f"found {self._shown(value, path)}; allowed is {shape.describe(kind)}"
            self._add(path, reason, _hint(value, kind, str(path[-1])))

    def _secrets(self, value: Any, path: KeyPath) -> None:
        """Report a secret that YAML reads as a number or a boolean, which changes it: 0123 is 123, 1e3 is 1000.0."""
        for key, inner in (value if isinstance(value, dict) else {}).items():
            if self._program.is_verbatim((*path, str(key))) and isinstance(inner, bool | int | float):
                reason = f"found {self._shown(inner, (*path, key))}; a secret is text"
                self._add((*path, key), reason, "put it in quotes")

    def _shown(self, value: Any, path: KeyPath) -> str:
        """Return the value for a message, or only its kind where it may hold a secret."""
        return f"{kind_of(value)} (not shown)" if self._program.holds_secret(path) else quoted(value)

    def _add(self, path: KeyPath, reason: str, hint: str) -> None:
        file, line = self._document.origin(path)
        self.findings.append(Finding(level="error", file=file, line=line, key=dotted(path), reason=reason, hint=hint))


def _is_allowed(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _hint(value: Any, kind: Any, name: str) -> str:
    if value is None:
        return "leave the line out to use the default"
    if _is_allowed([value], kind):
        return "write it as a list: [value]"
    if _is_allowed(str(value), kind) and isinstance(value, bool | int | float):
        return "put it in quotes"
    if isinstance(value, str) and re.fullmatch(r"[-+]?[0-9]+(_[0-9]+)+", value):
        return "write the number without underscores"
    if isinstance(value, str) and any(_is_allowed(number, kind) for number in _numbers(value)):
        return "write the number without quotes"
    if name.endswith("_bytes"):
        return "write bytes as a plain number: 1 MiB is 1048576"
    if name.endswith("_s"):
        return "write seconds as a plain number"
    return ""


def _numbers(text: str) -> list[float]:
    """Return the number that a text stands for, in a list, which is empty for other texts."""
    for kind in (int, float):
        try:
            return [kind(text)]
        except ValueError:
            continue
    return []
