"""Make what traces requests, or nothing: as the settings say.

Place: worker → HERE → tracing.sampled, tracing.spans, after the fork.
Rule: without ``tracing.endpoint`` no handler is wrapped, and nothing of OpenTelemetry is loaded.
Not here: which requests are traced (tracing.sampled), how spans leave (tracing.spans).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from server.tracing.sampled import Sampling

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.http.routes import Handler
    from server.tracing.spans import Spans

Routes = dict[str, dict[str, "Handler | None"]]


class Tracing:
    """One worker's. ``spans`` None: there are none."""

    def __init__(self, spans: Spans | None, sampling: Sampling | None) -> None:
        self._spans = spans
        self._sampling = sampling

    def table(self, routes: Routes) -> Routes:
        """The routes with their requests sampled, those of many paths apart; the same ones where nothing is traced."""
        sampling = self._sampling
        if sampling is None:
            return routes
        return {
            path: methods if path.endswith("*") else {
                method: handler and sampling.over(path, handler) for method, handler in methods.items()
            }
            for path, methods in routes.items()
        }  # fmt: skip

    def counts(self) -> tuple[int, int, int]:
        """Spans that were exported, that the collector did not take, that there was no room for."""
        return self._spans.counts() if self._spans is not None else (0, 0, 0)

    def look(self) -> None:
        """On the beat."""
        if self._spans is not None:
            self._spans.look()

    async def close(self, deadline: float) -> None:
        """Let go of what is left, to ``loop.time()`` = deadline at the latest."""
        if self._spans is not None:
            await self._spans.close(deadline)


def make(config: Config, slot: int, is_well_formed: Callable[[bytes], object]) -> Tracing:
    """``is_well_formed`` says whether bytes are a ``traceparent``."""
    if config.tracing.endpoint is None:
        return Tracing(None, None)
    from server.tracing.spans import Spans

    spans = Spans(config.tracing, config.tracing.endpoint, config.service_name or "penstock", slot)
    sampling = Sampling(config.tracing.ratio, spans, is_well_formed, follows_callers=config.follows_callers)
    return Tracing(spans, sampling)
