"""Tell in plain words what has changed between two versions of a schema.

Place: ``penstock schemas diff`` → HERE → telling.fields.
Rules: one sentence for each change, about a place in the event and not in the file.
Not here: whether a change breaks something (compare).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from server.schemas.judges import Bundle
from server.schemas_tool.finding import in_event
from server.schemas_tool.proof.views import parts_of
from server.schemas_tool.telling.fields import Field, fields_of, says


def changes(old: Bundle, new: Bundle) -> list[str]:
    """Return the sentences, in the order of the newer schema and then of the older one."""
    before, after = fields_of(old), fields_of(new)
    told = list(_said("the event", _root(old), _root(new)))
    for where, field in after.items():
        if where in before:
            told += _field(before[where], field)
        elif where[:-1] in before or len(where) == 1:  # Else the field around it is told to be new.
            told.append(f"{in_event(where)} is new: {'required' if field.is_required else 'optional'}, {field.kind}.")
    for where in before:
        if where not in after and (where[:-1] in after or len(where) == 1):
            told.append(f"{in_event(where)} is no longer described.")
    return told


def _root(bundle: Bundle) -> dict[str, Any]:
    return says(parts_of(bundle, bundle.schema, ()))


def _field(old: Field, new: Field) -> Iterator[str]:
    name = in_event(new.where)
    if old.is_required != new.is_required:
        yield f"{name} is {'now' if new.is_required else 'no longer'} required."
    yield from _said(name, old.says, new.says)


def _said(name: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for word in dict.fromkeys([*new, *old]):
        if old.get(word) == new.get(word) and (word in old) == (word in new):
            continue
        if word == "description":
            yield f"{name}: its description has changed."
        elif word == "enum" and word in old and word in new:
            yield from _listed(name, old[word], new[word])
        elif word not in old:
            yield f"{name}: {word} is now {_shown(new[word])}; there was none."
        elif word not in new:
            yield f"{name}: {word} was {_shown(old[word])}; there is none any more."
        else:
            yield f"{name}: {word} is now {_shown(new[word])}; it was {_shown(old[word])}."


def _listed(name: str, old: list[Any], new: list[Any]) -> Iterator[str]:
    added = [value for value in new if value not in old]
    removed = [value for value in old if value not in new]
    if added:
        yield f"{name}: its list of values has {', '.join(map(_shown, added))} too."
    if removed:
        yield f"{name}: its list of values has {', '.join(map(_shown, removed))} no more."


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
