"""Read the settings of one stream that concern plausibility alarms.

Place: plausibility.watcher, plausibility.sampling.process, commands.monitoring.alerts → HERE.
Rule: settings were checked by catalog.allowed; here they are read.
Not here: settings of the whole service (config.plausibility_settings).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

MOST_FIELDS: Final = 32
_DEPTH: Final = 4
_LEFT_OUT: Final = frozenset({"$schema", "meta", "dt"})  # Set by the server, or different in each event.


class StreamAlarms(Struct, frozen=True):
    """The section ``alarms`` of a stream's settings. ``fields``: paths of the fields whose values are compared, or true
    for those of the schema."""

    enabled: bool = True
    owner: str = ""
    severity: str = "ticket"
    expected_min_per_h: float | None = None
    fields: list[str] | bool = False


def settings_of(settings: Mapping[str, Any]) -> StreamAlarms:
    """Return the section ``alarms`` of the settings of a stream."""
    given = {name: value for name, value in (settings.get("alarms") or {}).items() if value is not None}
    return StreamAlarms(**given)


def sample_rate_of(settings: Mapping[str, Any]) -> float | None:
    """Return the share of events that clients send by ``sample.rate``, or None where the settings do not say."""
    sample = settings.get("sample")
    rate = sample.get("rate") if isinstance(sample, dict) else None
    return float(rate) if isinstance(rate, int | float) and not isinstance(rate, bool) else None


def fields_of(schema: Any) -> list[str]:
    """Return the paths of the first MOST_FIELDS fields that a schema declares, objects apart."""
    found: list[str] = []
    for path in _paths(schema, (), _DEPTH):
        if len(found) == MOST_FIELDS:
            break
        found.append(".".join(path))
    return found


def _paths(schema: Any, above: tuple[str, ...], depth: int) -> Iterator[tuple[str, ...]]:
    properties = schema.get("properties") if isinstance(schema, dict) else None
    for name, inner in properties.items() if isinstance(properties, dict) and depth else ():
        if (not above and name in _LEFT_OUT) or "." in name:
            continue
        path = (*above, name)
        if isinstance(inner, dict) and isinstance(inner.get("properties"), dict):
            yield from _paths(inner, path, depth - 1)
        else:
            yield path
