"""Make the background checks of a worker from its settings.

Place: worker.process → HERE → intake.background.checks.
Rules: examples of events are kept only where events are shown anyway: with the console, or with ``log.client_text``.
The fields of ``console.mask`` are masked in them.
Not here: checks and counts (intake.background).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.console.copying.masking import Masks
from server.intake.background.checks import BackgroundChecks

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.intake.background.counts import Keep
    from server.schemas.repository import SchemaRepository
    from server.shared.examples import ExamplesPage


def make_background(config: Config, schemas: SchemaRepository, page: ExamplesPage | None) -> BackgroundChecks:
    """Return the checks of this worker, whose examples lie in ``page``."""
    keep: Keep | None = None
    if page is not None and (config.console.enabled or config.log.client_text):
        keep = _Keeper(page, Masks(config.console.mask, shows_addresses=False)).keep
    return BackgroundChecks(schemas.find, schemas.versions, keep, config.http.limits.max_event_bytes)


class _Keeper:
    """Writes masked examples."""

    def __init__(self, page: ExamplesPage, masks: Masks) -> None:
        self._page = page
        self._masks = masks

    def keep(self, name: str, value: bytes, at_ms: int) -> None:
        """Write one example."""
        self._page.put(name, self._masks.text(value), at_ms)
