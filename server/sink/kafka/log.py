"""librdkafka's own log lines.

Place: sink.kafka.producer gives this logger to librdkafka, which calls it from ``poll``.
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
    """Has the one method of a logger that librdkafka's binding calls. ``on_line`` is called for each line."""

    def __init__(self, on_line: Callable[[], None]) -> None:
        self._on_line = on_line

    def log(self, level: int, _format: str, facility: str, _client: str, text: str) -> None:
        self._on_line()
        if level >= logging.WARNING:
            _limited.warning(facility, "librdkafka: %s", text)
        else:
            _logger.log(level, "librdkafka: %s", text)
