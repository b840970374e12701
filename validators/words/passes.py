"""Make fast "certainly valid" tests; the walk over a refused event uses them to skip subtrees.

Place: invalid → HERE → predicates, keywords. Most members of a refused event are valid, and each of these then costs a
comparison or a call.
Rules:
1. True means valid. False means nothing: the walk looks closer. A schema with keywords that are not understood here
   (oneOf, contains, recursion and others) has no test.
2. A test takes time linear in the value. It calls the tests of the parts, so the walk must not use a test at each level
   of a chain: it uses those where ``is_asked``, so that a value is looked at three times at most, not once per level.
3. Tests take no steps of the walk. So no more than ``MAX_TESTS`` look at one value; a schema with more has no test.
4. A test is made once per schema, of closures and tuples: 0.1 kB for a property. Code generated for each schema takes a
   third less time and eight times the memory; condition_source generates some, within a limit.
Not here: the tests themselves (predicates), violations (invalid), decoding and the verdict (generated).
"""

from __future__ import annotations

import functools
import math
from typing import Any, NamedTuple

from validators.formats import plain
from validators.load.bundle import target_of
from validators.regex import pattern
from validators.steps import format_cost
from validators.words import predicates
from validators.words.condition_source import ConditionSource, between
from validators.words.keywords import asserts, plan_of
from validators.words.predicates import Never, PropertyTest, Test

MAX_DEPTH = 40  # Levels of nested schemas; deeper ones have no test.
# Each takes 0.1 µs. A search or a format counts as one for 16 ns that a character takes, a format as one more for 100
# ns that each text takes, an object as one for four properties.
MAX_TESTS = 64

_UNKNOWN = frozenset(
    {
        *("not", "oneOf", "if", "contains", "uniqueItems", "additionalItems"),
        *("dependencies", "patternProperties", "propertyNames"),
        *("exclusiveMaximum", "exclusiveMinimum", "multipleOf"),
    }
)
_OF_NAMES = frozenset({"dependencies", "propertyNames", "patternProperties"})
_PLAIN: dict[str, type] = {"string": str, "boolean": bool, "integer": int, "null": type(None)}


class PassPlan(NamedTuple):
    """The test of a schema, or None. Every value of the class ``kind`` passes (Never: no class does); ``height`` counts
    the levels of the schema, ``tests`` those that may look at one value."""

    test: Test | None
    kind: type = Never
    height: int = 1
    tests: int = 1

    @property
    def is_asked(self) -> bool:
        """Whether the walk uses ``test`` at this level: it does at the lowest four, then at powers of two."""
        return self.test is not None and (self.height <= 4 or self.height & (self.height - 1) == 0)


class ObjectPass(NamedTuple):
    """The plan of an object. ``bare`` are required names without further rules, ``rows`` the properties with rules, in
    the order of the schema, by name; ``needed`` are those of them that are required.
    ``is_counted``: the number of members is bounded. ``has_rest``: there are rules for members without a row.
    ``has_names``: there are rules for the names of members."""

    bare: tuple[str, ...]
    rows: dict[str, PropertyTest]
    needed: frozenset[str]
    is_counted: bool
    has_rest: bool
    has_names: bool


_NOTHING = PassPlan(None)


class Passes:
    """The tests of the schemas of one bundle, by identity; the bundle must outlive this object."""

    def __init__(self, whole: dict[str, Any]) -> None:
        self._whole = whole
        self._known: dict[int, PassPlan] = {}
        self._members: dict[int, ObjectPass] = {}
        self._each: dict[int, tuple[type, Test | None]] = {}
        self._depth = 0
        self._source = ConditionSource()

    def each(self, schema: Any) -> tuple[type, Test | None]:
        """Return, for the schema of all items of an array or all members of a map, a class of which every value passes,
        and the test that the walk uses for other values."""
        found = self._each.get(id(schema))
        if found is None:
            known = self.of(schema)
            found = self._each[id(schema)] = known.kind, known.test if known.is_asked else None
        return found

    def of(self, schema: Any) -> PassPlan:
        """Return the test of a schema, with its class and height."""
        schema = self._target(schema)
        if not isinstance(schema, dict):
            return _NOTHING
        plan = plan_of(schema)
        if not plan.combines and not plan.used and isinstance(plan.wanted, str) and plan.wanted in _PLAIN:
            return _plain(plan.wanted)
        if {"object", "array"}.isdisjoint(plan.used) and not plan.combines:
            return _scalar_plan(schema)
        known = self._known.get(id(schema))
        if known is None and self._depth < MAX_DEPTH:
            self._known[id(schema)] = _NOTHING  # While the test is being made: a schema inside itself has none.
            self._depth += 1
            known = self._known[id(schema)] = self._make(schema, plan.used)
            self._depth -= 1
        return known or _NOTHING

    def members(self, schema: dict[str, Any]) -> ObjectPass:
        """Return the plan for the members of an object."""
        members = self._members.get(id(schema))
        if members is None:
            properties, required = schema.get("properties", {}), schema.get("required", ())
            rows = {}
            for at, (name, each) in enumerate(properties.items()):
                if asserts(each):
                    known = self.of(each)
                    rows[name] = PropertyTest(name, known.kind, known.test, name in required, known.is_asked, at)
            bare = tuple(name for name in required if not asserts(properties.get(name, True)))
            members = self._members[id(schema)] = ObjectPass(
                bare,
                rows,
                frozenset(name for name, row in rows.items() if row.is_needed),
                "maxProperties" in schema or "minProperties" in schema,
                schema.get("additionalProperties", True) is not True,
                not _OF_NAMES.isdisjoint(schema),
            )
        return members

    def _make(self, schema: dict[str, Any], used: tuple[str, ...]) -> PassPlan:
        if not _UNKNOWN.isdisjoint(schema):
            return _NOTHING
        tests: list[PassPlan] = []
        is_text = schema.get("type", "string") == "string" and ("enum" in schema or "const" in schema)
        if used or ("type" in schema and not is_text):
            tests.append(self._of_types(schema, used))
        if "const" in schema:
            tests.append(PassPlan(predicates.texts((schema["const"],))))
        if "enum" in schema:
            tests.append(PassPlan(predicates.texts(schema["enum"])))
        tests += map(self.of, schema.get("allOf", ()))
        if "anyOf" in schema:
            tests.append(_one(list(map(self.of, schema["anyOf"]))))
        return _every(tests)

    def _of_types(self, schema: dict[str, Any], used: tuple[str, ...]) -> PassPlan:
        wanted = schema.get("type", [each for each in ("object", "array") if each in used])
        return _one([self._of_type(each, schema, used) for each in ([wanted] if isinstance(wanted, str) else wanted)])

    def _of_type(self, name: str, schema: dict[str, Any], used: tuple[str, ...]) -> PassPlan:
        if name == "object" and name in used:
            return self._object(schema)
        if name == "array" and name in used:
            return self._array(schema)
        return _scalar_plan(schema | {"type": name})

    def _array(self, schema: dict[str, Any]) -> PassPlan:
        items = schema.get("items", True)
        if isinstance(items, list):
            return _NOTHING
        if not asserts(items):
            return PassPlan(predicates.items(Never, predicates.anything, *_sizes(schema, "minItems", "maxItems")))
        known = self.of(items)
        if known.test is None:
            return _NOTHING
        return PassPlan(
            predicates.items(known.kind, known.test, *_sizes(schema, "minItems", "maxItems")),
            Never,
            known.height + 1,
            known.tests,
        )

    def _object(self, schema: dict[str, Any]) -> PassPlan:
        properties, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
        others = self.of(rest) if rest is not False and asserts(rest) else None
        members = {name: self.of(each) for name, each in properties.items() if asserts(each)}
        known = [*members.values(), *([] if others is None else [others])]
        if any(each.test is None for each in known):
            return _NOTHING
        test = self._written(schema, members)
        if test is None:
            bare, rows, needed, *_ = self.members(schema)
            sizes = _sizes(schema, "minProperties", "maxProperties")
            test = predicates.members(rows, needed.union(bare), *sizes)
            if rest is False:
                test = predicates.closed(test, properties)
        if others is not None and others.test is not None:
            test = predicates.opened(test, properties, others.kind, others.test)
        tests = max(1, (len(members) + len(schema.get("required", ()))) // 4, *(each.tests for each in known))
        if tests > MAX_TESTS:
            return _NOTHING
        return PassPlan(test, Never, 1 + max((each.height for each in known), default=0), tests)

    def _written(self, schema: dict[str, Any], members: dict[str, PassPlan]) -> Test | None:
        properties, required = schema.get("properties", {}), schema.get("required", ())
        conditions = ["x.__class__ is dict" + between(schema, "minProperties", "maxProperties", "len(x)")]
        conditions += [f"{name!a} in x" for name in required if name not in members]
        for name, known in members.items():
            target = self._target(properties[name])
            conditions.append(self._source.member(name, target, known.kind, known.test, name in required))
        if schema.get("additionalProperties") is False:
            conditions.append(f"x.keys() <= {self._source.name(properties)}.keys()" if properties else "not x")
        return self._source.test(conditions)

    def _target(self, schema: Any) -> Any:
        while isinstance(schema, dict) and "$ref" in schema:
            schema = target_of(self._whole, schema["$ref"])
        return schema


@functools.cache
def _plain(name: str) -> PassPlan:
    kind = _PLAIN[name]
    return PassPlan(lambda value: value.__class__ is kind, kind)


def _every(known: list[PassPlan]) -> PassPlan:
    if any(each.test is None for each in known):
        return _NOTHING
    return _joined(known, is_every=True)


def _one(known: list[PassPlan]) -> PassPlan:
    """Combine alternatives: a value that passes one of the known tests is valid."""
    return _joined([each for each in known if each.test is not None], is_every=False)


def _joined(known: list[PassPlan], *, is_every: bool) -> PassPlan:
    if len(known) < 2:
        return known[0] if known else _NOTHING
    count = sum(each.tests for each in known)
    if count > MAX_TESTS:
        return _NOTHING
    tests = [each.test for each in known if each.test is not None]
    return PassPlan(predicates.chain(tests, is_every), Never, max(each.height for each in known), count)


def _sizes(schema: dict[str, Any], low: str, high: str) -> tuple[float, float]:
    return schema.get(low, 0), schema.get(high, math.inf)


def _scalar_plan(schema: dict[str, Any]) -> PassPlan:
    searched = pattern.ns_per_character(schema["pattern"]) // 16 if "pattern" in schema else 0
    if schema.get("format") not in plain.TESTS:
        form = format_cost(schema.get("format"))
        searched += form.character // 16 + form.text // 100
    if searched >= MAX_TESTS:
        return _NOTHING
    return PassPlan(_scalar(_key(schema)), tests=1 + searched)


_Key = tuple[Any, ...]


def _key(schema: dict[str, Any]) -> _Key:
    """Return the rules of a scalar as a hashable key, so that equal rules share one test in all schemas."""
    wanted = schema.get("type")
    if "exclusiveMaximum" in schema or "exclusiveMinimum" in schema or "multipleOf" in schema:
        wanted = [each for each in ([wanted] if isinstance(wanted, str) else wanted or ()) if each not in _NUMERIC]
    names = (wanted,) if isinstance(wanted, str) else tuple(wanted or ())
    strings = (*_sizes(schema, "minLength", "maxLength"), schema.get("pattern"), schema.get("format"))
    return names, strings, (schema.get("minimum", -math.inf), schema.get("maximum", math.inf))


_NUMERIC = ("integer", "number")


@functools.lru_cache(maxsize=4_096)
def _scalar(key: _Key) -> Test | None:
    names, strings, (lowest, highest) = key
    tests: list[Test] = []
    for name in names:
        if name == "string":
            tests.append(predicates.string(*strings))
        elif name in _NUMERIC:
            tests.append(predicates.number((int,) if name == "integer" else (int, float), lowest, highest))
        elif name in ("boolean", "null"):
            tests.append(_plain(name).test or predicates.anything)
        else:  # It is an object or an array without further rules.
            tests.append(predicates.of_class(dict if name == "object" else list))
    if len(tests) < 2:
        return tests[0] if tests else None
    return predicates.chain(tests, False)
