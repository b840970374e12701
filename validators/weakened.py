"""Compare the annotations ``x-privacy`` of two versions: what is stored of a value now, and was not before.

Place: bundle, privacy → HERE → checks of schemas.
Rules:
1. Not annotations are compared, but what becomes of a value: the two versions are walked side by side, by the plans
   that change events. The action of the outermost value that has one counts.
2. A value that the later version takes without declaring it is stored as it comes.
3. Names that either version declares are followed one by one. All others are told apart by the one pattern that they
   match, if any; of names that match several, only the shortest literal ones are looked at.
4. A pair of places is entered once, on the shortest path, so that recursion ends.
Not here: what the actions do (the caller of privacy), how findings are told.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from validators.annotations import Step, written
from validators.errors import SchemaError
from validators.load.bundle import target_of
from validators.privacy import ACTIONS, KEEP, PrivacyPlan, plan_of
from validators.regex import pattern

if TYPE_CHECKING:
    from validators.privacy import Place

MOST_PAIRS: Final = 10_000
_LITERAL: Final = re.compile(r"\^?([\w-]+)\$?")


class Weakened(NamedTuple):
    """A value of which more is stored: its place as people read it, its JSON pointer as a path, and the actions before
    and now; ``keep`` stands for none as well."""

    field: str
    path: tuple[str | int, ...]
    before: str
    now: str


def weakened(old: dict[str, Any], new: dict[str, Any]) -> list[Weakened]:
    """Return the values of which the later of two bundles stores more, by their places. Raises SchemaError for
    annotations of the later one that cannot be obeyed; with those of the earlier one, no event was ever stored."""
    now = plan_of(new, "the later version")
    try:
        before = plan_of(old, "the earlier version")
    except SchemaError:
        return []
    return [] if before is None else list(_Walk(before, now, new).found())


class _Pair(NamedTuple):
    """A value in both versions. ``fixed`` is the action of the later one on a value around it, ``parts`` are its
    schemas that surely speak of the value."""

    old: Place
    new: Place | None
    fixed: str | None
    parts: tuple[Any, ...]
    steps: tuple[Step, ...]

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for pairs of which one alone need be entered."""
        return _key(self.old), _key(self.new), self.fixed, frozenset(map(id, self.parts))

    @property
    def now(self) -> str | None:
        """The action of the later version."""
        return self.fixed or _action(self.new)


class _Walk:
    def __init__(self, before: PrivacyPlan, now: PrivacyPlan | None, new: dict[str, Any]) -> None:
        self._before, self._now, self._new = before, now, new

    def found(self) -> Iterator[Weakened]:
        """Yield what is weakened, nearest to the top first."""
        waiting = deque([self._pair(self._before.root, self._now.root if self._now else None, None, [self._new], ())])
        seen = set()
        while waiting:
            pair = waiting.popleft()
            if pair is None or pair.key in seen or any(part is False for part in pair.parts):
                continue
            seen.add(pair.key)
            if len(seen) > MOST_PAIRS:
                raise SchemaError("schema_unavailable", f"x-privacy speaks of more than {MOST_PAIRS:,} kinds of values")
            before = _action(pair.old)
            if before is None:
                waiting += [*self._members(pair), *self._items(pair)]
            elif ACTIONS.index(pair.now or KEEP) > ACTIONS.index(before):
                yield Weakened(written(pair.steps), _path(pair.steps), before, pair.now or KEEP)

    def _pair(
        self, old: Place | None, new: Place | None, fixed: str | None, parts: Iterable[Any], steps: tuple[Step, ...]
    ) -> _Pair | None:
        """Return a pair; None if the earlier version has no annotation there."""
        return None if old is None else _Pair(old, new, fixed, tuple(_closure(self._new, parts)), steps)

    def _members(self, pair: _Pair) -> Iterator[_Pair | None]:
        if not pair.old.is_for_objects:
            return
        levels = [*pair.old.levels, *(pair.new.levels if pair.new else ())]
        declared = [*(level.names for level in levels), *(part.get("properties", ()) for part in _maps(pair.parts))]
        texts = dict.fromkeys(text for level in levels for text in level.by_text)
        names = {name: Step("properties", name) for each in declared for name in sorted(each)}
        for text in texts:
            if (literal := _LITERAL.fullmatch(text)) is not None:
                names.setdefault(literal[1], Step("patternProperties", text))
        for name, step in names.items():
            new = self._now.member(pair.new, name) if self._now and pair.new else None
            parts = [_member(part, name) for part in _maps(pair.parts)]
            yield self._pair(self._before.member(pair.old, name), new, pair.now, parts, (*pair.steps, step))
        for other in (*texts, None):
            new = self._now.others(pair.new, other) if self._now and pair.new else None
            parts = [_other(part, other) for part in _maps(pair.parts)]
            step = Step("additionalProperties", None) if other is None else Step("patternProperties", other)
            yield self._pair(self._before.others(pair.old, other), new, pair.now, parts, (*pair.steps, step))

    def _items(self, pair: _Pair) -> Iterator[_Pair | None]:
        if not pair.old.is_for_lists:
            return
        lists = [part["items"] for part in _maps(pair.parts) if isinstance(part.get("items"), list)]
        start = max(pair.old.start, pair.new.start if pair.new else 0, *map(len, lists), 0)
        for index in range(start + 1):
            new = self._now.item(pair.new, index) if self._now and pair.new else None
            parts = [_item(part, index) for part in _maps(pair.parts)]
            step = Step("items", index) if index < start else Step("additionalItems", index)
            steps = (*pair.steps, step if start else Step("items", None))
            yield self._pair(self._before.item(pair.old, index), new, pair.now, parts, steps)


def _key(place: Place | None) -> frozenset[int] | None:
    return None if place is None else frozenset(level.key for level in place.levels)


def _action(place: Place | None) -> str | None:
    return None if place is None or place.action == KEEP else place.action


def _closure(whole: dict[str, Any], schemas: Iterable[Any]) -> Iterator[Any]:
    """Yield all schemas that surely speak of a value of which these do, each once. Of true, nothing follows."""
    waiting, seen = list(schemas), set()
    while waiting:
        schema = waiting.pop()
        if schema is True or id(schema) in seen:
            continue
        seen.add(id(schema))
        if isinstance(schema, dict) and "$ref" in schema:
            waiting.append(target_of(whole, schema["$ref"]))
            continue
        yield schema
        waiting += schema.get("allOf", ()) if isinstance(schema, dict) else ()


def _maps(parts: Iterable[Any]) -> Iterator[dict[str, Any]]:
    return (part for part in parts if isinstance(part, dict))


def _member(part: dict[str, Any], name: str) -> Any:
    """Return a schema of the member with this name; True: it says nothing of it."""
    if name in part.get("properties", {}):
        return part["properties"][name]
    for text, schema in part.get("patternProperties", {}).items():
        if pattern.compiled(text).search(name):
            return schema
    return part.get("additionalProperties", True)


def _other(part: dict[str, Any], text: str | None) -> Any:
    """Return the schema of members without names of their own, which match this pattern alone or none."""
    return part.get("patternProperties", {}).get(text, part.get("additionalProperties", True))


def _item(part: dict[str, Any], index: int) -> Any:
    items = part.get("items", True)
    if not isinstance(items, list):
        return items
    return items[index] if index < len(items) else part.get("additionalItems", True)


def _path(steps: Iterable[Step]) -> tuple[str | int, ...]:
    path: list[str | int] = []
    for step in steps:
        path += [step.keyword] if step.key is None else [step.keyword, step.key]
    return tuple(path)
