"""librdkafka's own log lines.

Place: a producer (sink.kafka.client) calls this from ``poll``.
Rule: warnings are logged at most once per kind and 10 s, others without limit.
Not here: errors of records (sink.kafka.errors).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from server.log import Limited

_logger = logging.getLogger("sink.kafka")
_limited = Limited(_logger)


class OwnLog:
    """Logs lines. ``on_line`` is called for each."""

    def __init__(self, on_line: Callable[[], None]) -> None:
        self._on_line = on_line

    def __call__(self, level: int, facility: str, text: str) -> None:
        """Log a line of a level as in ``logging``."""
        self._on_line()
        if level >= logging.WARNING:
            _limited.warning(facility, "librdkafka: %s", text)
        else:
            _logger.log(level, "librdkafka: %s", text)
