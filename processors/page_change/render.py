"""Write the members of an output with a function that is made from the table of its kind.

Place: tables → HERE → format.
Rules: the function does what the table says, row by row, and in its order; an object without members is left out. It is
made as source text once per kind, because reading the rows for each event took twice the time (measured).
Not here: envelope and identifiers (format).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import orjson

from processors.page_change.draft import Kind
from processors.page_change.tables import COPY, TABLES, USER_RULE, Members, Row

# Arguments: the event; its revision-create, or None; the order time; the time of the head, or None; the output, to
# which the members are added.
Render = Callable[[Members, Members | None, str, str | None, dict[str, Any]], None]
_OF_REVISION: Final = "revision-create:"


def rendering(rows: tuple[Row, ...]) -> Render:
    """Return the function that adds the members of these rows to an output."""
    constants: dict[str, Any] = {"empty": {}}
    lines = [
        "def render(event, revision, at, head, out):",
        " get = event.get",
        " more = revision.get if revision is not None else empty.get",
        " of = revision or event",
    ]
    users: set[str] = set()
    for path, members in _grouped(rows).items():
        lines.append(f" found = {'{}' if path else 'out'}")
        for row in members:
            lines += _lines(row, constants, users)
        if path:
            parent = "out" + "".join(f".setdefault({name!r}, {{}})" for name in path[:-1])
            lines.append(f" if found: {parent}[{path[-1]!r}] = found")
    exec(compile("\n".join(lines), "<page change>", "exec"), constants)
    render: Render = constants["render"]
    return render


def _grouped(rows: tuple[Row, ...]) -> dict[tuple[str, ...], list[Row]]:
    """Return the rows of each object of the output, by its path."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row.target.split(".")[:-1]), []).append(row)
    return found


def _lines(row: Row, constants: dict[str, Any], users: set[str]) -> list[str]:
    """Return the lines that set one member: the first source that the rule takes wins."""
    target = f"found[{row.target.rpartition('.')[2]!r}]"
    if row.rule is USER_RULE and row.sources[0] in users:
        # A performer is an editor too, and both are written alike.
        return [f" if user is not None: {target} = user"]
    if row.sources[0].startswith("="):
        return [f" {target} = {_read(row.sources[0])}"]
    test, take = row.rule.test, ""
    if not test:
        take = f"take{len(constants)}"
        constants[take] = row.rule.take
    of = "of" if row.sources[0].startswith(_OF_REVISION) else "event"
    lines: list[str] = []
    for depth, source in enumerate(row.sources):
        margin = " " * (depth + 1)
        if depth:
            lines.append(f"{' ' * depth}else:")
        lines.append(f"{margin}value = {_read(source)}")
        if take:
            lines.append(f"{margin}if value is not None: value = {take}(value, {of})")
        lines += [f"{margin}if {test or COPY.test}:", f"{margin} {target} = value"]
    if row.rule is USER_RULE:
        users.add(row.sources[0])
        lines.append(" user = value")
    return lines


def _read(source: str) -> str:
    """Return the expression that reads one source of a table."""
    if source == "order time":
        return "at"
    if source == "head":
        return "head"
    if source.startswith("="):
        return repr(orjson.loads(source[1:]))
    if source.startswith(_OF_REVISION):
        return f"more({source.removeprefix(_OF_REVISION)!r})"
    first, *rest = source.split(".")
    text = f"get({first!r})"
    for name in rest:
        text = f"(inner.get({name!r}) if isinstance(inner := {text}, dict) else None)"
    return text


RENDER: Final[dict[Kind, Render]] = {kind: rendering(rows) for kind, rows in TABLES.items()}
