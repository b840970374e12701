"""When a worker looks whether events wait on its host: often while events come, rarely at rest.

Place: intake.delivery.delivery → HERE → timing.timers.
Rules: at rest all events are guarded, so that the first one that comes asks for a look; no event is sent on the word of
a look that is older than LOOK_S. The looks of a rest serve the others: the replay of this worker learns of events in
the spools of its siblings, and they learn whether it has contact with a broker.
Not here: a look itself (intake.delivery.delivery).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from server.timing.timers import Timer

if TYPE_CHECKING:
    import asyncio

LOOK_S: Final = 0.05  # A look takes 60 µs, and twice as much in a process that was idle.
REST_S: Final = 0.25
REST_AFTER: Final = 20  # Looks without an event in between.


class Looks:
    """Calls ``look`` on a timer. ``look`` tells ``plan`` what it has found."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._timer: Timer | None = None
        self._quiet_looks = self._last_number = 0
        self.is_resting = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin with a look now."""
        self._timer = Timer(loop, LOOK_S, self._look)
        self._timer.start()

    def plan(self, number: int, *, is_quiet: bool) -> None:
        """Plan the next look. Events are numbered up to ``number``; ``is_quiet``: nothing is under way."""
        self._quiet_looks = self._quiet_looks + 1 if is_quiet and number == self._last_number else 0
        self._last_number = number
        if self._timer is not None:
            self.is_resting = self._quiet_looks >= REST_AFTER
            self._timer.pace(REST_S if self.is_resting else LOOK_S)

    def end_rest(self, *, is_urgent: bool) -> None:
        """Look often again, and at once if it ``is_urgent``."""
        self.is_resting = False
        self._quiet_looks = 0
        if self._timer is None:
            return
        if is_urgent:
            self._timer.hurry(LOOK_S)
        else:
            self._timer.pace(LOOK_S)
