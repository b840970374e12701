"""Find keys of a stream's settings that have no effect although their author may rely on them.

Place: catalog.allowed → HERE.
Rules: other programs read stream settings too, so an unknown key is passed on in general. It is an error if it is
nearly a key that decides who may write or what is checked, or stands one level too high; so is a merge key in quotes:
the stream would be open without any sign of it. An unknown key in ``producers.eventgate`` is a warning, because no
other program reads that section.
Not here: the allowed values (catalog.allowed).
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from server.catalog.stream_fault import StreamFault
from server.config.framework.document import KeyPath
from server.config.framework.finding import Level

INTAKE: Final = ("producers", "eventgate")
MERGE: Final = "<<"
IN_QUOTES: Final = "is in quotes, so it merges nothing, and the map that it names is ignored"
MERGE_HINT: Final = "write << without quotes"
_CUTOFF: Final = 0.85
_CUTOFF_OF_OURS: Final = 0.7  # For sections that no other program reads; `auht` is as close to `auth` as 0.75.
# Readers of stream settings know these keys, and none is close to a key of the intake.
_OF_OTHERS: Final = ("consumers",)
_GUARDS: Final = ("auth", "api_keys")  # The keys of producers.eventgate that no other program has at the top.


def unknown_keys(settings: Mapping[str, Any], top: Collection[str], intake: Collection[str]) -> Iterator[StreamFault]:
    """Yield all such keys of one map of settings; ``top`` and ``intake`` are the keys that are known there."""
    for name, value in settings.items():
        if name in top or name in _OF_OTHERS:
            continue
        if name == MERGE:
            yield _quoted_merge(())
        elif name.startswith("producers."):
            yield StreamFault(
                (name,), "is one key that contains dots, and has no effect", "write nested maps: producers:"
            )
        elif name == INTAKE[1]:
            yield StreamFault((name,), "has no effect here", "put it below producers")
        elif name in intake:
            yield _misplaced((name,), "error" if name in _GUARDS else "warning")
        elif close := nearest(name, top):
            yield _unknown((name,), close, "error" if close == INTAKE[0] else "warning")
        elif isinstance(value, dict) and (close := nearest(name, INTAKE[1:])):
            yield StreamFault((name,), "has no effect here", f"put it below producers, as {close}")
    producers = settings.get(INTAKE[0])
    if isinstance(producers, dict):
        yield from _below_producers(producers, intake)


def _below_producers(producers: Mapping[str, Any], intake: Collection[str]) -> Iterator[StreamFault]:
    for name in producers:
        if name == INTAKE[1]:
            continue
        if name == MERGE:
            yield _quoted_merge(INTAKE[:1])
        elif name in intake:
            yield _misplaced((INTAKE[0], name), "error")
        elif close := nearest(name, INTAKE[1:]):
            yield _unknown((INTAKE[0], name), close, "error")
    own = producers.get(INTAKE[1])
    if isinstance(own, dict):
        yield from keys_of(own, intake, INTAKE)


def keys_of(section: Mapping[str, Any], known: Collection[str], above: KeyPath) -> Iterator[StreamFault]:
    """Yield the unknown keys of a section that only this program reads."""
    for name in section:
        if name in known:
            continue
        if name == MERGE:
            yield _quoted_merge(above)
        elif close := nearest(name, known, _CUTOFF_OF_OURS):
            yield _unknown((*above, name), close, "error")
        else:
            yield StreamFault((*above, name), "is not a known setting", f"known here: {', '.join(known)}", "warning")


def nearest(name: str, known: Collection[str], cutoff: float = _CUTOFF) -> str | None:
    """Return the known name that was probably meant; capitals and hyphens do not count."""
    close = difflib.get_close_matches(name.lower().replace("-", "_"), known, n=1, cutoff=cutoff)
    return close[0] if close else None


def _unknown(path: KeyPath, close: str, level: Level) -> StreamFault:
    return StreamFault(path, "is not a known setting", f"did you mean {close}?", level)


def _quoted_merge(above: KeyPath) -> StreamFault:
    return StreamFault((*above, MERGE), IN_QUOTES, MERGE_HINT)


def _misplaced(path: KeyPath, level: Level) -> StreamFault:
    return StreamFault(path, "has no effect here", "put it below producers.eventgate", level)
