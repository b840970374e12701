"""Find what schemas say of values that ``x-privacy`` withholds: stored events are judged by them, and lack these.

Place: bundle, privacy → HERE → checks of schemas and streams, before any event.
Rules: names and items are followed, patterns of names are not. A condition below ``not``, ``if`` or a branch only looks
at a value; what is required elsewhere can never be met. A hash is stored in the place of a value: of that nothing but
its type is known.
Not here: what is withheld (privacy), how expectations are compiled (expectations).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from validators.annotations import Step, placed, written
from validators.errors import SchemaError
from validators.expectations import KEYWORD
from validators.load import dialect
from validators.load.bundle import target_of
from validators.privacy import DROP, PrivacyPlan, plan_of
from validators.vacuous import is_always_met

if TYPE_CHECKING:
    from validators.privacy import Place

HASH: Final = "hash"
_CERTAIN: Final = frozenset({"allOf", "properties", "items"})
_IN_PLACE: Final = dialect.IN_PLACE


class Withheld(NamedTuple):
    """A value that is spoken of and withheld: ``field`` as people read it, the action, whether it is required in each
    event, or in each that has the object around it, and what is said of it, as JSON."""

    field: str
    action: str
    is_required: bool
    said: str = ""


class Odd(NamedTuple):
    """An expectation that speaks of a withheld value: its JSON pointer, and what is wrong with it."""

    pointer: str
    reason: str


def spoken_of(plan: PrivacyPlan, schema: Any, whole: dict[str, Any], steps: Sequence[Step] = ()) -> list[Withheld]:
    """Return the values that a schema at this place speaks of although the plan withholds them, each once."""
    walk = _Walk(plan, whole)
    found = dict.fromkeys(walk.run(schema, steps))
    required = {(each.field, each.action) for each in found if each.is_required}
    return [each for each in found if each.is_required or (each.field, each.action) not in required]


def odd_expectations(whole: dict[str, Any], uri: str) -> list[Odd]:
    """Return the expectations of a bundle that can never be met, or never judge what they are about, since events are
    judged as they are stored. None are found in a schema that cannot be used."""
    try:
        plan, found = plan_of(whole, uri), list(placed(whole, KEYWORD))
    except SchemaError:
        return []
    if plan is None:
        return []
    odd: list[Odd] = []
    for place in found:
        is_list = isinstance(place.value, list)
        for index, schema in enumerate(place.value if is_list else [place.value]):
            pointer = f"{place.pointer}/{index}" if is_list else place.pointer
            odd += [Odd(pointer, _reason(each)) for each in spoken_of(plan, schema, whole, place.steps)]
    return odd


def _reason(each: Withheld) -> str:
    if each.action == HASH:
        return f"judges the hash of {each.field!r}, which is stored in its place (x-privacy: {HASH})"
    stored = f"{each.field!r}, which is never stored (x-privacy: {each.action})"
    return f"requires {stored}: it can never be met" if each.is_required else f"looks at {stored}: it never sees it"


class _Walk:
    def __init__(self, plan: PrivacyPlan, whole: dict[str, Any]) -> None:
        self._plan = plan
        self._whole = whole
        self._seen: set[tuple[int, int, bool]] = set()

    def run(self, schema: Any, steps: Sequence[Step]) -> Iterator[Withheld]:
        place, done = self._plan.root, []
        for step in steps:
            done.append(step)
            place = place and self._step(place, step)
            if place is None:
                return
            if place.action in (DROP, HASH):
                yield from self._at(place, schema, written(done))
                return
        if place is not None:
            yield from self._inside(schema, place, written(done), is_certain=True)

    def _step(self, place: Place, step: Step) -> Place | None:
        if step.keyword == "properties":
            return self._plan.member(place, str(step.key))
        if step.keyword in ("items", "additionalItems"):
            return self._plan.item(place, step.key if isinstance(step.key, int) else 0)
        return None

    def _inside(self, schema: Any, place: Place, above: str, *, is_certain: bool) -> Iterator[Withheld]:
        """Yield the withheld values inside one at a place, of which a schema speaks."""
        if not isinstance(schema, dict) or (id(schema), id(place), is_certain) in self._seen:
            return
        self._seen.add((id(schema), id(place), is_certain))
        if "$ref" in schema:
            yield from self._inside(target_of(self._whole, schema["$ref"]), place, above, is_certain=is_certain)
            return
        for name in _names(schema.get("required")):
            inside = self._plan.member(place, name)
            if inside is not None and inside.action == DROP:
                yield Withheld(_joined(above, name), DROP, is_certain)
        for keyword, key, child in dialect.children(schema):
            is_sure = is_certain and keyword in _CERTAIN
            if keyword in _IN_PLACE:
                yield from self._inside(child, place, above, is_certain=is_sure)
            elif keyword == "properties":
                inside = self._plan.member(place, str(key))
                if inside is not None:
                    yield from self._value(child, inside, _joined(above, str(key)), is_certain=is_sure)
            elif keyword in ("items", "contains"):
                inside = self._plan.item(place, key if isinstance(key, int) else 0)
                if inside is not None:
                    yield from self._value(child, inside, f"{above}[]", is_certain=is_sure)

    def _value(self, schema: Any, place: Place, field: str, *, is_certain: bool) -> Iterator[Withheld]:
        if place.action in (DROP, HASH):
            yield from self._at(place, schema, field)
        else:
            yield from self._inside(schema, place, field, is_certain=is_certain)

    def _at(self, place: Place, schema: Any, field: str) -> Iterator[Withheld]:
        """Yield a value at a withheld place if the schema judges it, and not its type alone where it is hashed."""
        said = schema
        if place.action == HASH and isinstance(schema, dict) and schema.get("type") == "string":
            said = {key: value for key, value in schema.items() if key != "type"}
        if not is_always_met(said):
            yield Withheld(field, str(place.action), False, msgspec.json.encode(said, order="sorted").decode())


def _names(value: Any) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def _joined(above: str, name: str) -> str:
    return f"{above}.{name}" if above else name
