"""Make the bytes of an event, once. Every attempt to send it sends these."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

Dumps = Callable[[Any], bytes | str]


def _plain(value: object) -> str:
    """Write what JSON has no form of, as schemas want it: times in UTC with milliseconds, UUIDs as text."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise TypeError("a datetime without a time zone: which instant it means is not known")
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if type(value).__name__ == "UUID":  # By its name: uuid takes 4 ms to import.
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _writer() -> Callable[[Any], str]:
    """Return what writes JSON. JSONEncoder prepares its C part again for each call, a sixth of all the time of
    ``submit``; here it is prepared once."""
    # Without a check for circles, which end by RecursionError instead: a fifth less time.
    encoder = json.JSONEncoder(
        ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":"), default=_plain
    )
    try:
        text, make = json.encoder.encode_basestring, json.encoder.c_make_encoder  # type: ignore[attr-defined]
        write = make(None, _plain, text, None, ":", ",", False, False, False)
        join = "".join
        is_alike = join(write({"a": [1, None]}, 0)) == encoder.encode({"a": [1, None]})
    except (AttributeError, TypeError):  # Another Python: the module has no C part, or another one.
        return encoder.encode
    return (lambda event: join(write(event, 0))) if is_alike else encoder.encode


_dumps = _writer()


def encoder(dumps: Dumps | None) -> Callable[[Mapping[str, Any]], bytes]:
    """Return what writes events as JSON. It raises TypeError, ValueError or RecursionError if an event cannot be
    written, and what ``dumps`` raises."""
    if dumps is None:
        return lambda event: _dumps(event).encode()

    def encode(event: Mapping[str, Any]) -> bytes:
        text = dumps(event)
        return text if isinstance(text, bytes) else text.encode()

    return encode
