"""The report of a recovery: how many refused events became of what, and why the others are refused again.

Place: recovery.run → HERE → ``penstock recover``.
Rule: memory is bounded: kinds of errors and examples of each are limited, the rest is counted.
Not here: judging an event (recovery.run).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct, field

MOST_KINDS: Final = 200
MOST_EXAMPLE_CHARS: Final = 2_000

_OTHERS: Final = ("other", "errors of further kinds")
_INDEX: Final = re.compile(r"\[\d+\]")


class Kind(Struct):
    """One reason for which events are refused again."""

    error_type: str
    text: str
    count: int = 0
    examples: list[str] = field(default_factory=list)


class Report(Struct):
    """The counts of one run. ``recovered`` events are stored by it (or would be, in a dry run), ``stored_before``
    were there already, ``left`` were not reached, because the run ended early."""

    stream: str
    is_dry: bool = False
    most_examples: int = 1
    found: int = 0
    recovered: int = 0
    stored_before: int = 0
    refused: int = 0
    failed: int = 0
    unusable: int = 0
    stopped: str = ""
    kinds: dict[tuple[str, str], Kind] = field(default_factory=dict)

    @property
    def left(self) -> int:
        return self.found - self.recovered - self.stored_before - self.refused - self.failed

    @property
    def is_whole(self) -> bool:
        """Whether every error event that was found is stored now."""
        return not (self.left or self.refused or self.failed or self.unusable)

    def refuse(self, error_type: str, text: str, raw: bytes) -> None:
        """Count an event that is still refused."""
        self.refused += 1
        self._note(error_type, text, raw)

    def fail(self, error_type: str, raw: bytes) -> None:
        """Count an event that the sink has refused for good."""
        self.failed += 1
        self._note(error_type, "the sink has refused the event", raw)

    def _note(self, error_type: str, text: str, raw: bytes) -> None:
        key = (error_type, _INDEX.sub("[]", text))
        if key not in self.kinds and len(self.kinds) >= MOST_KINDS:
            key = _OTHERS
        kind = self.kinds.setdefault(key, Kind(*key))
        kind.count += 1
        if len(kind.examples) < self.most_examples:
            kind.examples.append(raw[: 4 * MOST_EXAMPLE_CHARS].decode("utf-8", "replace")[:MOST_EXAMPLE_CHARS])

    def sorted_kinds(self) -> list[Kind]:
        """Return the reasons, the most frequent first."""
        return sorted(self.kinds.values(), key=lambda kind: -kind.count)

    def as_json(self) -> dict[str, Any]:
        """Return the report for programs."""
        names = ("stream", "is_dry", "found", "recovered", "stored_before", "refused", "failed", "left", "unusable")
        return {name: getattr(self, name) for name in names} | {
            "stopped": self.stopped or None,
            "errors": [
                {"error_type": kind.error_type, "text": kind.text, "count": kind.count, "examples": kind.examples}
                for kind in self.sorted_kinds()
            ],
        }

    def lines(self) -> Iterator[str]:
        """Yield the report for people."""
        yield f"{self.stream}: {self.found} refused events found"
        yield f"  {self.recovered} {'would be recovered' if self.is_dry else 'recovered'}"
        yield f"  {self.stored_before} stored before"
        yield f"  {self.refused} refused again"
        if self.failed:
            yield f"  {self.failed} refused by the sink"
        if self.left:
            yield f"  {self.left} left for the next run: {self.stopped}"
        if self.unusable:
            yield f"{self.unusable} error events hold no event, or no time"
        for kind in self.sorted_kinds():
            yield f"{kind.count} × {kind.error_type}: {kind.text}"
            for example in kind.examples:
                yield f"    {example}"
