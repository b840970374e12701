"""The values that the core hands around: settings of the order, a mapped event, the state of a page, a verdict.

Place: map → HERE → order → format; both runners store them (codec).
Rules: no I/O and no clock. Times are whole milliseconds since 1970, UTC. A state is replaced, never changed.
Not here: how a source event becomes a draft (map), what is done with it (order).
"""

from __future__ import annotations

from typing import Any, Final, Literal

import orjson
from msgspec import Struct

Kind = Literal["create", "revision", "move", "delete", "suppress", "undelete", "visibility"]
CHANGES: Final = frozenset({"create", "revision", "move"})
REVISIONS: Final = frozenset({"create", "revision"})  # Their events have the whole revision.
LIFECYCLE: Final = frozenset({"delete", "suppress", "undelete"})

UNKNOWN: Final = 0
PRESENT: Final = 1
GONE: Final = 2


class Bounds(Struct, frozen=True):
    """The bounds within which the order is promised; each in milliseconds.

    ``disorder_ms``: within one partition, an event is at most this much older than the newest before it.
    ``reorder_ms``: of two changes of a page, the later one has a time that is at most this much smaller.
    ``skew_ms``: two deletions or restores of a page that are closer than this are ordered by what is possible.
    ``historical_ms``: a revision that was made longer than this before its event was imported or restored.
    ``ttl_ms``: a page without events for so long is forgotten. ``most_pending``: events of one page that wait at once.
    ``heal``: emit a late event if nothing newer of its page was emitted.
    """

    disorder_ms: int = 60_000
    reorder_ms: int = 30_000
    skew_ms: int = 2_000
    historical_ms: int = 300_000
    ttl_ms: int = 7 * 86_400_000
    most_pending: int = 1_000
    heal: bool = True


class Draft(Struct, gc=False):
    """One source event that was understood. ``at`` is its order time, ``made`` the time at which its revision was made
    (None where the event does not say). ``source`` names the event: its ``meta.id``, or a digest of it.
    ``has_parent``: it names the revision before its own. ``raw`` is the event as it came, and ``event`` the same
    decoded, or None until ``members`` is called: decoded events that wait fill the caches of the CPU, and decoding the
    emitted ones again costs less. ``more`` is the revision-create of the head that an undelete restores."""

    kind: Kind
    wiki: str
    page_id: int
    rev: int
    at: int
    made: int | None
    source: str
    stream: str
    raw: bytes
    has_parent: bool = False
    more: bytes | None = None
    event: dict[str, Any] | None = None

    @property
    def key(self) -> tuple[str, int]:
        """The page."""
        return self.wiki, self.page_id

    def members(self) -> dict[str, Any]:
        """Return the event, decoded."""
        if self.event is None:
            self.event = orjson.loads(self.raw)
        return self.event


class Invalid(Struct, frozen=True):
    """A source event that is no draft, with the reason. ``stream`` is "" where the event names none."""

    stream: str
    reason: str
    raw: bytes


class Heartbeat(Struct, frozen=True):
    """A canary event: it moves the watermark and is no change."""

    stream: str


class State(Struct, frozen=True, array_like=True):
    """The state of one page after its last emitted change. ``top`` is the largest revision that was ever its head,
    ``changed`` the last one that a create, an edit or a move told of; 0 and -1 mean that nothing is known."""

    exists: int = UNKNOWN
    head: int = 0
    top: int = 0
    head_made: int = -1
    lifecycle_at: int = -1
    visibility_at: int = -1
    last_at: int = -1
    changed: int = 0


class Step(Struct, gc=False):
    """The outcome of one or several drafts that are one change.

    ``verdict``: ``emitted``, ``late_emitted``, or why there is no output. ``kind`` is the page_change_kind of an
    emitted step. ``parts`` are all of its drafts, the primary one first. ``before`` is the state that it met. ``note``
    is set where an emitted step also goes to the stream of inconsistencies, with its reason. ``counts`` are facts
    worth counting.
    """

    verdict: str
    kind: str
    parts: list[Draft]
    before: State
    note: str = ""
    counts: tuple[str, ...] = ()

    @property
    def is_emitted(self) -> bool:
        """Whether it has an event in the output stream."""
        return self.verdict in ("emitted", "late_emitted")
