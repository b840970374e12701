"""A stored record as one line of JSON, as ``penstock events`` prints it.

Place: sink.sqlite.reader, sink.kafka.reader → HERE.
Rule: key and value stay as they were stored, byte by byte, except for line breaks between JSON tokens.
Not here: which records are read (those that use this file).
"""

from __future__ import annotations

from typing import Any

import orjson


def line_of(topic: str, key: bytes | None, timestamp_ms: int, headers: bytes, value: bytes) -> bytes:
    """Return the line with its end. ``key``, ``headers`` and ``value`` are JSON."""
    line: dict[str, Any] = {
        "topic": topic,
        "key": None if key is None else orjson.Fragment(_on_one_line(key)),
        "timestamp_ms": timestamp_ms,
        "headers": orjson.Fragment(headers),
        "value": orjson.Fragment(_on_one_line(value)),
    }
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _on_one_line(text: bytes) -> bytes:
    """Replace raw line breaks by blanks. They can only stand between tokens, because JSON strings contain none."""
    return text.replace(b"\n", b" ").replace(b"\r", b" ") if b"\n" in text or b"\r" in text else text
