"""Find an event that one schema takes and the other refuses, for a gap in a proof.

Place: compare → HERE.
Rules: a witness is confirmed by two validators that share no code, for both schemas. At the place of the gap it breaks
the very constraint that the gap names. It is made of an example of the schema where there is one, so that people
recognise it. No witness means unknown, never compatible.
Not here: proofs (contain), values to try (candidates).
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from typing import Any, Final

from server.schemas.judges import Bundle
from server.schemas_tool.proof.candidates import candidates, example_of
from server.schemas_tool.proof.gap import Gap
from server.schemas_tool.proof.views import Part, Path, item_view, parts_of, property_view

_MOST_BASES: Final = 4
_MOST_CONFIRMED: Final = 40
_NOTHING: Final = object()


class Search:
    """Searches witnesses for the gaps between two schemas."""

    def __init__(self, old: Bundle, new: Bundle) -> None:
        self._old, self._new = old, new
        root = parts_of(old, old.schema, ())
        examples = [event for event in old.schema.get("examples", ()) if self._takes(event)]
        made = example_of(old, root)
        least = _least(root, made)
        self._bases = [*examples[: _MOST_BASES - 2], *(event for event in (made, least) if self._takes(event))]
        self._root = root

    def _takes(self, event: Any) -> bool:
        return self._old.accepts(self._old.schema, event)

    def witness(self, gap: Gap) -> Any:
        """Return an event, or None. Raises UnusableError."""
        wanted = [*gap.new]
        tried = 0
        seeds = [found for base in self._bases for found in _values_at(base, gap.where)]
        for value in candidates(self._old, gap.old, self._new, wanted, seeds):
            if not all(self._old.accepts(part.schema, value) for part in gap.old):
                continue
            if self._new.accepts(gap.constraint, value):
                continue
            for event in self._events(gap.where, value):
                if self._takes(event) and not self._new.accepts(self._new.schema, event):
                    if self._is_confirmed(event):
                        return event
                    tried += 1
            if tried > _MOST_CONFIRMED:
                break
        return self._whole() if not gap.where else None

    def _whole(self) -> Any:
        """Try whole events, for gaps that concern the event itself."""
        root = parts_of(self._new, self._new.schema, ())
        for event in itertools.islice(candidates(self._old, self._root, self._new, root, self._bases), 300):
            if self._takes(event) and not self._new.accepts(self._new.schema, event) and self._is_confirmed(event):
                return event
        return None

    def _is_confirmed(self, event: Any) -> bool:
        return all(self._old.verdicts(event)) and not any(self._new.verdicts(event))

    def _events(self, where: Path, value: Any) -> Iterator[Any]:
        if not where:
            yield value
            return
        for base in self._bases:
            event = self._placed(copy.deepcopy(base), self._root, where, value)
            if event is not _NOTHING:
                yield event

    def _placed(self, into: Any, parts: list[Part], where: Path, value: Any) -> Any:
        """Put a value at its place in an event, and what is missing on the way."""
        if not where:
            return value
        step, rest = where[0], where[1:]
        if isinstance(step, int) or step == "[]":
            return self._placed_item(into if isinstance(into, list) else [], parts, where, value)
        if not isinstance(into, dict):
            into = {}
        name = _free_name(into) if step == "*" else str(step)
        view = property_view(self._old, parts, None if step == "*" else name)
        inner = into.get(name, _NOTHING)
        if rest and inner is _NOTHING:
            inner = example_of(self._old, view)
        placed = self._placed(inner, view, rest, value)
        return _NOTHING if placed is _NOTHING else {**into, name: placed}

    def _placed_item(self, into: list[Any], parts: list[Part], where: Path, value: Any) -> Any:
        step, rest = where[0], where[1:]
        described = [
            len(p.schema["items"])
            for p in parts
            if isinstance(p.schema, dict) and isinstance(p.schema.get("items"), list)
        ]
        index = step if isinstance(step, int) else max(described, default=0)
        items = list(into)
        while len(items) < index:
            items.append(example_of(self._old, item_view(self._old, parts, len(items))))
        view = item_view(self._old, parts, index if isinstance(step, int) else None)
        inner = items[index] if index < len(items) else example_of(self._old, view)
        placed = self._placed(inner, view, rest, value)
        return _NOTHING if placed is _NOTHING else [*items[:index], placed, *items[index + 1 :]]


def _values_at(event: Any, where: Path) -> list[Any]:
    """Return the values that stand at a place of an event."""
    values = [event]
    for step in where:
        if step == "*":
            values = [each for value in values if isinstance(value, dict) for each in value.values()]
        elif step == "[]":
            values = [each for value in values if isinstance(value, list) for each in value]
        elif isinstance(step, int):
            values = [value[step] for value in values if isinstance(value, list) and step < len(value)]
        else:
            values = [value[step] for value in values if isinstance(value, dict) and step in value]
    return values


def _free_name(into: dict[str, Any]) -> str:
    return next(name for name in ("undeclared", "undeclared_2", "undeclared_3") if name not in into)


def _least(parts: list[Part], event: Any) -> Any:
    """Return an event with its required properties alone."""
    if not isinstance(event, dict):
        return event
    needed = {name for part in parts if isinstance(part.schema, dict) for name in part.schema.get("required", ())}
    return {name: value for name, value in event.items() if name in needed}
