"""Compile filters of clients, and find paths that no event of their streams can have.

Place: ask, streams → HERE → server.filter.
Rules: a path that the schemas of all streams of a request do not declare is refused with the nearest one that they do,
because such a filter would silently match nothing. A stream whose schema is not known, or whose schema leaves members
open at that place, may have any.
Not here: the language (server.filter), when a filter is applied (projection).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from eventstreams.refusal import RefusedError, bad_request
from server.filter import language
from server.filter.fault import FilterError
from server.filter.parse import parse

if TYPE_CHECKING:
    from eventstreams.streams import PublicStream
    from server.schemas.repository import SchemaRepository

# Members that are added to every event.
_ADDED: Final[Mapping[str, Any]] = {"meta": {"topic": {}, "partition": {}, "offset": {}, "key": {}, "domain": {}}}
_MOST_DEPTH: Final = 20
OPEN: Final[dict[str, Any]] = {"*": {}}  # Members of any name.

Tree = dict[str, Any]


def compile_filter(text: str) -> Callable[[Any], bool]:
    """Return the test of a filter. Raises FilterError."""
    return language.compile_filter(text).matches


class Filters:
    """Compiles filters for streams, with the schemas of a worker."""

    def __init__(self, schemas: SchemaRepository) -> None:
        self._schemas = schemas
        self._trees: dict[str, Tree | None] = {}

    def compile(self, text: str, streams: Sequence[PublicStream]) -> tuple[str, Callable[[Any], bool]]:
        """Return the canonical text of a filter and its test. Raises RefusedError."""
        try:
            compiled = language.compile_filter(text)
            _, places = parse(text)
        except FilterError as fault:
            raise bad_request(f"filter: {fault}", "invalid_filter", "Invalid Filter", **fault.document()) from None
        trees = [self.tree(stream) for stream in streams]
        for place in places:
            self.check([str(step) if isinstance(step, str) else "*" for step in place.term.path.steps], trees, place.at)
        return compiled.text, compiled.matches

    def check_fields(self, paths: Sequence[tuple[str, ...]], streams: Sequence[PublicStream]) -> None:
        """Check the paths of ``fields``. Raises RefusedError."""
        trees = [self.tree(stream) for stream in streams]
        for path in paths:
            self.check(list(path), trees, None)

    def check(self, path: list[str], trees: Sequence[Tree | None], at: int | None) -> None:
        """Raise RefusedError if no tree has the path."""
        if not trees or any(tree is None or has(tree, path) for tree in trees):
            return
        name = ".".join(path)
        known = sorted({known for tree in trees if tree is not None for known in paths_of(tree)})
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        remedy = f"did you mean {close[0]}?" if close else f"its schemas have {', '.join(known[:20])}"
        raise _unknown(name, remedy, at)

    def tree(self, stream: PublicStream) -> Tree | None:
        """Return the members that the newest schema of a stream declares; None if it is not known."""
        return None if stream.schema_title is None else self.tree_of_title(stream.schema_title)

    def tree_of_title(self, title: str) -> Tree | None:
        """Return the members that the newest schema of a title declares; None if it is not known."""
        if title not in self._trees:
            self._trees[title] = self._read(title)
        return self._trees[title]

    def schema(self, title: str) -> dict[str, Any] | None:
        """Return the newest schema of a title; None if it is not known."""
        versions = self._schemas.versions(title)
        found = self._schemas.document(versions[-1]) if versions else b""
        schema = msgspec.json.decode(found) if isinstance(found, bytes) and found else None
        return schema if isinstance(schema, dict) else None

    def _read(self, title: str) -> Tree | None:
        schema = self.schema(title)
        if schema is None:
            return None
        tree: Tree = {}
        _gather(schema, tree, 0)
        _merge(tree, _ADDED)
        return tree


def _unknown(name: str, remedy: str, at: int | None) -> RefusedError:
    more = {} if at is None else {"at": at}
    what = "fields" if at is None else "filter"
    detail = f"{what}: no event of these streams has {name[:200]}: {remedy}"
    return bad_request(detail, "invalid_filter" if at is not None else "bad_request", "Unknown Path", **more)


def _gather(schema: Any, tree: Tree, depth: int) -> None:
    """Add the members that a schema declares."""
    if not isinstance(schema, dict) or depth > _MOST_DEPTH:
        return
    if "$ref" in schema:
        tree |= OPEN
    for name, below in (schema.get("properties") or {}).items():
        _gather(below, tree.setdefault(str(name), {}), depth + 1)
    for key in ("allOf", "anyOf", "oneOf"):
        for one in schema.get(key) or ():
            _gather(one, tree, depth)
    items = schema.get("items")
    if isinstance(items, dict):
        _gather(items, tree.setdefault("*", {}), depth + 1)
    elif items is not None:
        tree |= OPEN
    open_ended = schema.get("additionalProperties")
    if isinstance(open_ended, dict):
        _gather(open_ended, tree.setdefault("*", {}), depth + 1)
    if schema.get("patternProperties"):
        tree |= OPEN
    is_bare = schema.get("type") == "object" and not schema.get("properties") and open_ended is None
    if is_bare and "allOf" not in schema:
        tree |= OPEN


def _merge(tree: Tree, more: Mapping[str, Any]) -> None:
    for name, below in more.items():
        _merge(tree.setdefault(name, {}), below)


def has(tree: Tree, path: Sequence[str]) -> bool:
    """Whether a schema allows something at a path. Below a member of which nothing is said, everything is allowed."""
    at = tree
    for depth, name in enumerate(path):
        if name in at:
            at = at[name]
        elif "*" in at:
            at = at["*"]
            if not at:
                return True
        else:
            return depth > 0 and name.isdigit() and not at
    return True


def paths_of(tree: Tree, above: str = "") -> Iterator[str]:
    """Yield all paths that are named."""
    for name, below in tree.items():
        if name != "*":
            yield above + name
            yield from paths_of(below, f"{above}{name}.")
