"""Findings about annotations: what a version stores that the one before did not, and conditions on what is not stored.

Place: compare → HERE → judges.
Rules: a weaker annotation breaks no event, and breaks a promise to those whom the value is about: within a major
version it is an error, which an accepted break records. So does ``keep`` on a value of the client that had no
annotation: the strict set left it out. A condition on a withheld value is a note of its version.
Not here: annotations that cannot be obeyed, which make a schema unusable; lint of one schema (lint.privacy).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from server.schemas.judges import Bundle, UnusableError
from server.schemas_tool import rules
from server.schemas_tool.finding import Finding, finding
from server.schemas_tool.telling.personal import personal_in
from server.schemas_tool.versions import Version

_STORED: Final = {
    "drop": "not stored",
    "hash": "hashed",
    "truncate-ip": "cut to its network",
    "coarse-time": "cut to its hour",
    "keep": "stored as it is",
}


def weakened(old: Version, before: Bundle, new: Version, after: Bundle) -> Iterator[Finding]:
    """Yield a finding for each value of which the later version stores more. Raises UnusableError."""
    for each in before.weakened(after):
        what = f"{each.field!r} was {_STORED[each.before]}, and is {_STORED[each.now]} now"
        yield _found(old, new, each.field, each.path, what)
    for field in _kept_of_client(before, after):
        path = tuple(step for name in field.split(".") for step in ("properties", name))
        yield _found(old, new, field, path, f"{field!r} was left out of the strict set, and is stored in it now")


def _kept_of_client(before: Bundle, after: Bundle) -> list[str]:
    """Return the values of the client that only the later version keeps on purpose, of those that both have."""
    try:
        left_out = [each.where for each in personal_in(before) if not each.action]
    except UnusableError:  # By this version no event was ever stored.
        return []
    kept = [each.where for each in personal_in(after) if each.action == "keep"]
    return [where for where in kept if any(where == each or where.startswith(f"{each}.") for each in left_out)]


def _found(old: Version, new: Version, field: str, path: tuple[str | int, ...], what: str) -> Finding:
    found = finding(rules.PRIVACY, new, path, "incompatible", f"{rules.PRIVACY.why} {what}.", before=old.version)
    found.where = f".{field}"
    found.old_file = old.name
    found.old_line, found.old_column = old.place((*path, "x-privacy"))
    return found


def withheld(version: Version, bundle: Bundle) -> Iterator[Finding]:
    """Yield a note for each expectation of a version that judges values which are not stored."""
    for odd in bundle.odd_expectations():
        path = version.path_of(odd.pointer)
        message = f"{rules.WITHHELD.why} The expectation {odd.pointer} {odd.reason}."
        yield finding(rules.WITHHELD, version, path, "compatible", message, status="note")
