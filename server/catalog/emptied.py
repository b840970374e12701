"""Maps of stream settings for which a more specific place has null, so that everything in them is unset.

Place: catalog.check_streams → HERE.
Rules: an empty ``producers:`` or ``eventgate:``, or an empty stream in a later file, replaces the whole map that an
earlier or more general place has. It is an error where that map says who may write, for the stream would be open and
nothing would show it; else a warning.
Not here: an empty value of one setting (catalog.allowed).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from server.catalog.merge import merge
from server.catalog.sources import SECTIONS, Declared, Source, sections, where
from server.catalog.unknown import INTAKE
from server.config.framework.document import KeyPath, Origin, dotted
from server.config.framework.finding import Finding, Level

# The settings in producers.eventgate that decide who may write, and what to write instead of nothing.
UNSET: Final = {
    "auth": "name the ways, or write none to let every client write",
    "api_keys": "name the keys, or write ['*'] for every key of the service",
    "networks": "list the networks, or write [0.0.0.0/0, '::/0'] for every address",
    "identities": "list the identities",
    "origins": "list the origins, or write ['*'] to take events from anywhere",
    "enabled": "write true or false",
}
_NAMES: Final = dict(zip(SECTIONS, (0, 1, 1, 2), strict=True))  # Levels of names (wiki, stream) above the settings.


def emptied(sources: Sequence[Source], wiki: str | None, merged: Declared) -> Iterator[Finding]:
    """One finding for each such map: between files, between a section and its overrides, and for each stream."""
    for section, names in _NAMES.items():
        general: Any = {}
        for source in sources:
            specific = source.value.get(section) or {}
            for path, lost in _lost(general, specific, names):
                stream = path[names - 1] if section.startswith("stream") and len(path) >= names else None
                written = (section, *path)
                yield _finding(source.origin(written), written, stream, "an earlier file", lost, len(path) - names)
            general = merge(general, specific)
    whole = sections(sources)
    for section, names in (("default_settings", 0), ("streams", 1)):
        overrides = "default_settings_overrides" if names == 0 else "stream_overrides"
        for path, lost in _lost(whole[section], whole[overrides].get(wiki or "") or {}, names):
            written = (overrides, wiki or "", *path)
            stream = path[0] if names else None
            yield _finding(_origin(sources, written), written, stream, section, lost, len(path) - names)
    for name, own in merged.streams.items():
        for path, lost in _lost(merged.defaults, own, 0):
            yield _finding(where(sources, wiki, name, path), path, name, "default_settings", lost, len(path))


def _lost(general: Any, specific: Any, names: int, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield path and content of each map of INTAKE in ``general`` that ``specific`` replaces by null.

    The maps stand ``names`` levels deep, below names of streams or wikis.
    """
    if not isinstance(general, dict) or not isinstance(specific, dict):
        return
    depth = len(path) - names
    for key in specific if depth < 0 else INTAKE[depth : depth + 1]:
        if not general.get(key) or key not in specific:
            continue
        if specific[key] is None:
            yield (*path, key), general[key]
        else:
            yield from _lost(general[key], specific[key], names, (*path, key))


def _guards(lost: Any, depth: int) -> set[str]:
    """Which settings that decide who may write are in a map, ``depth`` levels of INTAKE deep; below 0 are names."""
    if depth < 0:
        return {guard for inner in lost.values() for guard in _guards(inner or {}, depth + 1)}
    for key in INTAKE[depth:]:
        lost = lost.get(key) or {}
    return {name for name in UNSET if lost.get(name) is not None}


def _finding(at: Origin, path: KeyPath, stream: str | None, place: str, lost: Any, depth: int) -> Finding:
    guards = sorted(_guards(lost, depth))
    reason = f"is empty, which removes everything that {place} has there"
    hint = "leave the line out to keep it"
    if guards:
        reason += f", {', '.join(guards)} too, which {'decides' if len(guards) == 1 else 'decide'} who may write"
        hint += f"; to unset it on purpose, write {', '.join(INTAKE)} and below them {guards[0]}: {UNSET[guards[0]]}"
    level: Level = "error" if guards else "warning"
    return Finding(level=level, file=at[0], line=at[1], key=dotted(path), stream=stream, reason=reason, hint=hint)


def _origin(sources: Sequence[Source], path: KeyPath) -> Origin:
    for source in reversed(sources):
        if found := source.written(path):
            return found
    return (sources[-1].name, 0)
