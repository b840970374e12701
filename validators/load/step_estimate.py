"""Find out beforehand how many steps an event may take to be judged by a schema.

Place: HERE → validator, which counts the steps of events that may need too many; and the checks before a start.
Rules:
1. The bound is an upper one, from the keywords alone. Schemas that judge the same value add up: one inside a list or
   an object counts once for each schema around it that leads there. Members that a schema names, and items of which it
   says the place, are there once.
2. A schema inside itself is followed until the numbers settle. If they do not within ``MAX_ROUNDS``, as where each
   level judges the next one twice, there is no bound.
Not here: counting (steps).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from validators.load import dialect
from validators.load.bundle import target_of
from validators.steps import DIGIT_BYTES, MAX_STEPS, STEP_NS, Named, Weight, weigh

MAX_ROUNDS: Final = 64
_LEAST: Final = 1e-9  # Steps of a byte: no size is beyond this.
VALUE_BYTES: Final = 2  # A value takes two bytes at the least: [0,0].


class Estimate(NamedTuple):
    """The most steps for an event as such, for each value, and for each byte of texts, names and numbers."""

    once: float
    value: float
    byte: float

    def steps(self, values: float, size: float) -> float:
        """Return the most steps of an event of so many values and bytes."""
        return self.once + self.value * values + self.byte * size

    @property
    def sure_bytes(self) -> int:
        """The size up to which no event takes more than ``MAX_STEPS``."""
        each = self.value / VALUE_BYTES + self.byte
        return 0 if self.once + each >= MAX_STEPS else int((MAX_STEPS - self.once) / max(each, _LEAST))


def estimate(whole: dict[str, Any], named: Named = str) -> Estimate:
    """Estimate a bundle, or what ``mend`` has made of one; ``named`` as for ``weigh``."""
    by_value = _Graph(whole, named, _per_value)
    by_value.settle()
    by_byte = _Graph(whole, named, _per_byte)
    by_byte.settle()
    once = max(by_value.root.once, 0.0 if by_byte.root.once < math.inf else math.inf)
    return Estimate(once, by_value.root.many, by_byte.root.most)


def dearest(whole: dict[str, Any]) -> str:
    """Return the JSON pointer of the part of a bundle that takes most steps."""
    by_value, by_byte = _Graph(whole, str, _per_value), _Graph(whole, str, _per_byte)
    by_value.settle()
    by_byte.settle()
    return (by_value if by_value.root.most >= VALUE_BYTES * by_byte.root.most else by_byte).dearest()


class _Own(NamedTuple):
    """The steps of a schema for the value that it judges, for each value directly in it, for each anywhere in it."""

    itself: float = 0
    member: float = 0
    inside: float = 0


def _per_value(weight: Weight) -> _Own:
    return _Own(weight.fixed + weight.inside + weight.form / STEP_NS, weight.member / 8, weight.inside)


def _per_byte(weight: Weight) -> _Own:
    return _Own(weight.text / STEP_NS + weight.digit / DIGIT_BYTES, weight.name / STEP_NS)


_LIST, _OBJECT, _SCALAR = range(3)
_KINDS: Final = {"array": _LIST, "object": _OBJECT}
_OF_LISTS: Final = frozenset({"additionalItems", "contains", "items"})
# These judge a value besides others; the others judge it one instead of another.
_ADDED: Final = frozenset({"contains", "patternProperties", "propertyNames"})


class _Node:
    """A schema. For each kind of value: ``here`` are the steps for such a value, ``below`` those for a value directly
    in it, and ``deeper`` those for a value further inside, each by all schemas that this one consists of.

    ``inner`` are the schemas of members and items: ``named`` for one each, ``others`` for any number; those in
    ``added`` judge the same ones. ``once`` are the steps for the value and for what is there once, and ``many`` the
    most for any other value.
    """

    __slots__ = (
        *("added", "below", "deeper", "here", "in_place", "inner", "is_known", "kinds", "many", "named", "once"),
        *("others", "own", "pointer", "schema"),
    )

    def __init__(self, schema: dict[str, Any], pointer: str, own: _Own) -> None:
        self.schema = schema
        self.pointer = pointer
        self.own = own
        named = schema.get("type", ("array", "object", "string"))
        self.kinds = frozenset(_KINDS.get(name, _SCALAR) for name in ((named,) if isinstance(named, str) else named))
        self.in_place: list[_Node] = []
        self.inner: dict[int, list[_Node]] = {_LIST: [], _OBJECT: [], _SCALAR: []}
        self.added: dict[int, list[_Node]] = {_LIST: [], _OBJECT: [], _SCALAR: []}
        self.here = [0.0] * 3
        self.below = [0.0] * 3
        self.deeper = [0.0] * 3
        self.named: list[_Node] = []
        self.others: dict[int, list[_Node]] = {_LIST: [], _OBJECT: [], _SCALAR: []}
        self.is_known = False
        self.once = self.many = 0.0

    @property
    def most(self) -> float:
        """The most steps for a value, or for any value inside it."""
        return max(*self.here, *self.below, *self.deeper)

    def renew(self) -> bool:
        """Work the numbers out from those of the schemas inside. Returns whether they have grown."""
        before = sum(self.here) + sum(self.below) + sum(self.deeper)
        for kind in (_LIST, _OBJECT, _SCALAR):
            self.here[kind] = self.own.itself
            if kind not in self.kinds:
                continue  # The type is looked at first, and nothing else then.
            inner, added = self.inner[kind], self.added[kind]
            member = self.own.inside + (self.own.member if kind == _OBJECT else 0)
            self.here[kind] += sum(each.here[kind] for each in self.in_place)
            self.below[kind] = member + _most(inner, added, _here) + sum(each.below[kind] for each in self.in_place)
            deeper = self.own.inside + _most(inner, added, _inside)
            self.deeper[kind] = deeper + sum(each.deeper[kind] for each in self.in_place)
        return sum(self.here) + sum(self.below) + sum(self.deeper) != before

    def divide(self) -> None:
        """Work out ``once`` and ``many`` from those of the schemas inside. One that this is inside of is not known."""
        parts = [part for part in self.in_place if part.is_known]
        named = [each for each in self.named if each.is_known]
        self.once = self.own.itself + sum(each.once for each in (*parts, *named))
        others = max(self._of_others(kind) for kind in (_LIST, _OBJECT))
        self.many = max(others, *(each.many for each in named), 0.0)
        self.many += sum(part.many if part.is_known else part.most for part in self.in_place)
        self.is_known = True

    def _of_others(self, kind: int) -> float:
        member = self.own.inside + (self.own.member if kind == _OBJECT else 0)
        unknown = [each for each in self.named if not each.is_known]
        return member + _most([*self.others[kind], *unknown], self.added[kind], _any)

    def dearest(self) -> _Node | None:
        """Return the schema inside that takes most of the steps; None: none takes half of them."""
        parts = [*self.in_place, *(each for some in (self.inner, self.added) for one in some.values() for each in one)]
        most = max(parts, key=lambda part: part.most, default=None)
        return most if most is not None and most.most * 2 >= self.most else None


def _here(node: _Node) -> float:
    return max(node.here)


def _any(node: _Node) -> float:
    return node.most


def _inside(node: _Node) -> float:
    return max(*node.below, *node.deeper)


def _most(inner: list[_Node], added: list[_Node], steps: Callable[[_Node], float]) -> float:
    return max(map(steps, inner), default=0.0) + sum(map(steps, added))


class _Graph:
    """The schemas of a bundle that judge something, each after those inside it as far as that can be."""

    def __init__(self, whole: dict[str, Any], named: Named, own: Callable[[Weight], _Own]) -> None:
        self._whole = whole
        self._nodes: dict[int, _Node] = {}
        self._order: list[_Node] = []
        self._named = named
        self._own = own
        self._add(whole)
        for node in self._order:
            self._join(node)

    @property
    def root(self) -> _Node:
        """The schema of the whole event."""
        return self._order[-1]

    def settle(self) -> None:
        """Work out all numbers. They are infinite where they do not settle, or where one value takes too many steps."""
        is_settled = False
        for _ in range(MAX_ROUNDS):
            is_settled = sum(node.renew() for node in self._order) == 0  # All of them.
            if is_settled or self.root.most > MAX_STEPS:
                break
        for node in self._order:
            node.divide()
        if not is_settled:
            self.root.once = math.inf

    def dearest(self) -> str:
        """Return, after ``settle``, the pointer of the schema that takes most steps with what it consists of."""
        node, seen = self._order[-1], set[int]()
        while id(node) not in seen and (inside := node.dearest()) is not None:
            seen.add(id(node))
            node = inside
        return node.pointer

    def _add(self, start: dict[str, Any]) -> None:
        waiting: list[tuple[dict[str, Any], str, bool]] = [(start, "#", False)]
        while waiting:
            schema, pointer, is_done = waiting.pop()
            if is_done:
                self._order.append(self._nodes[id(schema)])
            elif id(schema) not in self._nodes:
                own = _Own() if "$ref" in schema else self._own(weigh(schema, self._named))
                self._nodes[id(schema)] = _Node(schema, pointer, own)
                waiting.append((schema, pointer, True))
                waiting += [
                    (child, step if keyword == "$ref" else pointer + step, False)
                    for keyword, step, child in self._children(schema)
                ]

    def _join(self, node: _Node) -> None:
        for keyword, step, child in self._children(node.schema):
            below = self._nodes[id(child)]
            if keyword == "$ref" or keyword == "if" or keyword in dialect.IN_PLACE:
                node.in_place.append(below)
                continue
            kind = _LIST if keyword in _OF_LISTS else _OBJECT
            if keyword in _ADDED:
                node.added[kind].append(below)
                continue
            node.inner[kind].append(below)
            if keyword == "properties" or (keyword == "items" and step != "/items"):
                node.named.append(below)
            else:
                node.others[kind].append(below)

    def _children(self, schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
        if "$ref" in schema:
            found = [("$ref", schema["$ref"], target_of(self._whole, schema["$ref"]))]
        else:
            found = [(word, dialect.step(word, key), child) for word, key, child in dialect.children(schema)]
        return (each for each in found if each[0] != "definitions" and isinstance(each[2], dict))
