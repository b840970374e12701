"""Find the values of an event that ``x-privacy`` speaks of, and put others in their place.

Place: bundle → HERE → validator; the caller decides what takes the place of a value.
Rules:
1. An annotation counts wherever its schema may apply to a value: every keyword that leads to a value is followed, also
   ``anyOf``, ``if``, ``not`` and ``contains``, in all of their branches. Where several speak of one value the
   strictest counts, in the order of ``ACTIONS``. Only ``propertyNames`` is passed over: it speaks of names.
2. A schema inside itself is followed to any depth. Only schemas that have an annotation or lead to one are kept.
3. An object or a list that is taken apart is always written again, with the last value of each name, so that a value
   that occurs twice is nowhere in the result. All other values keep their bytes.
4. Objects are taken apart level by level, in all no more bytes than ``SPLIT_RATIO`` times the event's and
   ``FREE_BYTES``.
5. Of an event that is not valid, a value on the way to an annotation that is of another kind than its schema is removed
   as a whole: what is inside it cannot be told.
Not here: the actions (the caller), places as people read them (annotations).
"""

# hot path

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec
from msgspec import Raw

from validators.errors import SchemaError
from validators.load import dialect
from validators.load.bundle import target_of
from validators.load.defaults import FREE_BYTES, SPLIT_RATIO
from validators.regex import pattern

KEYWORD: Final = "x-privacy"
KEEP: Final = "keep"
DROP: Final = "drop"
ACTIONS: Final = (DROP, "hash", "truncate-ip", "coarse-time", KEEP)  # The strictest first.

MAX_PLACES: Final = 10_000  # Cached for one schema: combinations of schemas that speak of one value.

_RANK: Final = {action: rank for rank, action in enumerate(ACTIONS)}
_NULL: Final = Raw(b"null")
_BEYOND_KIND: Final = frozenset(b"ntf")  # The first letters of null, true and false, which tell nothing of a person.

# From an action and a value, as JSON text, to the value in its place; None removes it.
Act = Callable[[str, Raw], Raw | None]

_split_object = msgspec.json.Decoder(dict[str, Raw]).decode
_split_list = msgspec.json.Decoder(list[Raw]).decode
_join = msgspec.json.Encoder().encode


def plan_of(whole: dict[str, Any], uri: str) -> PrivacyPlan | None:  # cold: once for each schema
    """Return the plan of a bundle; None if nothing in it has the keyword. Raises SchemaError for an action that does
    not exist, for one on the event as a whole, and for one in an expectation, which no value is stored by."""
    schemas = list(_all(whole))
    if any(KEYWORD in inside for schema in schemas for inside in _expected(schema)):
        reason = f"{KEYWORD} in x-expect is never obeyed: write it in the schema of the value"
        raise SchemaError("schema_unavailable", f"{uri}: {reason}")
    if not any(KEYWORD in schema for schema in schemas):
        return None
    plan = PrivacyPlan(whole, uri)
    return plan if plan.actions else None


class PrivacyPlan:
    """The annotations of one schema. ``actions`` are those that it asks for."""

    __slots__ = ("_levels", "_places", "_root", "_whole", "actions")

    def __init__(self, whole: dict[str, Any], uri: str) -> None:  # cold: once for each schema
        self._whole = whole
        self._places: dict[frozenset[int], Place] = {}
        schemas, self.actions = self._reached(whole, uri)
        useful = self._leading(schemas)
        self._levels = {key: self._level(schemas[key], useful) for key in useful}
        self._root = self._place([whole])
        if self._root is not None and self._root.action not in (None, KEEP):
            raise SchemaError("schema_unavailable", f"{uri}: {KEYWORD} at the top would leave nothing of an event")

    @property
    def root(self) -> Place | None:
        """The event as a whole; None: nothing in it is annotated."""
        return self._root

    def apply(self, raw: bytes, act: Act, *, is_valid: bool = True) -> bytes:
        """Return the event with other values. Raises RecursionError for a text that is nested too deeply for its size,
        and msgspec's errors for one that is not a JSON object."""
        if self._root is None:
            return raw
        return _Change(self, act, FREE_BYTES + SPLIT_RATIO * len(raw), is_valid).run(raw, self._root)

    def action_at(self, path: Iterable[str]) -> str | None:
        """Return the action on the value at a path of names, or on one that holds it; None if there is none."""
        place = self._root
        for name in path:
            place = place and self.member(place, name)
            if place is not None and place.action not in (None, KEEP):
                return place.action
        return None if place is None else place.action

    def member(self, place: Place, name: str) -> Place | None:
        """Return the place of a member of an object at ``place``; None: nothing in it is annotated."""
        if place.is_closed:
            return self.named(place).get(name)
        return self._place([schema for level in place.levels for schema in level.of_member(name)])

    def named(self, place: Place) -> dict[str, Place]:
        """Return the places of all members that are annotated, or hold one that is, of an object at a closed place."""
        if place.named is None:
            place.named = {}
            for name in dict.fromkeys(name for level in place.levels for name in level.properties):
                found = self._place([schema for level in place.levels for schema in level.of_member(name)])
                if found is not None:
                    place.named[name] = found
        return place.named

    def others(self, place: Place, text: str | None) -> Place | None:  # cold: only versions are compared by it
        """Return the place of the members of an object at ``place`` that no schema names, and whose names match this
        pattern alone; None: no pattern."""
        return self._place([schema for level in place.levels for schema in level.of_others(text)])

    def item(self, place: Place, index: int) -> Place | None:
        """Return the place of an item of a list at ``place``."""
        index = min(index, place.start)
        if index not in place.items:
            place.items[index] = self._place([schema for level in place.levels for schema in level.of_item(index)])
        return place.items[index]

    def _place(self, schemas: Iterable[Any]) -> Place | None:
        """Return the place of a value that these schemas speak of, with all that they lead to in place."""
        found: dict[int, None] = {}
        waiting = list(schemas)
        while waiting:
            level = self._levels.get(id(waiting.pop()))
            if level is not None and level.key not in found:
                found[level.key] = None
                waiting += level.also
        if not found:
            return None
        key = frozenset(found)
        place = self._places.get(key)
        if place is None:
            place = Place([self._levels[each] for each in found])
            if len(self._places) < MAX_PLACES:
                self._places[key] = place
        return place

    def _reached(self, whole: Any, uri: str) -> tuple[dict[int, dict[str, Any]], frozenset[str]]:  # cold: once
        found: dict[int, dict[str, Any]] = {}
        actions = set()
        waiting = [whole]
        while waiting:
            schema = waiting.pop()
            if not isinstance(schema, dict) or id(schema) in found:
                continue
            found[id(schema)] = schema
            if KEYWORD in schema:
                actions.add(_checked(schema[KEYWORD], uri))
            waiting += [child for _, _, child in self._children(schema)]
        return found, frozenset(actions)

    def _leading(self, schemas: dict[int, dict[str, Any]]) -> list[int]:  # cold: once for each schema
        """Return the schemas that have an annotation or lead to one."""
        holders: dict[int, list[int]] = {}
        for key, schema in schemas.items():
            for _, _, child in self._children(schema):
                holders.setdefault(id(child), []).append(key)
        waiting = [key for key, schema in schemas.items() if KEYWORD in schema]
        leading = dict.fromkeys(waiting)
        while waiting:
            new = [key for key in holders.get(waiting.pop(), ()) if key not in leading]
            leading |= dict.fromkeys(new)
            waiting += new
        return list(leading)

    def _children(self, schema: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:  # cold: once for each schema
        """Yield the schemas directly inside this one, and the target of its reference, next to which nothing counts."""
        if "$ref" in schema:
            yield "$ref", None, target_of(self._whole, schema["$ref"])
            return
        for keyword, key, child in dialect.children(schema):
            if keyword not in ("propertyNames", "definitions"):
                yield keyword, key, child

    def _level(self, schema: dict[str, Any], useful: Iterable[int]) -> Level:  # cold: once for each schema
        level, wanted = Level(schema), frozenset(useful)
        for keyword, key, child in self._children(schema):
            if id(child) in wanted:
                level.add(keyword, key, child)
        return level


class Level:
    """The annotations in one schema: ``also`` speaks of the same value, the rest of values inside it. ``names`` and
    ``by_text`` hold all names and patterns of the schema, whether they lead to annotations or not."""

    __slots__ = (
        *("_is_list", "_searches", "action", "also", "by_text", "contains", "items", "key", "names", "patterns"),
        *("properties", "rest", "tail"),
    )

    def __init__(self, schema: dict[str, Any]) -> None:  # cold: once for each schema
        self.key = id(schema)
        self.action: str | None = schema.get(KEYWORD)
        self.also: list[Any] = []
        self.properties: dict[str, Any] = {}
        self.patterns: list[tuple[Callable[[str], Any], Any]] = []
        self.rest: Any = None
        listed = schema.get("items")
        self._is_list = isinstance(listed, list)
        self.items: list[Any] = [None] * len(listed) if isinstance(listed, list) else []
        self.tail: Any = None
        self.contains: Any = None
        self.names = frozenset(schema.get("properties", ()))
        self.by_text: dict[str, Any] = dict.fromkeys(schema.get("patternProperties", ()))
        self._searches = [pattern.compiled(text).search for text in schema.get("patternProperties", ())]

    def add(self, keyword: str, key: Any, child: Any) -> None:  # cold: once for each schema
        """Add a schema that has an annotation or leads to one."""
        if keyword == "properties":
            self.properties[key] = child
        elif keyword == "patternProperties":
            self.by_text[str(key)] = child
            self.patterns.append((pattern.compiled(str(key)).search, child))
        elif keyword == "additionalProperties":
            self.rest = child
        elif keyword == "items" and key is not None:
            self.items[key] = child
        elif keyword == "items" or (keyword == "additionalItems" and self._is_list):
            self.tail = child
        elif keyword == "contains":
            self.contains = child
        elif keyword != "additionalItems":  # It is ignored without a list of items.
            self.also.append(child)

    def of_member(self, name: str) -> Iterator[Any]:
        """Yield the schemas of a member."""
        if name in self.properties:
            yield self.properties[name]
        for search, schema in self.patterns:
            if search(name):
                yield schema
        if self.rest is not None and name not in self.names and not any(search(name) for search in self._searches):
            yield self.rest

    def of_others(self, text: str | None) -> Iterator[Any]:  # cold: only versions are compared by it
        """Yield the schemas of members without a name of their own here, which match this pattern alone or none."""
        yield self.rest if text is None else self.by_text.get(text, self.rest)

    def of_item(self, index: int) -> Iterator[Any]:
        """Yield the schemas of an item."""
        yield self.items[index] if index < len(self.items) else self.tail
        yield self.contains

    @property
    def is_for_objects(self) -> bool:
        return bool(self.properties or self.patterns or self.rest is not None)

    @property
    def is_for_lists(self) -> bool:
        return self.tail is not None or self.contains is not None or any(each is not None for each in self.items)


class Place:
    """A value in events, by all schemas that speak of it. ``is_closed``: which of its members are annotated is known by
    their names, without patterns. ``start`` is the index from which items are alike; ``named`` and ``items`` are the
    places inside it that were asked for."""

    __slots__ = ("action", "is_closed", "is_for_lists", "is_for_objects", "items", "levels", "named", "start")

    def __init__(self, levels: list[Level]) -> None:
        self.levels = levels
        actions = [level.action for level in levels if level.action is not None]
        self.action = min(actions, key=_RANK.__getitem__) if actions else None
        self.is_for_objects = any(level.is_for_objects for level in levels)
        self.is_for_lists = any(level.is_for_lists for level in levels)
        self.start = max(len(level.items) for level in levels)
        self.is_closed = not any(level.patterns or level.rest is not None for level in levels)
        self.named: dict[str, Place] | None = None
        self.items: dict[int, Place | None] = {}


class _Change:
    """Changes one event. ``effort`` counts the bytes that may still be taken apart."""

    __slots__ = ("_act", "_effort", "_is_valid", "_plan")

    def __init__(self, plan: PrivacyPlan, act: Act, effort: int, is_valid: bool) -> None:
        self._plan = plan
        self._act = act
        self._effort = effort
        self._is_valid = is_valid

    def run(self, raw: bytes, root: Place) -> bytes:
        self._effort -= len(raw)
        return self._object(_split_object(raw), root)

    def _value(self, text: Raw, place: Place) -> Raw | None:
        """Return the value in the place of this one; None: it is removed."""
        if place.action is not None and place.action != KEEP:
            return self._act(place.action, text)
        view = memoryview(text)
        size = len(view)
        first = view[0] if view[0] > 32 else bytes(view).lstrip()[0]
        if first == _BRACE and place.is_for_objects:
            self._spend(size)
            return Raw(self._object(_split_object(text), place))
        if first == _BRACKET and place.is_for_lists:
            self._spend(size)
            return Raw(self._list(_split_list(text), place))
        if self._is_valid or first in _BEYOND_KIND or not (place.is_for_objects or place.is_for_lists):
            return text
        return None

    def _spend(self, count: int) -> None:
        self._effort -= count
        if self._effort < 0:
            raise RecursionError("nested too deeply for its size")

    def _object(self, members: dict[str, Raw], place: Place) -> bytes:
        if place.is_closed:
            found = place.named if place.named is not None else self._plan.named(place)
            if len(found) < len(members):
                for name, inside in found.items():
                    if name in members:
                        self._member(members, name, inside)
                return _join(members)
        member = self._plan.member
        for name in list(members):
            each = member(place, name)
            if each is not None:
                self._member(members, name, each)
        return _join(members)

    def _member(self, members: dict[str, Raw], name: str, inside: Place) -> None:
        value = self._value(members[name], inside)
        if value is None:
            del members[name]
        else:
            members[name] = value

    def _list(self, items: list[Raw], place: Place) -> bytes:
        """A list whose items have schemas of their own keeps its places: null takes that of a removed item."""
        kept = []
        for index, text in enumerate(items):
            inside = self._plan.item(place, index)
            value = text if inside is None else self._value(text, inside)
            if value is not None:
                kept.append(value)
            elif index < place.start:
                kept.append(_NULL)
        return _join(kept)


def _checked(action: Any, uri: str) -> str:  # cold: once for each schema
    if not isinstance(action, str) or action not in _RANK:
        reason = f"{KEYWORD} is {str(action)[:100]!r}; it may be {', '.join(ACTIONS)}"
        raise SchemaError("schema_unavailable", f"{uri}: {reason}")
    return action


def _all(whole: Any) -> Iterator[dict[str, Any]]:  # cold: once for each schema
    waiting: list[Any] = [whole]
    while waiting:
        schema = waiting.pop()
        if isinstance(schema, dict):
            yield schema
            waiting += [child for _, _, child in dialect.children(schema)]


def _expected(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:  # cold: once for each schema
    """Yield the schemas in the expectations of a schema (expectations)."""
    written = schema.get("x-expect")
    for each in written if isinstance(written, list) else [written]:
        yield from _all(each)


_BRACE: Final = ord("{")
_BRACKET: Final = ord("[")
