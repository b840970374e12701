"""Judge real events by a new version of their schema, and count what would change.

Place: ``penstock schemas replay`` → HERE → server.schemas.judges.
Rules: an event is judged by the chosen version of its own title, and if it is valid, by the expectations of that
version. One that an error event holds was refused before; any other was accepted. Only counts and a bounded number of
examples are kept, so that memory does not grow with events.
Not here: where events come from (trying.source), how the outcome is printed (commands.schemas.replay).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from server.schemas.judges import Bundle

MOST_KINDS: Final = 200  # Of errors of one title; the rest is counted as one.
_OTHERS: Final = ("other", "")
_INDEX: Final = re.compile(r"\[\d+\]")


class ErrorKind(Struct):
    """One kind of violation. ``where`` is a place in the event, with ``[]`` for any item."""

    keyword: str
    where: str
    message: str
    count: int = 0
    examples: list[Any] = field(default_factory=list)


class Expected(Struct):
    """An expectation that valid events fail, by its name."""

    rule: str
    count: int = 0
    examples: list[Any] = field(default_factory=list)


class TitleOutcome(Struct):
    """The counts of one title. ``newly_valid`` are events that had been refused."""

    version: str
    accepted: int = 0
    newly_invalid: int = 0
    refused: int = 0
    newly_valid: int = 0
    errors: dict[tuple[str, str], ErrorKind] = field(default_factory=dict)
    expectations: dict[str, Expected] = field(default_factory=dict)

    @property
    def percent(self) -> float:
        """The share of accepted events that would be refused."""
        return 100 * self.newly_invalid / self.accepted if self.accepted else 0.0


class Replay:
    """Takes events one by one. ``versions`` maps a title to the name of the version and its bundle."""

    def __init__(self, versions: Mapping[str, tuple[str, Bundle]], most_examples: int) -> None:
        self._bundles = {title: bundle for title, (_, bundle) in versions.items()}
        self._expectations = {title: bundle.expectations().usable for title, bundle in self._bundles.items()}
        self._most_examples = most_examples
        self.titles = {title: TitleOutcome(version) for title, (version, _) in versions.items()}
        self.passed_over = 0

    def take(self, event: Any) -> None:
        """Judge an event, or the raw event that an error event holds."""
        is_refused = isinstance(event, dict) and isinstance(event.get("raw_event"), str)
        if is_refused:
            event = _read(event["raw_event"])
        title = title_of(event)
        outcome = self.titles.get(title) if title is not None else None
        if title is None or outcome is None:
            self.passed_over += 1
            return
        problems = self._bundles[title].violations(event)
        if is_refused:
            outcome.refused += 1
            outcome.newly_valid += not problems
        else:
            outcome.accepted += 1
            outcome.newly_invalid += bool(problems)
            if problems:
                self._note(outcome, problems[0], event)
        if not problems:
            self._expect(title, outcome, event)

    def _expect(self, title: str, outcome: TitleOutcome, event: Any) -> None:
        for each in self._expectations[title]:
            if each.check(msgspec.json.encode(event)) is None:
                continue
            found = outcome.expectations.setdefault(each.name, Expected(each.name))
            found.count += 1
            if len(found.examples) < self._most_examples:
                found.examples.append(event)

    def _note(self, outcome: TitleOutcome, problem: Any, event: Any) -> None:
        key = (problem.keyword, _INDEX.sub("[]", problem.dataPath))
        if key not in outcome.errors and len(outcome.errors) >= MOST_KINDS:
            key = _OTHERS
        kind = outcome.errors.setdefault(key, ErrorKind(*key, problem.message))
        kind.count += 1
        if len(kind.examples) < self._most_examples:
            kind.examples.append(event)


def title_of(event: Any) -> str | None:
    """Return the title that ``$schema`` of an event names: of ``/shop/order/1.0.0`` it is ``shop/order``."""
    uri = event.get("$schema") if isinstance(event, dict) else None
    if not isinstance(uri, str) or "/" not in uri.strip("/"):
        return None
    return uri.strip("/").rpartition("/")[0]


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
