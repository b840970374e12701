"""Counts by schema of the ways in which events were validated: plain integers of one worker.

Place: intake.router gives each route the counts of its schema; intake.pipeline adds; worker.measures reads on the
beat.
Rules: the number of schemas is limited, and those beyond the limit share the last counts. Error events are counted like
any other.
Not here: verdicts by type (intake.books.counts).
"""

# hot path

from __future__ import annotations

from collections.abc import Iterator

from server.shared.lines import OTHERS

MAX_SCHEMAS = 1023  # A worker has this many lines, and one for all further schemas.


class Judged:
    """Events of one schema: validated and read in ``one_decode``; enriched first and then validated in ``one_pass``;
    ``referred`` to the reference, valid or not."""

    __slots__ = ("one_decode", "one_pass", "referred", "schema_uri")

    def __init__(self, schema_uri: str) -> None:
        self.schema_uri = schema_uri
        self.one_decode = 0
        self.one_pass = 0
        self.referred = 0


class AllJudged:
    """The counts of each schema that has had an event."""

    def __init__(self) -> None:
        self._by_schema: dict[str, Judged] = {}

    def of(self, schema_uri: str) -> Judged:
        """Return the counts of a schema."""
        name = schema_uri if schema_uri in self._by_schema or len(self._by_schema) < MAX_SCHEMAS else OTHERS
        found = self._by_schema.get(name)
        if found is None:
            found = self._by_schema[name] = Judged(name)
        return found

    def __iter__(self) -> Iterator[Judged]:
        return iter(self._by_schema.values())
