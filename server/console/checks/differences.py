"""The differences between two JSON values, as a list of places.

Place: console.detail (received against stored), console.checks.closest (expected against found) → HERE.
Rules: bounded: at most MAX_DIFFERENCES, at most MAX_LEVELS deep. Lists are compared element by element.
Not here: how differences are drawn (the page).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

MAX_DIFFERENCES: Final = 200
MAX_LEVELS: Final = 50


def differences(before: Any, after: Any) -> list[dict[str, Any]]:
    """Return ``{"path","kind","before","after"}`` for each place; ``kind`` is added, removed or changed."""
    return list(islice(_differences("", before, after, 0), MAX_DIFFERENCES))


def _differences(path: str, before: Any, after: Any, level: int) -> Iterator[dict[str, Any]]:
    if level < MAX_LEVELS and isinstance(before, dict) and isinstance(after, dict):
        for name in (*before, *(name for name in after if name not in before)):
            yield from _member(f"{path}/{name}", name, before, after, level)
    elif level < MAX_LEVELS and isinstance(before, list) and isinstance(after, list):
        for at in range(max(len(before), len(after))):
            place = f"{path}/{at}"
            if at >= len(before):
                yield {"path": place, "kind": "added", "after": after[at]}
            elif at >= len(after):
                yield {"path": place, "kind": "removed", "before": before[at]}
            else:
                yield from _differences(place, before[at], after[at], level + 1)
    elif type(before) is not type(after) or before != after:
        yield {"path": path, "kind": "changed", "before": before, "after": after}


def _member(
    path: str, name: str, before: dict[str, Any], after: dict[str, Any], level: int
) -> Iterator[dict[str, Any]]:
    if name not in before:
        yield {"path": path, "kind": "added", "after": after[name]}
    elif name not in after:
        yield {"path": path, "kind": "removed", "before": before[name]}
    else:
        yield from _differences(path, before[name], after[name], level + 1)
