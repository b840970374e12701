"""A request whose events are not sent in the turn of the loop in which it came: it has many, or waits for schemas.

Place: intake.receive makes it; intake.batch and fetch.schema_fetcher continue it → intake.receive.
Rules: a submission is prepared, waits for schemas at most once, and is sent or refused. After a wait it is prepared
again as a whole, so that all of its events meet the same streams. A plain single event needs no submission.
Not here: how events are prepared and sent (intake.batch, intake.sending), when a request is refused (intake.receive).
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
    """A request in progress.

    ``on_resume`` is called with the submission in a later turn. ``began_s``: the receive time of the request by the
    monotonic clock; 0: it is not measured. ``attempt``: 2 once its schemas have been waited for. ``batch``: its events,
    prepared over several turns; None: they are still to be prepared.
    """

    on_resume: Callable[[Submission], None]
    request: Request
    body: bytes
    options: RequestOptions
    began_s: float = 0.0
    attempt: int = 1
    batch: Batch | None = None

    def resume(self) -> None:
        """Continue: its batch is prepared, or has been given up."""
        self.on_resume(self)

    def begin_again(self) -> None:
        """Continue from its first event: its schemas have been waited for."""
        self.attempt += 1
        self.batch = None
        self.on_resume(self)
