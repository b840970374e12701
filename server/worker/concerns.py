"""What a worker makes those of its parts with that a bench leaves out to see what they cost.

Place: worker.process → HERE → worker.durability, worker.measures, intake.receive.
Rule: the service always has all of them: ``ALL``. A part that is left out is replaced by one of the same shape that
does nothing, so the code of the hot path is the same with and without.
Not here: what the parts do. What settings can switch off needs no place here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from server.intake.books.counts import MEASURED_EVERY
from server.intake.books.receipts import Receipts
from server.sink.make import make_spool
from server.worker.measures import Measures

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.sink.spool.spool import Spool


class Concerns(Struct, frozen=True):
    """``make_spool``, ``receipts`` and ``measures`` are called as those of the service are. One request in
    ``measured_every`` is timed; 0: none."""

    make_spool: Callable[[Config, Path, int], Spool | None] = make_spool
    receipts: type[Receipts] = Receipts
    measures: type[Measures] = Measures
    measured_every: int = MEASURED_EVERY


ALL: Final = Concerns()
