"""Find every violation of a refused event, in AJV 6's words and order.

Place: validator calls this for an event that its type refused or, where there is no type, the compiled function.
Rules:
1. The walk accepts exactly what the compiled function accepts; where it finds no violation, that function decides.
2. Order and wording are those of AJV 6.12 with ``allErrors``: the type first or in its group's place, then numbers,
   strings, arrays, objects, then const, enum, not, anyOf, oneOf, allOf, if. Every message here is a contract.
3. The walk ends at the limits of notes. A text longer than its schema allows and ``MAX_SEARCHED`` is not searched.
Source: ajv 6.12.6, ``lib/compile/rules.js`` and ``lib/dot/``; tests/validators holds what it answered.
Not here: the decision (reference).
"""

from __future__ import annotations

from typing import Any

from validators.formats.asserted import FORMATS
from validators.load.bundle import target_of
from validators.regex import pattern
from validators.words.json_values import IS, Enums, is_multiple, is_same, last_pair, last_scalar_pair
from validators.words.keywords import FEW, MAX_SEARCHED, Plan, asserts, plan_of
from validators.words.notes import EnoughError, Notes
from validators.words.passes import ObjectPass, Passes
from validators.words.searches import is_found
from validators.words.violation import UNPLACED, Violation, cut, declared, found, fragment, number

_GROUP = {dict: "object", list: "array", str: "string", int: "number", float: "number", bool: "", type(None): ""}
"""The group of keywords that judges values of a class. A JSON decoder makes no values of other classes."""


def problems(whole: dict[str, Any], value: Any) -> list[Violation]:
    """Return the violations that a walk over a decoded value finds. Raises RecursionError on one nested too deeply."""
    found_here = Walk(whole).problems(value)
    return [UNPLACED] if found_here is None else found_here


class Walk:
    """The walk over events of one bundle. Every method returns whether the value passed, and notes the violations."""

    def __init__(self, whole: dict[str, Any]) -> None:
        self.notes = Notes()
        self._whole = whole
        self._plans: dict[int, Plan] = {}  # By identity: the bundle holds its schemas as long as the walk lives.
        self._is_listed = Enums().hold
        self._passes = Passes(whole)

    def problems(self, value: Any, most: int | None = None) -> list[Violation] | None:
        """Return the violations of a value. None: the walk reached its limits, ``most`` steps, before it found any.
        Raises RecursionError on a value that is nested too deeply."""
        self.notes = notes = Notes(most)
        try:
            self.schema(self._whole, value, "", "#")
        except EnoughError:
            return notes.problems or None
        return notes.problems

    def accepts(self, schema: Any, value: Any, notes: Notes | None = None) -> bool | None:
        """Whether a schema inside the bundle accepts a value. None: limits are reached. ``notes`` count the steps."""
        self.notes = notes or Notes()
        try:
            return self._silently(schema, value)
        except EnoughError:
            return None

    def _fail(self, keyword: str, path: str, place: str, message: str, params: dict[str, Any] | None = None) -> bool:
        return self.notes.fail(keyword, path, place, message, params)

    def schema(self, schema: Any, value: Any, path: str, place: str) -> bool:
        self.notes.enter()
        path = cut(path)
        while not isinstance(schema, bool) and "$ref" in schema:
            place = schema["$ref"]
            schema = target_of(self._whole, place)
            self.notes.step()
        if isinstance(schema, bool):
            self.notes.leave()
            return schema or self._fail("false schema", path, f"{place}/false schema", "boolean schema is false")
        wanted, is_in_place, used, combines, more = self._plans.get(id(schema)) or self._plan(schema)
        if more is not None:
            self.notes.step(more.of(value))
        passed = True
        if wanted is not None and not is_in_place:
            passed = self._type(wanted, value, path, place)
        own = _GROUP.get(value.__class__)
        for group in used:
            if group != own:
                if wanted == group:
                    passed = self._type(group, value, path, place)
            elif group == "string":
                passed = self._string(schema, value, path, place) and passed
            elif group == "object":
                passed = self._object(schema, value, path, place) and passed
            elif group == "array":
                passed = self._array(schema, value, path, place) and passed
            else:
                passed = self._number(schema, value, path, place) and passed
        if combines:
            passed = self._combinations(schema, value, path, place) and passed
        self.notes.leave()
        return passed

    def _plan(self, schema: dict[str, Any]) -> Plan:
        """Make the plan of a schema, once for all the values that it judges."""
        plan = self._plans[id(schema)] = plan_of(schema)
        return plan

    def _type(self, wanted: str | list[str], value: Any, path: str, place: str) -> bool:
        if isinstance(wanted, str):
            if IS[wanted](value):
                return True
            text = wanted
        elif any(IS[name](value) for name in wanted):
            return True
        else:
            text = ",".join(wanted)
        return self._fail("type", path, f"{place}/type", f"should be {text}", {"type": text})

    # Numbers

    # The values here have no type: a compiled ``float`` would take an integer for the nearest double.
    def _number(self, schema: dict[str, Any], value: Any, path: str, place: str) -> bool:
        passed = self._limit(schema, "maximum", "exclusiveMaximum", value, path, place)
        passed = self._limit(schema, "minimum", "exclusiveMinimum", value, path, place) and passed
        step = schema.get("multipleOf")
        if step is not None and not is_multiple(value, step):
            message = f"should be multiple of {number(step)}"
            passed = self._fail("multipleOf", path, f"{place}/multipleOf", message, {"multipleOf": step})
        return passed

    def _limit(self, schema: dict[str, Any], inclusive: str, exclusive: str, value: Any, path: str, place: str) -> bool:
        if inclusive not in schema and exclusive not in schema:
            return True
        limit, strict = schema.get(inclusive), schema.get(exclusive)
        sign = "<" if inclusive == "maximum" else ">"
        is_strict = strict is True  # In draft-04 this keyword says whether the other bound is exclusive.
        if isinstance(strict, int | float) and not isinstance(strict, bool):
            is_strict = limit is None or (strict <= limit if sign == "<" else strict >= limit)
            limit = strict if is_strict else limit
        if limit is None:
            return True
        below, above = (value, limit) if sign == "<" else (limit, value)
        if below < above or (below == above and not is_strict):
            return True
        keyword, comparison = (exclusive, sign) if is_strict else (inclusive, f"{sign}=")
        params = {"comparison": comparison, "limit": limit, "exclusive": is_strict}
        return self._fail(keyword, path, f"{place}/{keyword}", f"should be {comparison} {number(limit)}", params)

    def _count(self, schema: dict[str, Any], keyword: str, count: int, message: str, path: str, place: str) -> bool:
        limit = schema.get(keyword)
        if limit is None or (count <= limit if keyword.startswith("max") else count >= limit):
            return True
        return self._fail(keyword, path, f"{place}/{keyword}", message.format(number(limit)), {"limit": limit})

    # Strings

    def _string(self, schema: dict[str, Any], value: str, path: str, place: str) -> bool:
        count = len(value)
        passed = self._count(schema, "maxLength", count, "should NOT be longer than {} characters", path, place)
        passed = (
            self._count(schema, "minLength", count, "should NOT be shorter than {} characters", path, place) and passed
        )
        if not passed and count > MAX_SEARCHED:
            return False
        text = schema.get("pattern")
        if text is not None and not is_found(text, value, self.notes):
            message = f'should match pattern "{text}"'
            passed = self._fail("pattern", path, f"{place}/pattern", message, {"pattern": text})
        name = schema.get("format")
        if name in FORMATS and not FORMATS[name](value):
            passed = self._fail("format", path, f"{place}/format", f'should match format "{name}"', {"format": name})
        return passed

    # Arrays

    def _array(self, schema: dict[str, Any], value: list[Any], path: str, place: str) -> bool:
        count = len(value)
        passed = self._count(schema, "maxItems", count, "should NOT have more than {} items", path, place)
        passed = self._count(schema, "minItems", count, "should NOT have fewer than {} items", path, place) and passed
        if "items" in schema:
            passed = self._items(schema, value, path, place) and passed
        if "contains" in schema:
            passed = self._contains(schema["contains"], value, path, f"{place}/contains") and passed
        if schema.get("uniqueItems") is True:
            passed = self._unique(schema.get("items"), value, path, f"{place}/uniqueItems") and passed
        return passed

    def _items(self, schema: dict[str, Any], value: list[Any], path: str, place: str) -> bool:
        items, more = schema["items"], schema.get("additionalItems", True)
        if not isinstance(items, list):
            return self._each(items, value, path, f"{place}/items")
        passed = True
        if more is False and len(value) > len(items):
            message = f"should NOT have more than {len(items)} items"
            passed = self._fail("additionalItems", path, f"{place}/additionalItems", message, {"limit": len(items)})
        for i, (each, item) in enumerate(zip(items, value, strict=False)):
            passed = self.schema(each, item, f"{path}[{i}]", f"{place}/items/{i}") and passed
        if isinstance(more, dict):
            for i in range(len(items), len(value)):
                passed = self.schema(more, value[i], f"{path}[{i}]", f"{place}/additionalItems") and passed
        return passed

    def _each(self, items: Any, value: list[Any], path: str, place: str) -> bool:
        kind, passes = self._passes.each(items)
        passed = True
        for i, each in enumerate(value):
            if each.__class__ is not kind and (passes is None or not passes(each)):
                passed = self.schema(items, each, f"{path}[{i}]", place) and passed
        return passed

    def _contains(self, schema: Any, value: list[Any], path: str, place: str) -> bool:
        count = self.notes.begin_trial()
        passed = any(self.schema(schema, each, f"{path}[{i}]", place) for i, each in enumerate(value))
        if self.notes.end_trial(count, passed):
            return True
        return self._fail("contains", path, place, "should contain a valid item")

    def _unique(self, items: Any, value: list[Any], path: str, place: str) -> bool:
        wanted = items.get("type") if isinstance(items, dict) else None
        names = [wanted] if isinstance(wanted, str) else wanted or []
        if not names or "object" in names or "array" in names:
            pair = last_pair(value)
        else:
            pair = last_scalar_pair(value, lambda each: any(IS[name](each) for name in names))
        if pair is None:
            return True
        i, j = pair
        message = f"should NOT have duplicate items (items ## {j} and {i} are identical)"
        return self._fail("uniqueItems", path, place, message, {"i": i, "j": j})

    # Objects

    def _object(self, schema: dict[str, Any], value: dict[str, Any], path: str, place: str) -> bool:
        bare, rows, _, is_counted, has_rest, has_names = members = self._passes.members(schema)
        if len(value) > FEW:
            self.notes.step(len(value) >> 3)
        passed = not is_counted or self._sizes(schema, value, path, place)
        for name in bare:
            if name not in value:
                passed = self._missing(name, path, place)
        searched = value
        if has_names:
            passed = self._dependencies(schema.get("dependencies", {}), value, path, f"{place}/dependencies") and passed
            names = schema.get("propertyNames", True)
            if False in [self._name(names, name, path, f"{place}/propertyNames") for name in value]:  # Each is noted.
                passed = False
                searched = {name: each for name, each in value.items() if len(name) <= MAX_SEARCHED}
        if has_rest:
            passed = self._additional(schema, value, searched, path, place) and passed
        if rows:
            passed = self._properties(members, schema, value, path, place) and passed
        return (not has_names or self._patterns(schema, searched, path, place)) and passed

    def _sizes(self, schema: dict[str, Any], value: dict[str, Any], path: str, place: str) -> bool:
        count = len(value)
        passed = self._count(schema, "maxProperties", count, "should NOT have more than {} properties", path, place)
        message = "should NOT have fewer than {} properties"
        return self._count(schema, "minProperties", count, message, path, place) and passed

    def _patterns(self, schema: dict[str, Any], searched: dict[str, Any], path: str, place: str) -> bool:
        passed = True
        for text, each in schema.get("patternProperties", {}).items():
            search = pattern.compiled(text).search
            step = f"{place}/patternProperties{fragment(text)}"
            for name, inner in searched.items():
                if search(name):
                    passed = self.schema(each, inner, path + found(name), step) and passed
        return passed

    def _missing(self, name: str, path: str, place: str) -> bool:
        message = f"should have required property '{name}'"
        return self._fail("required", path, f"{place}/required", message, {"missingProperty": name})

    def _dependencies(self, dependencies: dict[str, Any], value: dict[str, Any], path: str, place: str) -> bool:
        passed = True
        for name, needed in dependencies.items():
            if isinstance(needed, list) and name in value:
                for missing in (each for each in needed if each not in value):
                    passed = self._dependency(name, needed, missing, path, place)
        for name, schema in dependencies.items():
            if not isinstance(schema, list) and name in value:
                passed = self.schema(schema, value, path, place + fragment(name)) and passed
        return passed

    def _dependency(self, name: str, needed: list[str], missing: str, path: str, place: str) -> bool:
        names = ", ".join(needed)
        word = "property" if len(needed) == 1 else "properties"
        params = {"property": name, "missingProperty": missing, "depsCount": len(needed), "deps": names}
        message = f"should have {word} {names} when property {name} is present"
        return self._fail("dependencies", path, place, message, params)

    def _name(self, schema: Any, name: str, path: str, place: str) -> bool:
        if schema is True or self.schema(schema, name, path, place):
            return True
        message = f"property name '{cut(name)}' is invalid"
        return self._fail("propertyNames", path, place, message, {"propertyName": cut(name)})

    def _additional(
        self, schema: dict[str, Any], value: dict[str, Any], searched: dict[str, Any], path: str, place: str
    ) -> bool:
        rest = schema["additionalProperties"]
        declared_here = schema.get("properties", {})
        if value.keys() <= declared_here.keys():
            return True
        place += "/additionalProperties"
        searches = [pattern.compiled(text).search for text in schema.get("patternProperties", {})]
        kind, passes = self._passes.each(rest)
        passed = True
        for name, each in value.items():
            if each.__class__ is kind or (passes is not None and passes(each)) or name in declared_here:
                continue
            if searches and name in searched and any(search(name) for search in searches):
                continue
            if rest is False:
                message = "should NOT have additional properties"
                passed = self._fail("additionalProperties", path, place, message, {"additionalProperty": cut(name)})
            else:
                passed = self.schema(rest, each, path + found(name), place) and passed
        return passed

    def _properties(
        self, members: ObjectPass, schema: dict[str, Any], value: dict[str, Any], path: str, place: str
    ) -> bool:
        """Look at the members that are there: a schema may have ten times as many properties."""
        rows, needed, odd = members.rows, members.needed, []
        for name, each in value.items():
            row = rows.get(name)
            if row is None:
                continue
            if each.__class__ is not row.kind and not (row.is_asked and row.test(each)):
                odd.append((row.at, name))
        odd += [(rows[name].at, name) for name in needed if name not in value]
        passed = True
        for _, name in sorted(odd):
            if name in value:
                step, below = declared(name), f"{place}/properties{fragment(name)}"
                passed = self.schema(schema["properties"][name], value[name], path + step, below) and passed
            else:
                passed = self._missing(name, path, place)
        return passed

    # Any value

    def _combinations(self, schema: dict[str, Any], value: Any, path: str, place: str) -> bool:
        passed = True
        if "const" in schema and not is_same(value, schema["const"]):
            params = {"allowedValue": schema["const"]}
            passed = self._fail("const", path, f"{place}/const", "should be equal to constant", params)
        if "enum" in schema and not self._is_listed(schema["enum"], value):
            params = {"allowedValues": schema["enum"]}
            passed = self._fail("enum", path, f"{place}/enum", "should be equal to one of the allowed values", params)
        if "not" in schema and self._silently(schema["not"], value):
            passed = self._fail("not", path, f"{place}/not", "should NOT be valid")
        if "anyOf" in schema:
            passed = self._any_of(schema["anyOf"], value, path, f"{place}/anyOf") and passed
        if "oneOf" in schema:
            passed = self._one_of(schema["oneOf"], value, path, f"{place}/oneOf") and passed
        for i, each in enumerate(schema.get("allOf", ())):
            passed = self.schema(each, value, path, f"{place}/allOf/{i}") and passed
        if "if" in schema:
            passed = self._if(schema, value, path, place) and passed
        return passed

    def _silently(self, schema: Any, value: Any) -> bool:
        self.notes.silent += 1
        passed = self.schema(schema, value, "", "#")
        self.notes.silent -= 1
        return passed

    def _any_of(self, schemas: list[Any], value: Any, path: str, place: str) -> bool:
        if not all(asserts(each) for each in schemas):
            return True
        count = self.notes.begin_trial()
        passed = any(self.schema(each, value, path, f"{place}/{i}") for i, each in enumerate(schemas))
        if self.notes.end_trial(count, passed):
            return True
        return self._fail("anyOf", path, place, "should match some schema in anyOf")

    def _one_of(self, schemas: list[Any], value: Any, path: str, place: str) -> bool:
        count = self.notes.begin_trial()
        passing: list[int] = []
        for i, each in enumerate(schemas):
            if self.schema(each, value, path, f"{place}/{i}"):
                passing.append(i)
                if len(passing) == 2:
                    break
        if self.notes.end_trial(count, len(passing) == 1):
            return True
        params = {"passingSchemas": passing or None}
        return self._fail("oneOf", path, place, "should match exactly one schema in oneOf", params)

    def _if(self, schema: dict[str, Any], value: Any, path: str, place: str) -> bool:
        if not (asserts(schema.get("then", True)) or asserts(schema.get("else", True))):
            return True
        word = "then" if self._silently(schema["if"], value) else "else"
        if self.schema(schema.get(word, True), value, path, f"{place}/{word}"):
            return True
        return self._fail("if", path, f"{place}/if", f'should match "{word}" schema', {"failingKeyword": word})
