"""Judge events of a stream by a version of its schema that they do not name: shadow validation.

Place: intake.background.checks → HERE → the validator of that version.
Rules: an event is judged as it would be if it named that version: with the defaults of that version filled in. The
name of a rule that is broken is a place in the schema, which no client chooses. An event that takes too many steps is
skipped.
Not here: which stream has a shadow schema (catalog.stream), the same over events of the past (schemas_tool.trying).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from server.intake.background.counts import BETTER, JUDGED, SKIPPED, WORSE, CheckCounts
from server.log import Limited
from server.schemas.repository import TooDearError, TooLargeError, Unfetched, is_too_dear

if TYPE_CHECKING:
    from collections.abc import Sequence

    from server.intake.route import SchemaLookup
    from server.schemas.repository import Validator, Violation

MOST_RULES_OF_EVENT: Final = 8
TOO_LARGE: Final = "event_too_large"

_logger = logging.getLogger("intake")
_limited = Limited(_logger)


class ShadowCheck:
    """The shadow schema of one stream, by its URI."""

    __slots__ = ("_counts", "_find", "_max_bytes", "_uri", "rate")

    def __init__(self, uri: str, rate: float, find: SchemaLookup, counts: CheckCounts, max_bytes: int) -> None:
        self.rate = rate
        self._uri = uri
        self._find = find
        self._counts = counts
        self._max_bytes = max_bytes

    def judge(self, value: bytes, is_refused: bool) -> None:  # In one go: it is one pass over the event.
        """Count whether the verdict would change, and which rules an event that is accepted now would break."""
        validator = self._find(self._uri)
        if isinstance(validator, tuple | Unfetched):
            why = "has not been fetched yet" if isinstance(validator, Unfetched) else validator[1]
            _limited.warning(self._uri, "the shadow schema %s judges no events: %s", self._uri, why)
            self.skip()
            return
        rules = self._broken(validator, value)
        if rules is None:
            self.skip()
            return
        numbers = self._counts.numbers
        numbers[JUDGED] += 1
        if not rules:
            numbers[BETTER] += is_refused
        elif not is_refused:
            numbers[WORSE] += 1
            for rule in rules:
                self._counts.broken(rule, value)

    def _broken(self, validator: Validator, value: bytes) -> list[str] | None:
        """Return the rules that an event would break. None: it takes too many steps to find them."""
        try:
            problems = validator.check(validator.fill_defaults(value, self._max_bytes))
        except TooLargeError:
            return [TOO_LARGE]
        except TooDearError:
            return None
        if problems is None:
            return []
        return None if is_too_dear(problems) else list(dict.fromkeys(_rules(problems)))

    def skip(self) -> None:
        self._counts.numbers[SKIPPED] += 1


def _rules(problems: Sequence[Violation]) -> Iterator[str]:
    """Yield the places in the schema that an event breaks, with the name of a property that is missing."""
    for each in problems[:MOST_RULES_OF_EVENT]:
        missing = each.params.get("missingProperty") if each.keyword == "required" else None
        yield each.schemaPath if missing is None else f"{each.schemaPath} {missing}"
