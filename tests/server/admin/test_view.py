"""What the admin process reads while workers come and go."""

from __future__ import annotations

from server.admin.view import HostView
from server.shared.row import State
from server.shared.scoreboard import Scoreboard


def test_a_worker_that_has_died_since_somebody_looked_is_in_no_state() -> None:
    board = Scoreboard(3)
    rows = [row for row in (board.claim(0, 1), board.claim(1, 1)) if row is not None]
    for row in rows:
        row.set_state(State.READY)
    view = HostView.__new__(HostView)
    view.workers = rows

    board.release(rows[0])

    assert view.states()["ready"] == 1
    assert sum(view.states().values()) == 1
