"""Compare two versions as jsonschema-tools does, holes included.

Place: compare → HERE, for ``--profile wmf``.
Rules: the text of the schemas is compared, not their meaning. Each key of the earlier version is in the later one with
an equal value, except ``$id``, ``description`` and ``examples``; ``required`` is the same set, ``enum`` may grow. New
keys may stand anywhere, so that a new constraint passes. A property that is called like one of these keywords is taken
for the keyword, and ``null`` never passes.
Source: jsonschema-tools, lib/tests/compatibility.js.
Not here: which versions are compared (compare).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from server.schemas_tool.rules import WMF_CHANGED, WMF_ENUM, WMF_MISSING, WMF_REQUIRED, Rule

FREE: Final = frozenset({"$id", "description", "examples"})
Path = tuple[str | int, ...]


def differences(new: Any, old: Any, path: Path = ()) -> Iterator[tuple[Rule, Path]]:
    """Yield what jsonschema-tools refuses, with its path. It stops at the first; this goes on."""
    if _kind(new) != _kind(old) or old is None:
        yield WMF_CHANGED, path
    elif isinstance(old, list):
        for index, value in enumerate(old):
            if index < len(new):
                yield from differences(new[index], value, (*path, index))
            else:
                yield WMF_MISSING, (*path, index)
    elif isinstance(old, dict):
        for key, value in old.items():
            yield from _key(new, key, value, path)
    elif new != old:
        yield WMF_CHANGED, path


def _key(new: dict[str, Any], key: str, value: Any, path: Path) -> Iterator[tuple[Rule, Path]]:
    if key in FREE:
        return
    if key == "required":
        if not _is_same_set(new.get(key), value):
            yield WMF_REQUIRED, (*path, key)
    elif key == "enum":
        if not _is_superset(new.get(key), value):
            yield WMF_ENUM, (*path, key)
    elif key in new:
        yield from differences(new[key], value, (*path, key))
    else:
        yield WMF_MISSING, (*path, key)


def _kind(value: Any) -> str:
    """Return what JavaScript's ``typeof`` and ``Array.isArray`` tell apart."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _is_same_set(new: Any, old: Any) -> bool:
    return isinstance(new, list) and isinstance(old, list) and sorted(map(repr, new)) == sorted(map(repr, old))


def _is_superset(new: Any, old: Any) -> bool:
    """Objects are never equal to each other here, as in JavaScript."""
    if not isinstance(new, list) or not isinstance(old, list):
        return False
    known = {(_kind(value), value) for value in new if not isinstance(value, dict | list)}
    return all(not isinstance(value, dict | list) and (_kind(value), value) in known for value in old)
