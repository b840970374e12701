"""Tell what is kept of a person, for each stream: the annotated values, and what the intake knows of the client.

Place: ``penstock schemas docs`` → HERE → validators.annotations, by schemas.repository.
Rules: a value without an annotation is listed where the intake itself fills it in with something of the client, because
it is kept as it is. Streams without any such value are named too: a report without them would not say so.
Not here: the pages of titles (telling.pages), what the actions do (server.privacy).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Final, NamedTuple

from server.schemas.judges import Bundle, UnusableError, bundle_of
from server.schemas.repository import ACTIONS
from server.schemas_tool.making.materialize import MaterializeError
from server.schemas_tool.telling.fields import fields_of
from server.schemas_tool.versions import Version

KEPT: Final = {
    "drop": "nothing",
    "hash": "a keyed hash",
    "truncate-ip": "the network: 24 bits of IPv4, 48 of IPv6",
    "coarse-time": "the hour",
    "keep": "the value",
    "": "the value",
}
STRICT: Final = {**KEPT, "hash": "nothing", "truncate-ip": "nothing", "coarse-time": "the day", "": "nothing"}
OF_CLIENT: Final = (("http", "client_ip"), ("http", "request_headers"))


class Personal(NamedTuple):
    """A value: its place in events, and the action on it, "" for one of the client that has none."""

    where: str
    action: str


def personal_in(bundle: Bundle) -> list[Personal]:
    """Return the values of persons in events of a schema, each once, by the strictest action. Raises UnusableError."""
    found: dict[str, str] = {}
    for where, action in bundle.annotated():
        before = found.get(where)
        if before is None or ACTIONS.index(action) < ACTIONS.index(before):
            found[where] = action
    for field in fields_of(bundle):
        name = ".".join(map(str, field))
        is_holder = any(place.startswith(f"{name}.") for place in found)
        if name not in found and not is_holder and any(field[: len(path)] == path for path in OF_CLIENT):
            found[name] = ""
    return [Personal(where, action) for where, action in sorted(found.items())]


def table(titles: Mapping[str, Sequence[Version]], streams: Mapping[str, Sequence[str]], bases: Sequence[Path]) -> str:
    """Return the report as a table of HTML."""
    rows = [row for title, versions in titles.items() for row in _rows(title, versions[-1], streams, bases)]
    head = "<tr><th>stream</th><th>schema</th><th>value</th><th>x-privacy</th><th>stored</th><th>strict set</th></tr>\n"
    return f"<table>{head}{''.join(rows)}</table>\n"


def _rows(title: str, version: Version, streams: Mapping[str, Sequence[str]], bases: Sequence[Path]) -> Iterator[str]:
    names = ", ".join(streams.get(title, ())) or "none that is declared here"
    schema = f"{title} {version.version}"
    try:
        found = personal_in(bundle_of(version.contents, version.uri, bases))
    except (UnusableError, MaterializeError) as error:
        yield _row(names, schema, f"cannot be read: {error}", "", "", "")
        return
    if not found:
        yield _row(names, schema, "no value that is known to be of a person", "", "", "")
    for each in found:
        yield _row(names, schema, each.where, each.action or "none", KEPT[each.action], STRICT[each.action])


def _row(*cells: str) -> str:
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>\n"
