"""Build the tracer that the settings ask for, or a no-op.

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
    """The tracer of one worker. With ``spans`` and ``sampling`` None it does nothing."""

    def __init__(self, spans: Spans | None, sampling: Sampling | None) -> None:
        self._spans = spans
        self._sampling = sampling

    def table(self, routes: Routes) -> Routes:
        """Return the routes with handlers that sample their requests, except routes of many paths; the same routes if
        nothing is traced."""
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
        """Return the numbers of spans that were exported, that the collector did not take, and that had no room."""
        return self._spans.counts() if self._spans is not None else (0, 0, 0)

    def look(self) -> None:
        """Log failed exports; called on the beat."""
        if self._spans is not None:
            self._spans.look()

    async def close(self, deadline: float) -> None:
        """Send the remaining spans, until ``loop.time()`` = deadline at the latest."""
        if self._spans is not None:
            await self._spans.close(deadline)


def make(config: Config, slot: int, is_well_formed: Callable[[bytes], object]) -> Tracing:
    """Build the tracer of one worker. ``is_well_formed`` returns something true if bytes are a ``traceparent``."""
    if config.tracing.endpoint is None:
        return Tracing(None, None)
    from server.tracing.spans import Spans

    spans = Spans(config.tracing, config.tracing.endpoint, config.service_name or "penstock", slot)
    sampling = Sampling(config.tracing.ratio, spans, is_well_formed, follows_callers=config.follows_callers)
    return Tracing(spans, sampling)
