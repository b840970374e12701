"""The streams that go into the lake, with their topics, and the latest schema of each major version.

Place: settings → HERE → landing.
Rules: the declarations and schemas are those of the intake. A schema that no table has seen is looked for once by
reading them again; the reading is the same as that of a start.
Not here: types of columns (columns), which events belong to a stream (landing).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from processors.lake.columns import Record, columns_of
from processors.lake.settings import LakeSettings
from processors.wrong import WrongSettingError, read_intake
from server.boot.generation import Generation
from server.catalog.regex import is_regex
from server.catalog.stream import Stream
from server.catalog.topics import effective

_URI: Final = re.compile(r"(?:[a-z+]+://[^/]+)?/(?P<title>.+)/(?P<version>(?P<major>\d+)\.\d+\.\d+)")


class Catalog:
    """``streams`` are those that are written, by name; ``generation`` is the newest reading of the settings."""

    def __init__(self, settings: LakeSettings, base_dir: Path) -> None:
        """Read everything. Raises SettingsError."""
        intake = base_dir / settings.intake if settings.intake else None
        self._read: Callable[[], Generation] = lambda: read_intake(intake)
        self.generation = self._read()
        self._asked: set[str] = set()
        self.streams = {stream.name: stream for stream in _chosen(self.generation, settings)}

    def topics(self, stream: Stream) -> list[str]:
        """Return the topics that hold events of a stream, with the one that this intake writes."""
        return sorted({stream.topic, *effective(stream.settings, stream.name)})

    def latest(self, title: str, major: int) -> tuple[str, Record] | None:
        """Return the URI and the columns of the latest schema of a major version; None if there is none that can be
        used. Raises PenstockError if its columns clash."""
        uris = [uri for uri in self.generation.schemas.versions(title) if _major(uri) == major]
        for uri in reversed(uris):
            found = self.generation.schemas.document(uri)
            if not isinstance(found, tuple):
                schema: dict[str, Any] = msgspec.json.decode(found)
                return uri, columns_of(schema)
        return None

    def majors(self, title: str) -> list[int]:
        """Return the major versions of a title, in order."""
        return sorted({_major(uri) for uri in self.generation.schemas.versions(title)})

    def knows(self, uri: str) -> bool:
        """Whether a schema is there, after one more reading if it was not. Each URI is looked for once."""
        title = title_of(uri)[0]
        if uri in self.generation.schemas.versions(title):
            return True
        if uri not in self._asked and len(self._asked) < _MOST_ASKED:
            self._asked.add(uri)
            self.generation = self._read()
        return uri in self.generation.schemas.versions(title)


_MOST_ASKED: Final = 1_000  # Clients may name any schema where validation is off.


def title_of(uri: object) -> tuple[str, int, str]:
    """Return the title, the major version and the whole version in a URI, which may begin with a host; an empty title
    if it is no URI of a schema."""
    found = _URI.fullmatch(uri) if isinstance(uri, str) else None
    return (found["title"], int(found["major"]), found["version"]) if found is not None else ("", 0, "")


def _major(uri: str) -> int:
    return title_of(uri)[1]


def _chosen(generation: Generation, settings: LakeSettings) -> list[Stream]:
    if settings.streams:
        found = [generation.snapshot.find(name) for name in settings.streams]
        missing = [name for name, stream in zip(settings.streams, found, strict=True) if stream is None]
        if missing:
            raise WrongSettingError("streams", f"not declared: {', '.join(missing)}")
        chosen = [stream for stream in found if stream is not None]
    else:
        chosen = [one for one in generation.snapshot.streams() if not is_regex(one.name)]
        chosen = [one for one in chosen if _is_wanted(one, settings.consumer)]
    unusable = [stream.name for stream in chosen if stream.schema_title is None]
    if unusable:
        raise WrongSettingError("streams", f"without a schema there are no columns: {', '.join(unusable)}")
    return chosen


def _is_wanted(stream: Stream, consumer: str) -> bool:
    found = (stream.settings.get("consumers") or {}).get(consumer) or {}
    return found.get("enabled") is not False
