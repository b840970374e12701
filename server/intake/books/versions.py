"""Counts of the events of each schema version in each stream: plain integers of one worker.

Place: intake.router gives each route the count of its stream and schema; intake.books.dated adds, only with
``plausibility.enabled``; worker.measures reads on the beat.
Rules: a stream is one declaration, as in intake.books.tally. The number of counts is limited, and those beyond the
limit share the last one.
Not here: how events were validated (intake.books.judged), which numbers are an alarm (plausibility.versions).
"""

# hot path

from __future__ import annotations

from collections.abc import Iterator

from server.shared.lines import OTHERS

MAX_VERSIONS = 1023  # A worker has this many lines, and one for all further versions.


class Version:
    """Valid events of one schema version in one stream, without old ones. ``name`` is the stream and the URI with a
    space between."""

    __slots__ = ("events", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.events = 0


class Versions:
    """The counts of all versions that have had a route."""

    def __init__(self) -> None:
        self._by_name: dict[str, Version] = {}

    def of(self, stream: str, schema_uri: str) -> Version:
        """Return the count of a version in a stream, by the name or the regex that declares it."""
        name = f"{stream} {schema_uri}"
        if name not in self._by_name and len(self._by_name) >= MAX_VERSIONS:
            name = OTHERS
        found = self._by_name.get(name)
        if found is None:
            found = self._by_name[name] = Version(name)
        return found

    def __iter__(self) -> Iterator[Version]:
        return iter(self._by_name.values())
