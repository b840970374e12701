"""Which streams, fields, values of enumerations and branches of schemas the events of a test run had.

Place: console.ring calls it with each row → HERE → console.routes, for the page and ``penstock coverage``.
Rules: bounded in paths and values. An event of a session is counted for the session and for all together.
Not here: which branch an event takes (console.checks.branches).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, Final

from server.console.checks.branches import branches, taken
from server.console.copying.copies import ACCEPTED, OBSERVED, SPOOLED
from server.console.rows import Row

MAX_SESSIONS: Final = 200
MAX_PATHS: Final = 2_000
MAX_VALUES: Final = 50
MAX_LEVELS: Final = 12
MAX_VALUE_CHARS: Final = 60
GOOD: Final = frozenset({ACCEPTED, OBSERVED, SPOOLED})


class Seen:
    """The events seen of one session: by schema, the paths of members, by path the values of short strings, and the
    branches that were taken."""

    def __init__(self) -> None:
        self.streams: dict[str, int] = {}
        self.schemas: dict[str, dict[str, set[str]]] = {}
        self.branches: dict[str, set[str]] = {}

    def add(self, row: Row, decoded: Any, declared: Any) -> None:
        stream, schema = row.summary.get("stream", ""), row.summary.get("schema", "")
        if len(self.streams) < MAX_PATHS:
            self.streams[stream] = self.streams.get(stream, 0) + 1
        paths = self.schemas.setdefault(schema, {}) if len(self.schemas) < MAX_SESSIONS else {}
        if schema in self.schemas:
            self.branches.setdefault(schema, set()).update(taken(decoded, declared))
        for path, value in leaves(decoded):
            if path not in paths and len(paths) >= MAX_PATHS:
                return
            values = paths.setdefault(path, set())
            if isinstance(value, str) and len(value) <= MAX_VALUE_CHARS and len(values) < MAX_VALUES:
                values.add(value)


class Coverage:
    """The coverage of all sessions; "" is all events together. ``schema_of`` returns a schema by its URI."""

    def __init__(self, schema_of: Callable[[str], Any]) -> None:
        self._schema_of = schema_of
        self._sessions: OrderedDict[str, Seen] = OrderedDict()

    def add(self, row: Row) -> None:
        """Count a row of a session."""
        test = row.summary.get("test")
        if row.event is None or row.summary["verdict"] not in GOOD or test is None:
            return  # Without a session there is no test run: its events are not looked through.
        decoded, declared = row.decoded(), self._schema_of(row.summary.get("schema", ""))
        for name in ("", test):
            seen = self._sessions.setdefault(name, Seen())
            seen.add(row, decoded, declared)
        while len(self._sessions) > MAX_SESSIONS:
            oldest = next(name for name in self._sessions if name)
            del self._sessions[oldest]

    def document(self, test: str) -> dict[str, Any]:
        """Return what a session had of the schemas that it used, and what it never had."""
        seen = self._sessions.get(test, Seen())
        schemas = []
        for uri in sorted(uri for uri in seen.schemas if uri):
            schema = self._schema_of(uri)
            if schema is None:
                continue
            paths = seen.schemas[uri]
            fields = dict(declared_paths(schema))
            missing = sorted(path for path in fields if path not in paths)
            enums = {path: sorted(set(values) - paths.get(path, set())) for path, values in fields.items() if values}
            all_branches = dict.fromkeys(branches(schema))
            schemas.append(
                {
                    "schema": uri,
                    "fields": len(fields),
                    "seen": len(fields) - len(missing),
                    "never_seen": missing,
                    "values_never_seen": {path: values for path, values in enums.items() if values},
                    "branches": len(all_branches),
                    "branches_never_taken": [one for one in all_branches if one not in seen.branches.get(uri, set())],
                }
            )
        return {"session": test, "streams": seen.streams, "schemas": schemas}

    def sessions(self) -> list[str]:
        """Return the sessions that had events, the newest last."""
        return [name for name in self._sessions if name]


def leaves(value: Any, path: str = "", level: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield the path and value of every member; elements of lists have the path of the list."""
    if level > MAX_LEVELS:
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            place = f"{path}.{name}" if path else name
            yield place, inner
            yield from leaves(inner, place, level + 1)
    elif isinstance(value, list):
        for inner in value[:MAX_VALUES]:
            yield from leaves(inner, path, level + 1)


def declared_paths(schema: Any, path: str = "", level: int = 0) -> Iterator[tuple[str, list[str]]]:
    """Yield the path of every property that a schema declares, with the strings of its ``enum``."""
    if not isinstance(schema, dict) or level > MAX_LEVELS:
        return
    for branch in ("allOf", "anyOf", "oneOf"):
        for part in schema.get(branch) or []:
            yield from declared_paths(part, path, level + 1)
    items = schema.get("items")
    if isinstance(items, dict):
        yield from declared_paths(items, path, level + 1)
    properties = schema.get("properties")
    for name, inner in properties.items() if isinstance(properties, dict) else ():
        place = f"{path}.{name}" if path else name
        enum = inner.get("enum", []) if isinstance(inner, dict) else []
        yield place, [one for one in enum if isinstance(one, str)]
        yield from declared_paths(inner, place, level + 1)
