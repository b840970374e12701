"""Lay more specific settings over more general ones.

Place: catalog.sources → HERE → catalog.snapshot.
Rules: maps merge key by key, at any depth; scalars, null and lists replace; the more specific value always wins,
``false`` and null included. Neither argument is changed. Parts that are not touched are shared, not copied, so merged
settings must never be changed.
Not here: which settings mean what (catalog.stream).
"""

from __future__ import annotations

from typing import Any

Cache = dict[tuple[int, int], Any]


def merge(general: Any, specific: Any, cache: Cache | None = None) -> Any:
    """Merge ``specific`` over ``general``. Keys keep the general order and new ones follow, as key fields are ordered.

    ``cache`` holds the results by the identity of both maps, so that maps which thousands of streams share are merged
    and held once; the maps must live as long as the cache.
    """
    if not (isinstance(general, dict) and isinstance(specific, dict)):
        return specific
    if not specific:
        return general
    key = (id(general), id(specific))
    if cache is not None and key in cache:
        return cache[key]
    merged = dict(general)
    for name, value in specific.items():
        merged[name] = merge(merged[name], value, cache) if name in merged else value
    if cache is not None:
        cache[key] = merged
    return merged
