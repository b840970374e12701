"""Test sessions: an identity that requests carry, so that a test sees its own events and no others.

Place: console.routes → HERE → console.copying.chaos.
Rules: a session tags what the console shows and never changes what is stored; a dry one stores nothing. It lives until
its time is over, and shows rows of a bounded number of bytes, so that one cannot push out those of the others; the
number of sessions is bounded, and the oldest goes first. Requests may carry an identity that no session has: it is
shown all the same.
Not here: waiting for events (console.checks.expect).
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from server.console.copying.chaos import Orders, Rule, SharedRules

if TYPE_CHECKING:
    from server.console.rows import Row

MAX_SESSIONS: Final = 1_000
MAX_TTL_S: Final = 86_400.0


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the requests of a session are treated. ``dry``: valid events are answered as if they had been sent, and are
    not. ``verbose``: answers have hints in plain words. ``strict``: the console warns of fields that the schema does
    not declare or describe. ``max_bytes``: rows beyond are counted and not shown; 0: a quarter of console.max_bytes."""

    dry: bool = False
    strict: bool = False
    verbose: bool = False
    max_bytes: Annotated[int, msgspec.Meta(ge=0)] = 0


class Session(msgspec.Struct):
    """One session. ``after`` is the number of the last row when it began; ``expires_s`` by the monotonic clock;
    ``bytes`` are those of its rows."""

    id: str
    after: int
    expires_s: float
    options: Options = Options()
    chaos: list[Rule] = []
    bytes: int = 0

    @property
    def has_orders(self) -> bool:
        """Whether workers treat its requests in another way than others."""
        return bool(self.chaos) or self.options.dry or self.options.verbose


class Sessions:
    """All sessions of this process."""

    def __init__(self, rules: SharedRules, max_bytes: int = 1 << 30) -> None:
        """``max_bytes``: what the rows of one session may take at most."""
        self._rules = rules
        self._max_bytes = max_bytes
        self._sessions = self._of_earlier_process()

    def _of_earlier_process(self) -> dict[str, Session]:
        """Return the sessions that a reload, or the end of a process, has not ended. Their rows are forgotten."""
        kept = self._rules.kept()
        found = msgspec.json.decode(kept, type=list[Session]) if kept else []
        for one in found:
            one.after = one.bytes = 0
        self._rules.go_on({one.id: one.chaos for one in found})
        return {one.id: one for one in found}

    def _keep(self) -> None:
        self._rules.keep(msgspec.json.encode(list(self._sessions.values())))

    def begin(self, after: int, ttl_s: float, name: str = "", options: Options | None = None) -> Session | None:
        """Begin a session; with the name of one, begin that again. None: there is no room for its orders, and without
        them a dry session would send."""
        self._expire()
        name = name or f"t-{secrets.token_hex(6)}"
        had_orders = self._sessions.pop(name, Session("", 0, 0.0)).has_orders
        while len(self._sessions) >= MAX_SESSIONS:
            self._sessions.pop(next(iter(self._sessions)))
        found = Session(name, after, time.monotonic() + min(ttl_s, MAX_TTL_S), options or Options())
        self._sessions[name] = found
        has_room = self._publish() if had_orders or found.has_orders else True
        if not has_room:
            del self._sessions[name]
        self._keep()
        return found if has_room else None

    def find(self, name: str) -> Session | None:
        """Return a session that has not expired."""
        self._expire()
        return self._sessions.get(name)

    def end(self, name: str) -> bool:
        """End a session. Returns whether there was one."""
        found = self._sessions.pop(name, None)
        self._keep()
        if found is not None and found.has_orders:
            self._publish()
        return found is not None

    def admit(self, row: Row) -> bool:
        """Count a row. Returns whether its session may show it."""
        session = self._sessions.get(row.summary.get("test", ""))
        if session is None:
            return True
        most = min(session.options.max_bytes or self._max_bytes, self._max_bytes)
        if session.bytes + row.size_bytes > most:
            return False
        session.bytes += row.size_bytes
        return True

    def is_strict(self, name: str) -> bool:
        """Whether a session wants warnings."""
        session = self._sessions.get(name)
        return session is not None and session.options.strict

    def disturb(self, session: Session, rules: list[Rule]) -> bool:
        """Order chaos for the next requests of a session. Returns whether there is room for the rules."""
        before, session.chaos = session.chaos, rules
        is_room = self._publish()
        if not is_room:
            session.chaos = before
        self._keep()
        return is_room

    def documents(self) -> list[dict[str, Any]]:
        """Return all sessions, for the page."""
        self._expire()
        now = time.monotonic()
        return [
            {
                "id": one.id,
                "after": one.after,
                "expires_in_s": round(one.expires_s - now),
                "chaos": len(one.chaos),
                "bytes": one.bytes,
                **msgspec.to_builtins(one.options),
            }
            for one in self._sessions.values()
        ]

    def _publish(self) -> bool:
        return self._rules.publish(
            {
                one.id: Orders(one.chaos, one.options.dry, one.options.verbose)
                for one in self._sessions.values()
                if one.has_orders
            }
        )

    def _expire(self) -> None:
        now = time.monotonic()
        for one in [one for one in self._sessions.values() if one.expires_s <= now]:
            self.end(one.id)
