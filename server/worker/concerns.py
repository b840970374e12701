"""Name the parts of a worker that a bench can leave out, to measure what they cost.

Place: worker.process → HERE → worker.durability, worker.measures, intake.receive.
Rule: the service always has all of them: ``ALL``. A bench replaces a part by one of the same shape that does nothing,
so that the code of the hot path is the same with and without it.
Not here: what the parts do, and parts that a setting can switch off.
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
    """The parts. ``make_spool``, ``receipts`` and ``measures`` are called like those of the service. One request in
    ``measured_every`` is timed; 0: none."""

    make_spool: Callable[[Config, Path, int], Spool | None] = make_spool
    receipts: type[Receipts] = Receipts
    measures: type[Measures] = Measures
    measured_every: int = MEASURED_EVERY


ALL: Final = Concerns()
