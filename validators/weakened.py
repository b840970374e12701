"""Compare the annotations ``x-privacy`` of two versions: what is stored of a value now, and was not before.

Place: bundle, privacy → HERE → checks of schemas.
Rules: the strictest action on a value, or on one around it, counts in each version. A value that the later version
takes without declaring it is stored as it comes. Of names by patterns only equal patterns are compared.
Not here: what the actions do (the caller of privacy), how findings are told.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from validators.annotations import POSSIBLE, Step, placed, written
from validators.errors import SchemaError
from validators.load.bundle import target_of
from validators.privacy import ACTIONS, KEEP, KEYWORD, PrivacyPlan, plan_of

if TYPE_CHECKING:
    from validators.privacy import Place

_WHEREVER: Final = POSSIBLE | {"if", "not"}


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
        if plan_of(old, "the earlier version") is None:
            return []
    except SchemaError:
        return []
    others = _by_text(new)
    found = {}
    for text, (action, steps) in _by_text(old).items():
        later = others.get(text, (KEEP, ()))[0] if _has_patterns(steps) else _action(now, steps)
        if ACTIONS.index(later) > ACTIONS.index(action) and _may_have(new, [new], steps):
            found[text] = Weakened(text, _path(steps), action, later)
    return list(found.values())


def _by_text(whole: dict[str, Any]) -> dict[str, tuple[str, tuple[Step, ...]]]:
    found: dict[str, tuple[str, tuple[Step, ...]]] = {}
    for each in placed(whole, KEYWORD, _WHEREVER):
        text = written(each.steps)
        if text not in found or ACTIONS.index(each.value) < ACTIONS.index(found[text][0]):
            found[text] = each.value, each.steps
    return found


def _has_patterns(steps: Sequence[Step]) -> bool:
    return any(step.keyword in ("patternProperties", "additionalProperties") for step in steps)


def _action(plan: PrivacyPlan | None, steps: Sequence[Step]) -> str:
    """Return the action on the value at a place of names and items, or on the first one around it that has one."""
    place: Place | None = plan.root if plan is not None else None
    for step in steps:
        if plan is None or place is None:
            return KEEP
        is_name = step.keyword == "properties"
        place = plan.member(place, str(step.key)) if is_name else plan.item(place, int(step.key or 0))
        if place is not None and place.action not in (None, KEEP):
            return str(place.action)
    return KEEP


def _may_have(whole: dict[str, Any], schemas: list[Any], steps: Sequence[Step]) -> bool:
    """Whether an event can have a value at a place, as far as ``properties`` and ``additionalProperties`` tell."""
    parts = list(_parts(whole, schemas))
    if any(part is False for part in parts):
        return False
    if not steps:
        return True
    inside: list[Any] = []
    for part in parts:
        if isinstance(part, dict) and steps[0].keyword == "properties":
            name, declared = str(steps[0].key), part.get("properties", {})
            if name in declared:
                inside.append(declared[name])
            elif not part.get("patternProperties"):
                inside.append(part.get("additionalProperties", True))
        elif isinstance(part, dict) and isinstance(part.get("items"), dict | bool):
            inside.append(part["items"])
    return _may_have(whole, inside, steps[1:])


def _parts(whole: dict[str, Any], schemas: list[Any]) -> Iterator[Any]:
    waiting, seen = list(schemas), set()
    while waiting:
        schema = waiting.pop()
        if id(schema) in seen:
            continue
        seen.add(id(schema))
        if isinstance(schema, dict) and "$ref" in schema:
            waiting.append(target_of(whole, schema["$ref"]))
            continue
        yield schema
        waiting += schema.get("allOf", ()) if isinstance(schema, dict) else ()


def _path(steps: Sequence[Step]) -> tuple[str | int, ...]:
    path: list[str | int] = []
    for step in steps:
        path += [step.keyword] if step.key is None else [step.keyword, step.key]
    return tuple(path)
