"""A finding: one thing that a change breaks, or that is wrong with a schema.

Place: compare, lint → HERE → output.
Rules: the names of the members are those of the JSON output, on which others rely.
Not here: how findings are printed (output).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

if TYPE_CHECKING:
    from server.schemas_tool.rules import Rule
    from server.schemas_tool.versions import Version

Verdict = Literal["compatible", "incompatible", "unknown", "lint"]
Status = Literal["error", "accepted", "allowed", "note"]


class Finding(Struct, kw_only=True, omit_defaults=True):
    """``path`` is a JSON pointer in the schema, ``where`` the place in an event. ``status``: an ``accepted`` break
    stands in the file of accepted breaks, an ``allowed`` one is covered by the version; only an ``error`` fails."""

    rule: str
    verdict: Verdict
    title: str
    version: str
    path: str
    file: str
    line: int
    column: int
    bump: str
    message: str
    status: Status = "error"
    where: str = ""
    before: str = ""
    direction: str = ""
    old_file: str = ""
    old_line: int = 0
    old_column: int = 0
    reason: str = ""
    witness: Any | UnsetType = UNSET

    def as_json(self) -> dict[str, Any]:
        """Return the members for the JSON output."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return {"status": "error", **found}


def pointer(path: tuple[str | int, ...]) -> str:
    """Return a path as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def in_event(where: tuple[str | int, ...]) -> str:
    """Return a place in an event as text: ``.meta.tags[]``; ``.*`` is any property."""
    return "".join(f"[{step}]" if isinstance(step, int) else step if step == "[]" else f".{step}" for step in where)


def finding(
    rule: Rule,
    version: Version,
    path: tuple[str | int, ...],
    verdict: Verdict,
    message: str,
    *,
    before: str = "",
    bump: str | None = None,
    status: Status = "error",
) -> Finding:
    """Return a finding about a version, at a path of its schema."""
    line, column = version.place(path)
    return Finding(
        rule=rule.name,
        verdict=verdict,
        title=version.title,
        version=version.version,
        path=pointer(path),
        file=version.name,
        line=line,
        column=column,
        bump=bump or rule.bump,
        message=message,
        before=before,
        status=status,
    )
