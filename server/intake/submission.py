"""A request whose events are not sent in the turn of the loop in which it came: it has many, or waits for schemas.

Place: intake.receive makes it; intake.batch and fetch.schema_fetcher go on with it → intake.receive.
Rules: a submission is prepared, waits for schemas once at the most, and is sent or refused. One that has waited is
prepared again as a whole, so that all of its events meet the same streams. A plain single event needs no submission.
Not here: what preparing and sending mean (intake.batch, intake.sending), when a request is refused (intake.receive).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from server.http.request import Request
    from server.intake.batch import Batch
    from server.intake.request_options import RequestOptions


class Submission(Struct, eq=False):
    """``on_resume`` is called with the submission in a later turn. ``began_s``: when the request came, by the monotonic
    clock; 0: it is not measured. ``attempt``: 2 once its schemas have been waited for. ``batch``: its events, prepared
    over several turns; None: they are still to be prepared."""

    on_resume: Callable[[Submission], None]
    request: Request
    body: bytes
    options: RequestOptions
    began_s: float = 0.0
    attempt: int = 1
    batch: Batch | None = None

    def resume(self) -> None:
        """Go on with it: its batch is prepared, or will not be."""
        self.on_resume(self)

    def begin_again(self) -> None:
        """Go on with it from its first event: its schemas have been waited for."""
        self.attempt += 1
        self.batch = None
        self.on_resume(self)
