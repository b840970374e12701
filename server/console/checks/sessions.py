"""Test sessions: an identity that requests carry, so that a test sees its own events and no others.

Place: console.routes → HERE → console.copying.chaos.
Rules: a session tags what the console shows and never changes what is stored. It lives until its time is over; the
number of sessions is bounded, and the oldest goes first. Requests may carry an identity that no session has: it is
shown all the same.
Not here: waiting for events (console.checks.expect).
"""

from __future__ import annotations

import secrets
import time
from typing import Any, Final

import msgspec

from server.console.copying.chaos import Rule, SharedRules

MAX_SESSIONS: Final = 1_000
MAX_TTL_S: Final = 86_400.0


class Session(msgspec.Struct):
    """One session. ``after`` is the number of the last row when it began; ``expires_s`` by the monotonic clock."""

    id: str
    after: int
    expires_s: float
    chaos: list[Rule] = []


class Sessions:
    """All sessions of this process."""

    def __init__(self, rules: SharedRules) -> None:
        self._rules = rules
        self._sessions: dict[str, Session] = {}

    def begin(self, after: int, ttl_s: float, name: str = "") -> Session:
        """Begin a session; with the name of one, begin that again."""
        self._expire()
        name = name or f"t-{secrets.token_hex(6)}"
        had_chaos = bool(self._sessions.pop(name, Session("", 0, 0.0)).chaos)
        while len(self._sessions) >= MAX_SESSIONS:
            self._sessions.pop(next(iter(self._sessions)))
        found = self._sessions[name] = Session(name, after, time.monotonic() + min(ttl_s, MAX_TTL_S))
        if had_chaos:
            self._publish()
        return found

    def find(self, name: str) -> Session | None:
        """Return a session that has not expired."""
        self._expire()
        return self._sessions.get(name)

    def end(self, name: str) -> bool:
        """End a session. Returns whether there was one."""
        found = self._sessions.pop(name, None)
        if found is not None and found.chaos:
            self._publish()
        return found is not None

    def disturb(self, session: Session, rules: list[Rule]) -> bool:
        """Order chaos for the next requests of a session. Returns whether there is room for the rules."""
        before, session.chaos = session.chaos, rules
        if self._publish():
            return True
        session.chaos = before
        return False

    def documents(self) -> list[dict[str, Any]]:
        """Return all sessions, for the page."""
        self._expire()
        now = time.monotonic()
        return [
            {"id": one.id, "after": one.after, "expires_in_s": round(one.expires_s - now), "chaos": len(one.chaos)}
            for one in self._sessions.values()
        ]

    def _publish(self) -> bool:
        return self._rules.publish({one.id: one.chaos for one in self._sessions.values() if one.chaos})

    def _expire(self) -> None:
        now = time.monotonic()
        for one in [one for one in self._sessions.values() if one.expires_s <= now]:
            self.end(one.id)
