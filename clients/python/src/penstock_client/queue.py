"""What waits: bounds, the spool, outcomes, and the counts of all that. Called with the client's lock held."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from penstock_client.books import Books
from penstock_client.lanes import Batch, Lane
from penstock_client.options import Options
from penstock_client.outcomes import PENDING, SENT, FlushResult, Health, Outcome, Ticket

if TYPE_CHECKING:
    from penstock_client.spool import Spool

OVERHEAD_BYTES = 512  # Of an event in the queue, beside its body: its ticket, its id, its places in the queues.
UNSAMPLED = frozenset({"sampled", "curated"})  # Not sent on purpose: neither warned of nor reported.
ADOPT_EVERY_S = 30.0


class Queue:
    """The events of one client in one process."""

    def __init__(
        self,
        options: Options,
        now_s: float,
        wall_ns: Callable[[], int],
        spool: Spool | None = None,
    ) -> None:
        self.options = options
        self.books = Books(now_s)
        self.is_closed = False
        self.queued_events = 0
        self.queued_bytes = 0
        self._most_events = options.max_queue_events
        self._most_bytes = options.max_queue_bytes
        self.last_error: str | None = None
        # What is to be called without the lock: callbacks of users, and lines for the log.
        self.outbox: list[Callable[[], object]] = []
        self.spool = spool
        self._wall_ns = wall_ns
        self._lanes: dict[tuple[str, bool], Lane] = {}
        self._unjudged: deque[Ticket] = deque()
        self._epoch = 1
        self._open: Counter[int] = Counter()
        self._flushing = 0
        self._flushed = (0, 0, 0)
        self._on_disk: WeakValueDictionary[int, Ticket] = WeakValueDictionary()
        self._adopt_due_s = now_s
        self._renew_due_s = now_s
        self._is_adopting = spool is not None  # Clients that are gone may have left events.

    def is_full(self, ticket: Ticket) -> bool:
        """Whether an event can be taken only by dropping another one."""
        if self.spool is not None:
            return self.spool.is_full(len(ticket.body or b""))
        return ticket.body is not None and not self.has_room(ticket)

    def has_room(self, ticket: Ticket) -> bool:
        """Whether the event fits into the queue in memory."""
        options = self.options
        return (
            self.queued_events < options.max_queue_events
            and self.queued_bytes + len(ticket.body or b"") + OVERHEAD_BYTES <= options.max_queue_bytes
        )

    def offer(self, ticket: Ticket) -> bool:
        """Take an event that has room, or for which room is made by dropping older ones; say whether it was taken."""
        body, lane = ticket.body, ticket.lane
        if body is None or lane is None or self.spool is not None or self.is_closed or ticket.outcome is not PENDING:
            return self._offer(ticket)
        queued_bytes = self.queued_bytes + len(body) + OVERHEAD_BYTES
        if self.queued_events >= self._most_events or queued_bytes > self._most_bytes:
            return self._offer(ticket)
        # What nearly all calls do, without calling anything.
        self.books.submitted += 1
        self.queued_events += 1
        self.queued_bytes = queued_bytes
        epoch = ticket.epoch = self._epoch
        self._open[epoch] += 1
        lane.fresh.append(ticket)
        lane.fresh_bytes += len(body)
        return True

    def _offer(self, ticket: Ticket) -> bool:
        spool = self.spool
        if ticket.outcome is not PENDING:
            self.books.submitted += 1
            self._lose(ticket, ticket.outcome, ticket.since_s)
            return False
        if self.is_closed:
            self.refuse(ticket, "closed", "an event came after close()")
            return False
        if spool is not None and ticket.lane is not None:
            return self._offer_to_disk(ticket, spool)
        while not self.has_room(ticket):
            if not self._drop_oldest():
                self.refuse(ticket, "queue_full", "the queue is full of events that are under way")
                return False
        self.books.submitted += 1
        self._enqueue(ticket, self._epoch)
        return True

    def refuse(self, ticket: Ticket, reason: str, text: str) -> None:
        """Drop an event that has not been taken."""
        self.books.submitted += 1
        self._lose(ticket, Outcome("dropped", reason, text), ticket.since_s)

    def pending(self) -> int:
        """Return how many events wait, in memory and on disk."""
        return self.queued_events + (self.spool.unloaded if self.spool is not None else 0)

    def is_flushed(self, mark: int) -> bool:
        """Whether everything before the mark has an outcome."""
        is_on_disk = self._is_adopting or (self.spool is not None and self.spool.unloaded > 0)
        return not is_on_disk and all(epoch > mark for epoch in self._open)

    def begin_hurry(self, now_s: float) -> None:
        """Send without lingering until ``end_hurry``."""
        self._flushing += 1
        for lane in list(self._lanes.values()):
            lane.hurry(now_s)

    def end_hurry(self) -> None:
        """Linger again."""
        self._flushing -= 1

    def end_flush(self) -> FlushResult:
        """Return the counts since the last flush."""
        self._flushing -= 1
        books = self.books
        now = (books.sent, books.rejected.total(), books.dropped.total())
        sent, rejected, dropped = (new - old for new, old in zip(now, self._flushed, strict=True))
        self._flushed = now
        return FlushResult(sent, rejected, self.pending(), dropped)

    def health(self, now_s: float) -> Health:
        """Return the state."""
        books = self.books
        lanes = list(self._lanes.values())
        oldest_s = min((lane.oldest_s() for lane in lanes), default=float("inf"))
        paused_s = max((lane.paused_until_s - now_s for lane in lanes), default=0.0)
        return Health(
            is_well=self.last_error is None,
            queued_events=self.pending(),
            queued_bytes=self.queued_bytes,
            oldest_s=max(now_s - oldest_s, 0.0),
            paused_s=max(paused_s, 0.0),
            last_error=self.last_error,
            sent=books.sent,
            rejected=dict(books.rejected),
            dropped=dict(books.dropped),
            retries=books.retries,
        )

    def _lane(self, url: str, hasty: bool) -> Lane:
        lane = self._lanes.get((url, hasty))
        return lane if lane is not None else self._lanes.setdefault((url, hasty), Lane(url, hasty))

    def _enqueue(self, ticket: Ticket, epoch: int) -> None:
        size = len(ticket.body or b"")
        self.queued_events += 1
        self.queued_bytes += size + OVERHEAD_BYTES
        ticket.epoch = epoch
        self._open[epoch] += 1
        lane = ticket.lane
        if lane is not None:
            lane.fresh.append(ticket)
            lane.fresh_bytes += size
        else:
            self._unjudged.append(ticket)

    def _offer_to_disk(self, ticket: Ticket, spool: Spool) -> bool:
        assert ticket.body is not None and ticket.lane is not None
        while spool.is_full(len(ticket.body)) and self._drop_oldest():
            continue
        if spool.is_full(len(ticket.body)):
            self.refuse(ticket, "queue_full", "the spool is full")
            return False
        is_loaded = spool.unloaded == 0 and self.has_room(ticket)
        reason = spool.put(ticket, self._wall_ns(), is_loaded=is_loaded)
        if reason is not None and spool.is_lost and self._renew(spool, reason, ticket.since_s):
            reason = spool.put(ticket, self._wall_ns(), is_loaded=is_loaded)
        if reason is not None:  # The disk is full or broken: memory is better than nothing.
            self.warn_of_spool(f"the spool cannot be written ({reason})", ticket.since_s)
            while not self.has_room(ticket):
                if not self._drop_oldest():
                    self.refuse(ticket, "queue_full", "the queue is full, and the spool cannot be written")
                    return False
            is_loaded = True
        self.books.submitted += 1
        if is_loaded:
            self._enqueue(ticket, self._epoch)
        else:
            self._on_disk[ticket.row] = ticket
        return True

    def warn_of_spool(self, problem: str, now_s: float) -> None:
        """Say that events are not stored."""
        self._warn("spool", f"{problem}; events are kept in memory alone", now_s)

    def _renew(self, spool: Spool, reason: str, now_s: float) -> bool:
        """Begin another file of the spool, or note that what was stored no longer is. Say whether there is one."""
        if now_s < self._renew_due_s:
            return False
        self._renew_due_s = now_s + ADOPT_EVERY_S
        waiting = [ticket for lane in self._lanes.values() for ticket in lane.tickets()]
        if spool.renew(waiting, self._wall_ns()):
            self._renew_due_s = now_s
            for ticket in list(self._on_disk.values()):
                ticket.row = abs(ticket.row)
            self._warn("spool_renewed", f"{reason}; the spool goes on in another file", now_s)
            return True
        for ticket in (*waiting, *self._on_disk.values()):
            ticket.row = -abs(ticket.row)
        return False

    def _look_at_disk(self, now_s: float) -> None:
        if self.spool is None:
            return
        try:
            self._take_from_disk(self.spool, now_s)
        except Exception as error:  # Of files or rows that no spool wrote: what is in memory is sent all the same.
            self._is_adopting, self._adopt_due_s = False, now_s + ADOPT_EVERY_S
            self.spool.unloaded = 0
            self._warn("spool_read", f"the spool cannot be read: {error!r}", now_s)
        while self.spool.problems:
            self._warn("spool_read", self.spool.problems.pop(0), now_s)

    def _take_from_disk(self, spool: Spool, now_s: float) -> None:
        if now_s >= self._adopt_due_s:
            if spool.has_vanished() and not self._renew(spool, "the file of the spool is gone or broken", now_s):
                self.warn_of_spool("the file of the spool is gone or broken", now_s)
            self._is_adopting = spool.adopt()
            self._adopt_due_s = now_s if self._is_adopting else now_s + ADOPT_EVERY_S
        if spool.unloaded and self.queued_events < self.options.max_queue_events // 2:
            room = self.options.max_queue_events - self.queued_events
            for row, stored in spool.load(min(room, 1000)):
                age_s = max(self._wall_ns() / 1e9 - stored.unix_s, 0.0)
                found = self._on_disk.pop(row, None)
                ticket = found or Ticket(stored.stream, stored.id, stored.body, None, now_s - age_s)
                ticket.row = -row if spool.is_lost else row
                ticket.lane = self._lane(stored.url or self.options.url, stored.is_hasty)
                ticket.body = stored.body
                self.books.submitted += found is None  # By an earlier process, or its ticket is gone: counted here.
                self._enqueue(ticket, 0)  # Before any flush.

    def _expired(self, batch: Batch, now_s: float) -> bool:
        """Drop what is too old, and say whether anything is left."""
        oldest_s = now_s - self.options.max_age_s
        if batch.tickets[0].since_s < oldest_s or (
            batch.attempt > 1 and min(t.since_s for t in batch.tickets) < oldest_s
        ):
            kept = [ticket for ticket in batch.tickets if ticket.since_s >= oldest_s]
            if len(kept) < len(batch.tickets):
                batch.is_unknown = False
            for ticket in batch.tickets:
                if ticket.since_s < oldest_s:
                    text = f"an event of {ticket.stream} could not be sent for {self.options.max_age_s:g} s"
                    text += f"; the last error was {self.last_error}" if self.last_error else ""
                    self._settle(ticket, Outcome("dropped", "expired", text), now_s)
            batch.tickets = kept
        return bool(batch.tickets)

    def _drop_oldest(self) -> bool:
        if self._unjudged:
            ticket = self._unjudged.popleft()
            self._settle(ticket, Outcome("dropped", "queue_full", "the queue is full"), ticket.since_s)
            return True
        lanes = [lane for lane in list(self._lanes.values()) if lane.fresh or lane.again or lane.later]
        for lane in sorted(lanes, key=Lane.oldest_s) if len(lanes) > 1 else lanes:
            dropped = lane.drop_oldest()
            if dropped is not None:
                self._settle(dropped, Outcome("dropped", "queue_full", "the queue is full"), dropped.since_s)
                return True
        return False

    def _settle_sent(self, tickets: Sequence[Ticket]) -> None:
        """Give events of one request, which the intake accepted, their outcome. The lock is held meanwhile, and every
        ``submit`` waits, so it is done together what can be."""
        spool, outbox, is_debug = self.spool, self.outbox, self.options.debug
        size = 0
        epochs: Counter[int] = Counter()
        for ticket in tickets:
            size += len(ticket.body or b"")
            epochs[ticket.epoch] += 1
            if spool is not None and ticket.row:
                spool.forget(ticket)
            ticket.outcome = SENT
            ticket.body = None
            if ticket.has_callbacks():
                outbox.append(ticket.run_callbacks)
            if is_debug:
                outbox.append(partial(log_line, f"event sent ({ticket.stream}, {ticket.id})"))
        self.queued_events -= len(tickets)
        self.queued_bytes -= size + OVERHEAD_BYTES * len(tickets)
        self.books.sent += len(tickets)
        self._open -= epochs  # Which leaves out epochs without events.

    def _settle(self, ticket: Ticket, outcome: Outcome, now_s: float) -> None:
        """Give an event that was taken its outcome."""
        self.queued_events -= 1
        self.queued_bytes -= len(ticket.body or b"") + OVERHEAD_BYTES
        count = self._open[ticket.epoch] - 1
        if count:
            self._open[ticket.epoch] = count
        else:
            del self._open[ticket.epoch]
        if self.spool is not None and ticket.row:
            self.spool.forget(ticket)
        self._lose(ticket, outcome, now_s)

    def _lose(self, ticket: Ticket, outcome: Outcome, now_s: float) -> None:
        books, reason = self.books, outcome.reason or "unknown"
        ticket.outcome = outcome
        if reason in UNSAMPLED:
            books.not_sampled[reason] += 1
        else:
            (books.rejected if outcome.status == "rejected" else books.dropped)[reason] += 1
            if ticket.stream != self.options.report_stream:
                books.note_lost(ticket.stream, "rejected" if outcome.status == "rejected" else reason)
            word = "rejected" if outcome.status == "rejected" else "dropped"
            self._warn(
                reason, f"event {word} ({ticket.stream}, {reason}): {outcome.detail or 'no more is known'}", now_s
            )
            on_drop = self.options.on_drop
            if on_drop is not None:
                self.outbox.append(lambda: on_drop(ticket, reason))
        if ticket.has_callbacks():
            self.outbox.append(ticket.run_callbacks)
        self.outbox.append(ticket.let_go)

    def _warn(self, reason: str, text: str, now_s: float) -> None:
        line = self.books.warning(reason, text, now_s)
        if line is not None:
            self.outbox.append(lambda: log_line(line))


def log_line(line: str) -> None:
    import logging

    logging.getLogger("penstock_client").warning("%s", line)
