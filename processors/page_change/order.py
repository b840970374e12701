"""Arrange the waiting events of one page: which come next, as which change, and which are none.

Place: map → HERE → format; page calls it when the time of an event has come.
Rules: pure functions of a state and drafts. Events are taken one by one until none is due any more; what is not due
comes along only where it sorts before one that is. Events of one revision are one change. The revision number orders
changes, the order time orders deletions and restores, and neither alone orders both: a partial restore has a smaller
number than the deletion before it.
Not here: when this is called (page), late events (late), the members of the output (format).
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from processors.page_change.draft import CHANGES, GONE, LIFECYCLE, PRESENT, UNKNOWN, Bounds, Draft, State, Step
from processors.page_change.times import millis_of

_ORDER: Final = attrgetter("at", "rev", "source")
_RANK: Final = {"move": 0, "create": 1, "revision": 2}


class _Head(Struct):
    rev_timestamp: object = None


_read_head: Final = msgspec.json.Decoder(_Head).decode


class _Change(Struct):
    """All waiting events of one revision, the primary one first."""

    rev: int
    at: int
    made: int
    parts: list[Draft]
    is_due: bool


class _Waiting:
    """The waiting events of one page, sorted: changes by revision, the others by time."""

    def __init__(self, drafts: Iterable[Draft], due_at: int) -> None:
        by_rev: dict[int, list[Draft]] = {}
        self.lifecycle: list[Draft] = []
        self.visibility: list[Draft] = []
        self.due_left = 0
        for draft in sorted(drafts, key=_ORDER):
            if draft.kind in CHANGES:
                by_rev.setdefault(draft.rev, []).append(draft)
            else:
                (self.lifecycle if draft.kind in LIFECYCLE else self.visibility).append(draft)
                self.due_left += draft.at <= due_at
        self.changes = [_change(by_rev[rev], due_at) for rev in sorted(by_rev, reverse=True)]  # The next is the last.
        self.due_left += sum(change.is_due for change in self.changes)
        self.due_at = due_at

    def next_change(self, top: int) -> _Change | None:
        """Return the next change. A revision that was there before may belong to a restore that has not come: it waits
        until it is due, and does not come along with others."""
        for change in reversed(self.changes):
            if change.is_due or change.rev > top:
                return change
            if any(one.kind == "undelete" and one.rev >= change.rev for one in self.lifecycle):
                return change
        return None


def _primary_first(part: Draft) -> tuple[int, int, str]:
    """The order of the events of one revision."""
    return _RANK[part.kind], part.at, part.source


def _change(parts: list[Draft], due_at: int) -> _Change:
    at = parts[0].at
    made = next((part.made for part in parts if part.made is not None), at)
    parts.sort(key=_primary_first)
    return _Change(parts[0].rev, at, made, parts, at <= due_at)


def arrange(state: State, drafts: list[Draft], now: int, bounds: Bounds) -> tuple[State, list[Step]]:
    """Return the state after the last event that is due at ``now``, and the steps up to it. At least one draft is due.
    Drafts that are in no step go on waiting; their list is used up."""
    if _is_one_change(drafts):  # There is nothing to weigh.
        drafts.sort(key=_primary_first)
        state, step = apply_change(state, drafts, bounds)
        return state, [step]
    waiting = _Waiting(drafts, now - bounds.reorder_ms)
    steps: list[Step] = []
    while waiting.due_left:
        state, step = _next(state, waiting, bounds)
        steps.append(step)
    return state, steps


def _is_one_change(drafts: list[Draft]) -> bool:
    rev = drafts[0].rev
    for draft in drafts:  # noqa: SIM110 - a generator takes twice the time
        if draft.rev != rev or draft.kind not in CHANGES:
            return False
    return True


def apply_only(state: State, draft: Draft, bounds: Bounds) -> tuple[State, Step]:
    """Apply one event, where there is nothing to arrange: the only one that waits, or a late one."""
    if draft.kind in CHANGES:
        return apply_change(state, [draft], bounds)
    if draft.kind == "visibility":
        return apply_visibility(state, draft)
    return apply_lifecycle(state, [draft])


def _next(state: State, waiting: _Waiting, bounds: Bounds) -> tuple[State, Step]:
    change = waiting.next_change(state.top)
    life = _next_lifecycle(state, waiting.lifecycle, bounds.skew_ms)
    is_change = change is not None and (life is None or _is_before(state, change, life, bounds.skew_ms))
    if waiting.visibility:
        seen = waiting.visibility[0]
        wins_at = None if change is None and life is None else _time_of(change, life, is_change)
        is_named_first = any(other.rev == seen.rev > state.top for other in waiting.changes)
        if wins_at is None or (seen.at < wins_at and not is_named_first):
            waiting.visibility.pop(0)
            waiting.due_left -= seen.at <= waiting.due_at
            return apply_visibility(state, seen)
    if is_change:
        assert change is not None
        waiting.changes.remove(change)
        waiting.due_left -= change.is_due
        return _apply_waiting_change(state, change, waiting.lifecycle, bounds)
    assert life is not None
    waiting.lifecycle.remove(life)
    waiting.due_left -= life.at <= waiting.due_at
    parts = [life]
    if life.kind == "undelete":
        restored = next((one for one in waiting.changes if one.rev == life.rev), None)
        if restored is not None and all(part.kind != "move" for part in restored.parts):
            waiting.changes.remove(restored)
            waiting.due_left -= restored.is_due
            parts += restored.parts
    return apply_lifecycle(state, parts)


def _time_of(change: _Change | None, life: Draft | None, is_change: bool) -> int:
    if is_change:
        assert change is not None
        return change.made
    assert life is not None
    return life.at


def _next_lifecycle(state: State, lifecycle: list[Draft], skew_ms: int) -> Draft | None:
    """Return the first deletion or restore that is possible, among those closest in time to the earliest; the earliest
    if none is."""
    if not lifecycle:
        return None
    first = lifecycle[0]
    for draft in lifecycle:
        if draft.at > first.at + skew_ms:
            break
        if _is_possible(state, draft):
            return draft
    return first


def _is_possible(state: State, draft: Draft) -> bool:
    if state.exists == UNKNOWN:
        return True
    return (state.exists == GONE) is (draft.kind == "undelete")


def _is_before(state: State, change: _Change, life: Draft, skew_ms: int) -> bool:
    """Whether the smallest waiting revision comes before the next deletion or restore."""
    if change.rev <= state.top:
        return True  # It is none of the page's changes any more.
    if life.kind == "undelete":
        return state.exists != GONE and change.made <= life.at
    return change.rev <= life.rev or change.made < life.at - skew_ms


def _apply_waiting_change(state: State, change: _Change, lifecycle: list[Draft], bounds: Bounds) -> tuple[State, Step]:
    """Apply a change, unless it is one of the revisions that a waiting undelete restores: they are inserted again with
    their old numbers and times."""
    if all(part.kind == "revision" for part in change.parts):
        is_old = change.at - change.made > bounds.historical_ms
        for draft in lifecycle:
            if draft.kind != "undelete" or draft.rev < change.rev:
                continue
            if draft.rev == change.rev and (is_old or change.rev <= state.top):
                draft.more = change.parts[0].raw  # It comes first, and only the undelete is emitted.
                return state, Step("restored", "", change.parts, state)
            if is_old and change.rev > state.top:
                return state, Step("restored", "", change.parts, state)
    return apply_change(state, change.parts, bounds)


def apply_change(state: State, parts: list[Draft], bounds: Bounds) -> tuple[State, Step]:
    """Apply a create, an edit or a move: ``parts`` are its events, the primary one first."""
    first = parts[0]
    rev, at, known = first.rev, first.at, first.made
    for part in parts:
        if part.at < at:
            at = part.at
        if known is None:
            known = part.made
    made = at if known is None else known
    if rev <= state.top:
        return state, Step(
            "overtaken" if _is_overtaken(state, first, at, made, bounds) else "superseded", "", parts, state
        )
    if at - made > bounds.historical_ms and state.exists == PRESENT and made < state.head_made:
        return state, Step("historical", "", parts, state)
    kind = first.kind if first.kind != "revision" else "edit"
    if kind == "edit" and state.exists != PRESENT and not first.has_parent:
        kind = "create"
    note = "missed_undelete" if state.exists == GONE else ""
    counts = ("unmerged",) if first.kind == "move" and known is None else ()
    last_at = max(state.last_at, at)
    after = State(PRESENT, rev, rev, made, state.lifecycle_at, state.visibility_at, last_at, rev)
    return after, Step("emitted", kind, parts, state, note, counts)


def _is_overtaken(state: State, first: Draft, at: int, made: int, bounds: Bounds) -> bool:
    """Whether a newer change was emitted although this one is new too: the inputs broke the bounds. A revision that was
    emitted, or that a restore inserts again, is none of that."""
    is_new = at - made <= bounds.historical_ms and abs(at - state.lifecycle_at) > bounds.reorder_ms
    return is_new and (first.kind == "move" or first.rev != state.changed)


def apply_lifecycle(state: State, parts: list[Draft]) -> tuple[State, Step]:
    """Apply a deletion or a restore; a restore may come with the revision-create of its head."""
    first = parts[0]
    if not _is_possible(state, first):
        verdict = "undelete_of_present" if first.kind == "undelete" else "delete_of_gone"
        return state, Step(verdict, "", parts, state)
    made = state.head_made if first.rev == state.head else -1
    if first.kind == "undelete":
        head = _read_head(first.more).rev_timestamp if first.more else None
        known = next((part.made for part in parts if part.made is not None), None)
        made = known if known is not None else (made if head is None else _made_of(head, made))
    after = replace(
        state,
        exists=PRESENT if first.kind == "undelete" else GONE,
        head=first.rev,
        top=max(state.top, first.rev),
        head_made=made,
        lifecycle_at=first.at,
        last_at=max(state.last_at, first.at),
    )
    if first.kind == "undelete":
        return after, Step("emitted", "undelete", parts, state)
    is_older = first.rev < state.head and state.exists == PRESENT
    counts = ("missed_revision",) if state.head and first.rev > state.head else ()
    return after, Step("emitted", "delete", parts, state, "delete_of_older" if is_older else "", counts)


def apply_visibility(state: State, draft: Draft) -> tuple[State, Step]:
    """Apply a change of what is visible of the current revision."""
    if state.exists == GONE:
        return state, Step("visibility_of_gone", "", [draft], state)
    if state.head and draft.rev != state.head:
        is_newer = draft.rev > state.top or (draft.made is not None and draft.made > state.head_made >= 0)
        return state, Step("visibility_of_unseen" if is_newer else "not_current", "", [draft], state)
    if draft.at <= state.visibility_at:
        return state, Step("superseded", "", [draft], state)
    after = replace(
        state,
        exists=PRESENT,
        head=draft.rev,
        top=max(state.top, draft.rev),
        visibility_at=draft.at,
        last_at=max(state.last_at, draft.at),
    )
    return after, Step("emitted", "visibility_change", [draft], state)


def _made_of(text: object, otherwise: int) -> int:
    found = millis_of(text)
    return otherwise if found is None else found
