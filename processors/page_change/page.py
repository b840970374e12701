"""One page of one wiki: its state and its waiting events. Both engines call this for each event and for each timer.

Place: map → HERE → order; the engines keep one for each key.
Rules: no clock: ``watermark`` and ``now`` are event times. When a timer fires, only events up to its own instant are
looked at, so that the result does not depend on which later events have arrived already.
Not here: who fires timers (embedded, flink), how a page is stored (codec).
"""

from __future__ import annotations

from processors.page_change.draft import CHANGES, GONE, Bounds, Draft, State, Step
from processors.page_change.order import apply_only, arrange


class Page:
    """``state`` is that after the last emitted change; ``pending`` are the events that wait for their time.
    ``fired_at`` is the instant of the last timer with a step, for an engine whose watermark falls at a restart; -1 if
    it is not kept."""

    __slots__ = ("fired_at", "pending", "state")

    def __init__(self, state: State | None = None, pending: list[Draft] | None = None, fired_at: int = -1) -> None:
        self.fired_at = fired_at
        self.state = State() if state is None else state
        self.pending: list[Draft] = [] if pending is None else pending

    def take(self, draft: Draft, watermark: int, bounds: Bounds) -> tuple[list[Step], int | None]:
        """Take one event. Returns steps that are known at once, and the instant at which ``fire`` must be called."""
        due_at = draft.at + bounds.reorder_ms
        if watermark >= due_at:
            return [self._late(draft, watermark, bounds)], None
        for index, other in enumerate(self.pending):
            if other.source == draft.source and other.kind == draft.kind:
                kept, given = sorted((other, draft), key=lambda one: (one.at, one.raw))
                kept.more = kept.more or given.more
                self.pending[index] = kept
                step = Step("duplicate", "", [given], self.state)
                return [step], kept.at + bounds.reorder_ms if kept is draft else None
        self.pending.append(draft)
        if len(self.pending) > bounds.most_pending:
            times = sorted(one.at for one in self.pending)
            steps = self.fire(times[len(times) // 2] + bounds.reorder_ms, bounds)
            steps[0].counts += ("flushed",)
            return steps, due_at
        return [], due_at

    def fire(self, now: int, bounds: Bounds) -> list[Step]:
        """Return the steps of all events whose time has come at ``now``."""
        due_at = now - bounds.reorder_ms
        pending = self.pending
        if len(pending) == 1:
            (only,) = pending
            if only.at > due_at:
                return []
            self._expire(now, bounds)
            self.state, step = apply_only(self.state, only, bounds)
            self.pending = []
            return [step]
        visible, is_due = [], False
        for draft in pending:
            if draft.at <= now:
                visible.append(draft)
                is_due = is_due or draft.at <= due_at
        if not is_due:
            return []  # What this timer was for came along with an event before it.
        self._expire(now, bounds)
        self.state, steps = arrange(self.state, visible, now, bounds)
        if len(steps) == 1 and len(steps[0].parts) == len(pending):
            self.pending = []
        elif steps:
            done = {id(part) for step in steps for part in step.parts}
            self.pending = [draft for draft in pending if id(draft) not in done]
        return steps

    def _expire(self, now: int, bounds: Bounds) -> None:
        if 0 <= self.state.last_at < now - bounds.ttl_ms:
            self.state = State()

    def _late(self, draft: Draft, watermark: int, bounds: Bounds) -> Step:
        """Apply an event that came after its time, at once: it is emitted only if nothing newer of its page was."""
        self._expire(watermark, bounds)
        before = self.state
        if self._is_repeated(draft):
            return Step("superseded", "", [draft], before)
        if bounds.heal and draft.at >= watermark - bounds.ttl_ms and self._is_newest(draft):
            after, step = apply_only(before, draft, bounds)
            if step.verdict == "emitted":
                self.state = after
                step.verdict = "late_emitted"
                return step
        return Step("late", "", [draft], before)

    def _is_newest(self, draft: Draft) -> bool:
        state = self.state
        if draft.kind in CHANGES:
            # After a restore the head has a smaller number than revisions that were not restored.
            return draft.rev > state.top and state.exists != GONE and draft.at > state.lifecycle_at
        is_passed = draft.kind in ("delete", "suppress") and draft.rev < state.head
        return draft.at > max(state.lifecycle_at, state.visibility_at) and not is_passed

    def _is_repeated(self, draft: Draft) -> bool:
        """Whether this very change was emitted: the event came twice, the second time late."""
        state = self.state
        if draft.kind == "move":
            return False  # Only its revision-create may have been emitted, as an edit.
        if draft.kind in CHANGES:
            return draft.rev == state.changed
        return draft.at == (state.visibility_at if draft.kind == "visibility" else state.lifecycle_at)
