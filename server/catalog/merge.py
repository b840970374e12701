"""Lay more specific settings over more general ones.

Place: catalog.sources → HERE → catalog.snapshot.
Rules: maps merge key by key, at any depth; scalars, null and lists replace; the more specific value always wins,
``false`` and null included. Neither argument is changed, and what is not touched is shared, not copied: nobody may
change settings after they are merged.
Not here: which settings mean what (catalog.stream).
"""

from __future__ import annotations

from typing import Any

Known = dict[tuple[int, int], Any]


def merge(general: Any, specific: Any, known: Known | None = None) -> Any:
    """``specific`` over ``general``. Keys keep the general order, new ones follow: the order of key fields counts.

    ``known`` remembers by identity which two maps came to what, so that what thousands of streams say alike is merged
    and held once; both maps must live as long as it.
    """
    if not (isinstance(general, dict) and isinstance(specific, dict)):
        return specific
    if not specific:
        return general
    key = (id(general), id(specific))
    if known is not None and key in known:
        return known[key]
    merged = dict(general)
    for name, value in specific.items():
        merged[name] = merge(merged[name], value, known) if name in merged else value
    if known is not None:
        known[key] = merged
    return merged
