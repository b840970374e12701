"""Write a schema's defaults into an event, where AJV 6 with ``useDefaults`` writes them.

Place: bundle → HERE → validator. The plan is made once for a schema; an event is filled in before it is judged.
Rules:
1. A default counts where it stands in a schema directly below ``properties``, or in a list of ``items``, even next to a
   ``$ref``. A default at the top, or behind a ``$ref``, is only a remark.
2. Defaults inside parents that exist are written through every keyword that certainly judges them, in AJV's order:
   ``then`` and ``else`` depend on what ``if`` says of the event so far. None is written below ``anyOf``, ``oneOf``,
   ``not``, ``if``, ``contains`` or ``propertyNames``. A parent is made only where it has a default itself.
3. An explicit null counts as present. Where a list is too short for a place before that of a default, null is put.
4. Everything else keeps its bytes: numbers are never rewritten. Objects are taken apart level by level, each once, and
   in all no more bytes than ``SPLIT_RATIO`` times the event's and ``FREE_BYTES``: a schema inside itself would
   otherwise take time with the square of an event's depth. Defaults that contain themselves endlessly are refused.
   A plan that is applied takes a step, and its patterns take more for each member (steps).
Source: ajv 6.15.0, ``README.md`` "Assigning defaults", ``lib/dot/``; tests/validators holds what it answered.
Not here: fields that a server fills in (the caller does), the verdict (validator).
"""

# hot path

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from msgspec import Raw

from validators.errors import SchemaError
from validators.load import dialect
from validators.load.bundle import target_of
from validators.regex import pattern
from validators.steps import MAX_STEPS, STEP_NS, Steps, TooDearError

SPLIT_RATIO: Final = 8
FREE_BYTES: Final = 1_048_576  # Taking these apart takes 2 ms.
MAX_COMPILED_STEPS: Final = 4 * MAX_STEPS  # For all schemas of a bundle.
MAX_WRITTEN: Final = 1_048_576  # Written by all schemas of a bundle, each into an empty object and an empty list.

# These keywords judge the value, or a part of it, in any case; ``then`` and ``else`` only in the case they are for.
_SURE: Final = frozenset(
    {
        "additionalItems",
        "additionalProperties",
        "allOf",
        "dependencies",
        "else",
        "items",
        "patternProperties",
        "properties",
        "then",
    }
)
_ABSENT: Final = Raw(b"null")

# Whether a schema accepts a JSON text. It spends steps, and raises TooDearError when they do not suffice.
Accepts = Callable[[Any, bytes, Steps], bool]
Tree = Any  # This is a dict or list whose values are Raw, or trees where they have been taken apart.

_split_object = msgspec.json.Decoder(dict[str, Raw]).decode
_split_list = msgspec.json.Decoder(list[Raw]).decode
_join = msgspec.json.Encoder().encode


class TooLargeError(ValueError):
    """The event with its defaults is larger than it may be."""


class DefaultsPlan:
    """The defaults that one schema writes, and the plans of the schemas inside it. Plans refer to each other as their
    schemas do."""

    __slots__ = (
        "all_of",
        "branches",
        "condition",
        "dependencies",
        "fixed_steps",
        "is_named",
        "items",
        "member_steps",
        "members",
        "name_ns",
        "patterns",
        "places",
        "properties",
        "rest",
        "start",
        "tail",
    )

    def __init__(self) -> None:  # cold: once for each schema
        self.members: list[tuple[str, Raw]] = []
        self.dependencies: list[tuple[str, DefaultsPlan]] = []
        self.properties: list[tuple[str, DefaultsPlan]] = []
        self.patterns: list[tuple[Callable[[str], Any], DefaultsPlan]] = []
        self.rest: DefaultsPlan | None = None  # For members of which ``is_named`` is not true.
        self.is_named: Callable[[str], bool] = bool
        self.places: list[tuple[int, Raw]] = []
        self.items: list[tuple[int, DefaultsPlan]] = []
        self.tail: DefaultsPlan | None = None  # For the items from ``start`` on.
        self.start = 0
        self.all_of: list[DefaultsPlan] = []
        self.condition: Any = None
        self.branches: tuple[DefaultsPlan | None, DefaultsPlan | None] = (None, None)
        self.fixed_steps = 1
        self.member_steps = 0
        self.name_ns = 0  # For each character of the names of members.


def plan_of(whole: dict[str, Any], uri: str, accepts: Accepts) -> DefaultsPlan | None:  # cold: once for each schema
    """Return the plan of a bundle, or None when it writes nothing. Raises SchemaError where writing would not end."""
    return _Planner(whole).run(uri, accepts)


class _Planner:
    """Makes plans only for schemas that write something or lead to one that does: the others cost an event nothing."""

    def __init__(self, whole: dict[str, Any]) -> None:
        self._whole = whole
        self._plans: dict[int, DefaultsPlan] = {}

    def run(self, uri: str, accepts: Accepts) -> DefaultsPlan | None:  # cold: once for each schema
        schemas = self._reached()
        self._plans = {key: DefaultsPlan() for key in self._writing(schemas)}
        for key, plan in self._plans.items():
            self._complete(plan, schemas[key])
        filling = _Filling(accepts, SPLIT_RATIO * MAX_WRITTEN, MAX_WRITTEN, MAX_COMPILED_STEPS)
        try:
            for plan in self._plans.values():
                filling.run(b"{}", plan)
                filling.run(b"[]", plan)
        except (RecursionError, TooLargeError, TooDearError):
            reason = f"its defaults hold themselves, or come to more than {MAX_WRITTEN:,} bytes"
            raise SchemaError("schema_unavailable", f"{uri}: {reason}: write fewer of them") from None
        return self._plan(self._whole)

    def _reached(self) -> dict[int, dict[str, Any]]:  # cold: once for each schema
        found: dict[int, dict[str, Any]] = {}
        waiting = [self._whole]
        while waiting:
            schema = self._behind(waiting.pop())
            if isinstance(schema, dict) and id(schema) not in found:
                found[id(schema)] = schema
                waiting += [child for _, _, child in _sure_children(schema)]
        return found

    def _writing(self, schemas: dict[int, dict[str, Any]]) -> list[int]:  # cold: once for each schema
        holders: defaultdict[int, list[int]] = defaultdict(list)
        waiting = []
        for key, schema in schemas.items():
            for keyword, at, child in _sure_children(schema):
                holders[id(self._behind(child))].append(key)
                if _is_counted(keyword, at, child):
                    waiting.append(key)
        writing = dict.fromkeys(waiting)
        while waiting:
            new = [key for key in holders[waiting.pop()] if key not in writing]
            writing |= dict.fromkeys(new)
            waiting += new
        return list(writing)

    def _behind(self, schema: Any) -> Any:  # cold: once for each schema
        """Follow a schema's references to the end; a bundle has no circle of them."""
        while isinstance(schema, dict) and "$ref" in schema:
            schema = target_of(self._whole, schema["$ref"])
        return schema

    def _plan(self, schema: Any) -> DefaultsPlan | None:  # cold: once for each schema
        return self._plans.get(id(self._behind(schema)))

    def _complete(self, plan: DefaultsPlan, schema: dict[str, Any]) -> None:  # cold: once for each schema
        if "if" in schema:
            plan.branches = (self._plan(schema.get("then")), self._plan(schema.get("else")))
            plan.condition = schema["if"] if plan.branches != (None, None) else None
        plan.rest = self._plan(schema.get("additionalProperties"))
        searches = [pattern.compiled(text).search for text in schema.get("patternProperties", ())]
        names = frozenset(schema.get("properties", ()))
        plan.is_named = lambda name: name in names or any(search(name) for search in searches)
        plan.start = len(schema["items"]) if isinstance(schema.get("items"), list) else 0
        plan.tail = self._plan(schema.get("additionalItems" if plan.start else "items"))
        for keyword, at, child in _sure_children(schema):
            if _is_counted(keyword, at, child):
                (plan.members if keyword == "properties" else plan.places).append((at, _text(child["default"])))
            inside = self._plan(child)
            if inside is None:
                continue
            if keyword == "allOf":
                plan.all_of.append(inside)
            elif keyword == "patternProperties":
                plan.patterns.append((pattern.compiled(str(at)).search, inside))
            elif keyword in ("dependencies", "properties") or (keyword == "items" and at is not None):
                getattr(plan, keyword).append((at, inside))
        count = len(plan.members) + len(plan.dependencies) + len(plan.properties) + len(plan.places) + len(plan.items)
        plan.fixed_steps += count >> 3
        texts = [] if plan.rest is None and not plan.patterns else list(schema.get("patternProperties", ()))
        plan.member_steps = 2 * len(texts)
        plan.name_ns = 2 * sum(map(pattern.ns_per_character, texts))  # By ``patterns`` and by ``is_named``.


def _sure_children(schema: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:  # cold: once for each schema
    for keyword, at, child in dialect.children(schema):
        is_idle = keyword == "additionalItems" and not isinstance(schema.get("items"), list)
        if keyword in _SURE and not is_idle and not (keyword in ("then", "else") and "if" not in schema):
            yield keyword, at, child


def _is_counted(keyword: str, at: Any, child: Any) -> bool:  # cold: once for each schema
    is_place = keyword == "properties" or (keyword == "items" and at is not None)
    return is_place and isinstance(child, dict) and "default" in child


def _text(value: Any) -> Raw:  # cold: once for each schema
    return Raw(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def fill(raw: bytes, plan: DefaultsPlan, accepts: Accepts, max_bytes: int) -> bytes:
    """Return the JSON text with its defaults. Raises TooLargeError, TooDearError, RecursionError for a text that is
    nested too deeply, and msgspec's errors for one that is not JSON."""
    value = _Filling(accepts, FREE_BYTES + SPLIT_RATIO * len(raw), max_bytes, MAX_STEPS).run(raw, plan)
    if len(value) > max_bytes and value is not raw:
        raise TooLargeError
    return value


class _Filling:
    """Fills one event. ``effort`` counts the bytes that may still be looked at, ``room`` those that may be written."""

    __slots__ = ("_accepts", "_effort", "_is_changed", "_room", "_steps")

    def __init__(self, accepts: Accepts, effort: int, room: int, steps: int) -> None:
        self._accepts = accepts
        self._effort = effort
        self._room = room
        self._is_changed = False
        self._steps = Steps(steps)

    def run(self, raw: bytes, plan: DefaultsPlan) -> bytes:
        tree = self._split(raw)
        if tree is None:
            return raw
        self._apply(plan, tree)
        return _join(tree) if self._is_changed else raw

    def _split(self, raw: bytes | Raw) -> Tree:
        """Take an object or list apart by one level. None: the value holds nothing."""
        text = memoryview(raw)
        self._spend(len(text))
        first = bytes(text[:64]).lstrip()[:1] or bytes(text).lstrip()[:1]
        return _split_object(raw) if first == b"{" else _split_list(raw) if first == b"[" else None

    def _spend(self, count: int) -> None:
        self._effort -= count
        if self._effort < 0:
            raise RecursionError("nested too deeply for its size")

    def _count(self, text: Raw) -> None:
        self._is_changed = True
        self._room -= len(memoryview(text))
        if self._room < 0:
            raise TooLargeError

    def _apply(self, plan: DefaultsPlan, tree: Tree) -> None:
        """Write what the plan's schema writes into a tree."""
        self._steps.spend(plan.fixed_steps)
        if plan.name_ns and tree.__class__ is dict:
            self._steps.spend(plan.member_steps * len(tree) + plan.name_ns * sum(map(len, tree)) // STEP_NS)
        if tree.__class__ is dict:
            self._object(plan, tree)
        else:
            self._list(plan, tree)
        for each in plan.all_of:
            self._apply(each, tree)
        if plan.condition is not None:
            text = _join(tree)
            self._spend(len(text))
            branch = plan.branches[not self._accepts(plan.condition, text, self._steps)]
            if branch is not None:
                self._apply(branch, tree)

    def _object(self, plan: DefaultsPlan, tree: dict[str, Any]) -> None:
        for name, text in plan.members:
            if name not in tree:
                self._count(text)
                tree[name] = text
        for name, inside in plan.dependencies:
            if name in tree:
                self._apply(inside, tree)
        if plan.rest is not None:
            self._steps.spend(len(tree))
            for name in tree:
                if not plan.is_named(name):
                    self._inside(plan.rest, tree, name)
        for name, inside in plan.properties:
            if name in tree:
                self._inside(inside, tree, name)
        for search, inside in plan.patterns:
            for name in tree:
                if search(name):
                    self._inside(inside, tree, name)

    def _list(self, plan: DefaultsPlan, tree: list[Any]) -> None:
        for place, text in plan.places:
            while place > len(tree):
                self._count(_ABSENT)
                tree.append(_ABSENT)
            if place == len(tree):
                self._count(text)
                tree.append(text)
        for place, inside in plan.items:
            if place < len(tree):
                self._inside(inside, tree, place)
        if plan.tail is not None:
            self._steps.spend(len(tree))
            for place in range(plan.start, len(tree)):
                self._inside(plan.tail, tree, place)

    def _inside(self, plan: DefaultsPlan, tree: Tree, key: Any) -> None:
        value = tree[key]
        if value.__class__ is Raw:
            value = self._split(value)
            if value is None:
                return
            tree[key] = value
        self._apply(plan, value)
