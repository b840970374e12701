"""Make the background checks of a worker, and the alarms that follow from them, from its settings.

Place: worker.process → HERE → intake.background.checks, intake.background.alarms.
Rules: examples of events are kept only where events are shown anyway: with the console, or with ``log.client_text``.
The fields of ``console.mask`` are masked in them. Alarms are those of the first worker that is ready.
Not here: checks and counts (intake.background).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.console.copying.masking import Masks
from server.intake.background.alarms import ExpectationAlarms
from server.intake.background.checks import BackgroundChecks
from server.shared.row import State

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.config.settings import Config
    from server.intake.background.counts import Keep
    from server.intake.event import Event
    from server.intake.pipeline import Pipeline
    from server.schemas.repository import SchemaRepository
    from server.shared.examples import ExamplesPage
    from server.shared.row import WorkerRow


def make_background(config: Config, schemas: SchemaRepository, page: ExamplesPage | None) -> BackgroundChecks:
    """Return the checks of this worker, whose examples lie in ``page``."""
    keep: Keep | None = None
    if page is not None and (config.console.enabled or config.log.client_text):
        keep = _Keeper(page, Masks(config.console.mask, shows_addresses=False)).keep
    most_bytes = config.http.limits.max_event_bytes
    return BackgroundChecks(schemas.find, schemas.versions, keep, most_bytes, expecting=schemas)


def make_alarms(
    config: Config, pipeline: Pipeline, submit: Callable[[Event], str | None], row: WorkerRow
) -> ExpectationAlarms:
    """Return the alarms of the worker of this row."""
    return ExpectationAlarms(config, pipeline, submit, row.board.kinds.checks.totals, lambda: _is_first(row))


def _is_first(row: WorkerRow) -> bool:
    """Whether a worker is the ready one of the newest generation and of the lowest slot. Companions have none."""
    ready = [each for each in row.board.live() if each.state is State.READY and each.slot >= 0]
    first = min(ready, key=lambda each: (-each.generation, each.slot), default=None)
    return first is not None and first.index == row.index


class _Keeper:
    """Writes masked examples."""

    def __init__(self, page: ExamplesPage, masks: Masks) -> None:
        self._page = page
        self._masks = masks

    def keep(self, name: str, value: bytes, at_ms: int) -> None:
        """Write one example."""
        self._page.put(name, self._masks.text(value), at_ms)
