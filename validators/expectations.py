"""Compile the expectations of a schema (``x-expect``): schemas that refuse nothing, and say which events are odd.

Place: annotations → HERE → code that counts events which fail them.
Rules:
1. An expectation is a schema, or one of a list of schemas, at the root or at the schema of any value inside an event.
   It judges each value at its place; where there is none, the event meets it.
2. Its name is its title, or else its JSON pointer. Where several have one title, each name has the pointer too.
3. An expectation that cannot be used is a fault, and never an exception: the others are used.
4. An expectation refers to no other schema, and its size is bounded, as their number is. It has to be secure like any
   schema, where the bounds of the schema that it stands in count as its own.
Not here: which events are judged, and what is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from validators.annotations import misplaced, placed
from validators.errors import SchemaError
from validators.judge.reference import check_schema
from validators.load import dialect, insecure
from validators.load.cost_limits import refuse_costly
from validators.regex import pattern
from validators.regex.pattern import PatternError
from validators.vacuous import is_always_met, is_never_met

if TYPE_CHECKING:
    from validators.annotations import Placed, Step
    from validators.judge.validator import Validator
    from validators.words.violation import Violation

KEYWORD: Final = "x-expect"
MOST_EXPECTATIONS: Final = 32  # Each is one more pass over an event.
MOST_SCHEMAS: Final = 100  # In one expectation; all of a schema compile within seconds then.
MOST_NAME_CHARS: Final = 200
_MISPLACED: Final = (
    "stands where it is not judged: below anyOf, oneOf, not, if, contains, dependencies or the like; "
    "write it above them, with the same branches inside"
)
_WITHOUT_CONDITION: Final = (
    dialect.IN_VALUE
    | dialect.IN_LIST
    | dialect.IN_MAP
    | {
        *(
            "$comment",
            "$id",
            "$schema",
            "contentEncoding",
            "contentMediaType",
            "default",
            "description",
            "examples",
            "id",
        ),
        *("readOnly", "required", "title", "writeOnly"),
    }
)
_BOUNDS: Final = ("maxLength", "maxItems", "propertyNames")

Make = Callable[[str, dict[str, Any]], "Validator"]


class Expectation(NamedTuple):
    """``check`` returns None for an event, in bytes, that meets it. ``size`` is the number of schemas and of listed
    values in it, each of which may judge each value of an event; ``search_ns`` is the most that its patterns take for a
    character."""

    name: str
    pointer: str
    check: Callable[[bytes], list[Violation] | None]
    size: int = 1
    search_ns: int = 0


class Fault(NamedTuple):
    """An expectation that cannot be used. ``pointer`` is its place as a reader of the schema sees it, through
    references."""

    pointer: str
    reason: str


class Expectations(NamedTuple):
    """All expectations of a schema."""

    usable: tuple[Expectation, ...] = ()
    faults: tuple[Fault, ...] = ()


NONE: Final = Expectations()


def is_there(whole: dict[str, Any]) -> bool:
    """Whether a bundle has an expectation anywhere. It takes a walk over its schemas, and compiles nothing."""
    return any(KEYWORD in schema for schema in _inside(whole))


class _Written(NamedTuple):
    place: Placed
    pointer: str
    schema: Any


def compile_all(whole: dict[str, Any], make: Make, *, allow_insecure: bool = False) -> Expectations:
    """Compile the expectations of a bundle. ``make`` compiles one schema, under a name for its errors; it may raise
    SchemaError."""
    try:
        has_false = dialect.has_booleans(whole)
        written = [each for place in placed(whole, KEYWORD) for each in _written(place, has_false)]
        faults = [Fault(at, _MISPLACED) for at in misplaced(whole, KEYWORD)]
    except SchemaError as error:  # Too many places.
        return Expectations(faults=(Fault(f"#/{KEYWORD}", str(error)),))
    titles = Counter(_title(each.schema) for each in written)
    usable: list[Expectation] = []
    weight = 0
    for each in written:
        if len(usable) == MOST_EXPECTATIONS:
            faults.append(Fault(each.pointer, f"a schema has at most {MOST_EXPECTATIONS} expectations"))
            break
        try:
            _refuse(whole, each, allow_insecure=allow_insecure)
            more = _weight(each.schema)
            if weight + more > pattern.MAX_WEIGHT:
                raise SchemaError("schema_unavailable", "the patterns of all expectations take too long to compile")
            made = make(each.pointer, _around(whole, each))
        except (SchemaError, PatternError, RecursionError) as error:
            faults.append(Fault(each.pointer, str(error).removeprefix(f"{each.pointer}: ")))
            continue
        weight += more
        usable.append(
            Expectation(_name(each, titles), each.pointer, made.check, _size(each.schema), _search_ns(each.schema))
        )
    return Expectations(tuple(usable), tuple(faults))


def _written(place: Placed, has_false: bool) -> Iterator[_Written]:
    """Yield the expectations of a place. From draft-06 on, ``false`` is a schema: no value is expected there."""
    if isinstance(place.value, list) and place.value:
        for index, schema in enumerate(place.value):
            yield _Written(place, f"{place.pointer}/{index}", _of_false(schema, has_false))
    else:
        yield _Written(place, place.pointer, _of_false(place.value, has_false))


def _of_false(schema: Any, has_false: bool) -> Any:
    return {"not": {}} if schema is False and has_false else schema


def _title(schema: Any) -> str | None:
    title = schema.get("title") if isinstance(schema, dict) else None
    return title[:MOST_NAME_CHARS] if isinstance(title, str) and title and title.isprintable() else None


def _name(each: _Written, titles: Counter[str | None]) -> str:
    title = _title(each.schema)
    if title is None:
        return each.pointer
    return title if titles[title] == 1 else f"{title} at {each.pointer}"


def _refuse(whole: dict[str, Any], each: _Written, *, allow_insecure: bool) -> None:
    """Raise SchemaError, or PatternError, for an expectation that is no schema, has a reference, is large or is
    insecure."""
    schema, pointer = each.schema, each.pointer
    if not isinstance(schema, dict):
        raise SchemaError("schema_unavailable", _no_schema(schema, whole))
    inside = list(_inside(schema))
    if any("$ref" in one for one in inside):
        raise SchemaError("schema_unavailable", "has a $ref: an expectation refers to no other schema")
    if any(KEYWORD in one for one in inside):
        raise SchemaError("schema_unavailable", f"has an {KEYWORD} inside, which judges nothing: write one list")
    if len(inside) > MOST_SCHEMAS:
        raise SchemaError("schema_unavailable", f"consists of more than {MOST_SCHEMAS} schemas")
    draft = {"$schema": whole["$schema"]} if "$schema" in whole else {}
    check_schema({**schema, **draft}, pointer)
    refuse_costly(schema, pointer)
    if is_always_met(schema):
        raise SchemaError("schema_unavailable", f"expects nothing: every value meets it{_unknown(schema)}")
    if not each.place.steps and is_never_met(schema):
        raise SchemaError("schema_unavailable", "is met by no event; write a condition, or place it at a property")
    if not allow_insecure:
        bounds: dict[str, Any] = {key: each.place.schema[key] for key in _BOUNDS if key in each.place.schema}
        found = insecure.findings({**bounds, **schema})
        if found:
            raise SchemaError("insecure_schema", "; ".join(map(str, found[:10])))


def _no_schema(value: Any, whole: dict[str, Any]) -> str:
    """Return what is wrong with a value that is no object."""
    if value is True:
        return "is true, which every value meets: write what is expected, or leave the keyword out"
    if value is False:
        return f"is false, which is no schema in {whole['$schema']}: write {{not: {{}}}} where no value is expected"
    if value is None:
        return "is empty: write a schema, such as {required: [size]}, or leave the keyword out"
    if value == []:
        return "is an empty list: write a schema in it, or leave the keyword out"
    kind = "a list in a list" if isinstance(value, list) else "text" if isinstance(value, str) else "a number"
    return f"is {kind}, and not a schema or a list of schemas: write conditions, such as {{required: [size]}}"


def _unknown(schema: dict[str, Any]) -> str:
    """Name the words that were probably meant for conditions."""
    words = [word for word in map(str, schema) if word not in _WITHOUT_CONDITION and not word.startswith("x-")]
    return f". No keyword: {', '.join(word[:40] for word in words[:5])}" if words else ""


def _inside(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    waiting: list[Any] = [schema]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting += [child for _, _, child in dialect.children(one)]


def _size(schema: dict[str, Any]) -> int:
    return sum(1 + len(one.get("enum") or ()) for one in _inside(schema))


def _search_ns(schema: dict[str, Any]) -> int:
    return sum(pattern.ns_per_character(text) for one in _inside(schema) for _, text in dialect.patterns(one))


def _weight(schema: dict[str, Any]) -> int:
    return sum(pattern.weight(text) for text in {text for one in _inside(schema) for _, text in dialect.patterns(one)})


def _around(whole: dict[str, Any], each: _Written) -> dict[str, Any]:
    """Return the schema by which a whole event meets the expectation for each value at its place."""
    schema = {key: value for key, value in each.schema.items() if key not in ("$schema", "$id", "definitions")}
    for step in reversed(each.place.steps):
        schema = _outside(step, schema)
    kind = {} if "type" in schema else {"type": "object"}  # Events are objects, and quicker to read if that is said.
    draft = {"$schema": whole["$schema"]} if "$schema" in whole else {}
    return {**draft, **kind, **schema}


def _outside(step: Step, schema: dict[str, Any]) -> dict[str, Any]:
    keyword, key = step.keyword, step.key
    if keyword in ("properties", "patternProperties"):
        return {keyword: {key: schema}}
    if keyword == "additionalProperties":
        others = {"properties": dict.fromkeys(sorted(step.names), True)}
        return {**others, "patternProperties": dict.fromkeys(step.patterns, True), keyword: schema}
    if keyword == "additionalItems":
        assert isinstance(key, int)
        return {"items": [True] * key, keyword: schema}
    return {"items": schema if key is None else [*[True] * int(key), schema]}
