"""Find a keyword that judges nothing, such as ``x-privacy``, and the places in events that it speaks of.

Place: bundle → HERE → code that obeys one such keyword.
Rules:
1. Schemas that surely speak of the same value are followed: ``$ref`` and ``allOf``. From a value to those inside it
   lead ``properties``, ``patternProperties``, ``additionalProperties``, ``items`` and ``additionalItems``.
   ``POSSIBLE`` adds the keywords whose schemas may apply or not; nothing is followed into ``not``, ``if`` or
   ``contains``.
2. A schema inside itself is entered once on each path: its keyword is found at the outermost place.
3. The number of places is bounded, because references multiply them.
Not here: the meaning of a keyword; which keywords a bundle keeps next to a ``$ref`` (bundle).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from validators.errors import SchemaError
from validators.load import dialect
from validators.load.bundle import target_of

MOST_PLACES: Final = 1_000
MOST_SCHEMAS: Final = 20_000  # Visits, when each is counted as often as references lead there.

CERTAIN: Final = frozenset({"allOf"})
POSSIBLE: Final = CERTAIN | {"anyOf", "dependencies", "else", "oneOf", "then"}
_INTO: Final = frozenset({"additionalItems", "additionalProperties", "items", "patternProperties", "properties"})


class Step(NamedTuple):
    """One step from a value to values inside it: the keyword that leads there, and its key.

    ============================  ======================  ==========================================================
    keyword                       key                     where it leads
    ============================  ======================  ==========================================================
    ``properties``                name                    to this property
    ``patternProperties``         regex of ECMA-262       to the properties whose names it matches
    ``additionalProperties``      None                    to those that ``names`` and ``patterns`` do not cover
    ``items``                     None                    to every item of an array
    ``items``                     index                   to this item
    ``additionalItems``           index                   to this item and those after it
    ============================  ======================  ==========================================================
    """

    keyword: str
    key: str | int | None
    names: frozenset[str] = frozenset()
    patterns: tuple[str, ...] = ()


class Placed(NamedTuple):
    """A keyword's value, the schema that holds it, and the steps from an event to the value that it speaks of.

    ``pointer`` is the JSON pointer of the keyword as a reader of the event sees it: through references as if the
    schemas stood there. ``at`` is its pointer in the bundle.
    """

    value: Any
    schema: dict[str, Any]
    steps: tuple[Step, ...]
    pointer: str
    at: str


def placed(whole: dict[str, Any], keyword: str, in_place: frozenset[str] = CERTAIN) -> Iterator[Placed]:
    """Yield each place of a keyword in a bundle, outermost first on each path. Raises SchemaError for too many."""
    if not any(keyword in schema for _, schema in _schemas(whole)):
        return  # Most schemas do not have it, however many places references make of theirs.
    found = 0
    for each in _visits(whole, in_place):
        if keyword not in each.schema:
            continue
        found += 1
        if found > MOST_PLACES:
            raise SchemaError("schema_unavailable", f"{keyword} stands at more than {MOST_PLACES:,} places")
        pointer, at = f"{each.pointer}/{keyword}", f"{each.at}/{keyword}"
        yield Placed(each.schema[keyword], each.schema, each.steps, pointer, at)


def misplaced(whole: dict[str, Any], keyword: str, in_place: frozenset[str] = CERTAIN) -> list[str]:
    """Return the pointers in the bundle at which ``placed`` does not find the keyword, though a schema holds it there.
    Raises SchemaError as ``placed`` does."""
    reached = {each.at for each in placed(whole, keyword, in_place)}
    held = (f"{at}/{keyword}" for at, schema in _schemas(whole) if keyword in schema)
    return sorted(at for at in held if at not in reached)


def _schemas(whole: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the pointer of every schema of a bundle, and the schema."""
    waiting: list[tuple[str, Any]] = [("#", whole)]
    while waiting:
        at, schema = waiting.pop()
        if isinstance(schema, dict):
            yield at, schema
            waiting += [(at + dialect.step(name, key), child) for name, key, child in dialect.children(schema)]


class _Visit(NamedTuple):
    schema: dict[str, Any]
    steps: tuple[Step, ...]
    pointer: str
    at: str
    trail: frozenset[str]  # The pointers of all schemas that led here, this one included.


def _visits(whole: dict[str, Any], in_place: frozenset[str]) -> Iterator[_Visit]:
    """Yield every schema as often as paths lead to it."""
    waiting = [_Visit(whole, (), "#", "#", frozenset({"#"}))]
    visited = 0
    while waiting:
        visit = waiting.pop()
        visited += 1
        if visited > MOST_SCHEMAS:
            raise SchemaError("schema_unavailable", f"its references lead to more than {MOST_SCHEMAS:,} schemas")
        yield visit
        waiting += reversed([each for each in _following(whole, visit, in_place) if each is not None])


def _following(whole: dict[str, Any], visit: _Visit, in_place: frozenset[str]) -> Iterator[_Visit | None]:
    schema = visit.schema
    if "$ref" in schema:
        ref = schema["$ref"]
        yield _entered(visit, target_of(whole, ref), ref, visit.pointer, visit.steps)
        return
    for keyword, key, child in dialect.children(schema):
        at, pointer = (start + dialect.step(keyword, key) for start in (visit.at, visit.pointer))
        if keyword in in_place:
            yield _entered(visit, child, at, pointer, visit.steps)
        elif keyword in _INTO:
            step = _step(schema, keyword, key)
            if step is not None:
                yield _entered(visit, child, at, pointer, (*visit.steps, step))


def _entered(visit: _Visit, schema: Any, at: str, pointer: str, steps: tuple[Step, ...]) -> _Visit | None:
    """Return the visit of a schema; None for one that led here, and for one that holds nothing."""
    if not isinstance(schema, dict) or at in visit.trail:
        return None
    return _Visit(schema, steps, pointer, at, visit.trail | {at})


def _step(schema: dict[str, Any], keyword: str, key: str | int | None) -> Step | None:
    if keyword == "additionalProperties":
        names = frozenset(schema.get("properties", ()))
        return Step(keyword, None, names, tuple(schema.get("patternProperties", ())))
    if keyword == "additionalItems":
        items = schema.get("items")
        return Step(keyword, len(items)) if isinstance(items, list) else None  # Ignored without a list.
    return Step(keyword, key)


def written(steps: Sequence[Step]) -> str:
    """Return a place as people read it, such as ``users[].email``."""
    text = ""
    for step in steps:
        if step.keyword in ("items", "additionalItems"):
            text += "[]" if step.key is None else f"[{step.key}]"
        else:
            text += f".{'*' if step.key is None else step.key}"
    return text.removeprefix(".")
