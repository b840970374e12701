"""Render the page of all limits on clients: ``python -m server.http.limits_page > docs/LIMITS.md``.

Place: http.limits, config.limit_settings → HERE → docs/LIMITS.md. A test checks that the page is current and that every
setting is in the table.
Rule: no text here is about a single limit.
Not here: the meaning of a setting (its description in config.limit_settings).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from server.config.framework import shape
from server.config.limit_settings import EXTERNAL, Limits
from server.http.limits import INTAKE, TABLE, Limit

HEAD = """\
# Limits

<!-- Rendered from server/config/limit_settings.py and server/http/limits.py by `python -m server.http.limits_page`. -->

Everything that a client can make grow has a limit. The limits are settings below `http.limits`
([SETTINGS.md](SETTINGS.md) says what each means and allows); `profile` chooses the defaults: `internal` for known
clients, `external` for unknown ones. Each worker applies the limits by itself: a client with connections to several
workers has each limit once per worker.

An answer that says when to try again has `Retry-After`. "Closed" means that the connection is closed after the answer,
"cut off" that it is closed without one. A 413 or 415 whose body is short keeps the connection. Every breach is counted
under the name in the fourth column.
"""

EVENTS = """\
## Bodies and events

These limits are checked when the request is complete. *Invalid* applies to a single event: the others of its request
are accepted.
"""


def render() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, "## Connections and requests\n", *_table(TABLE), "", EVENTS, *_table(INTAKE), ""])


def _table(limits: tuple[Limit, ...]) -> Iterator[str]:
    yield "| setting | internal | external | counted as | answer | says when to try again |"
    yield "|---|---|---|---|---|---|"
    for limit in limits:
        internal = shape.default_of(Limits, limit.setting)
        external = EXTERNAL.get(limit.setting, internal)
        helps = "yes" if limit.helps else ""
        kind = limit.kind and f"`{limit.kind.replace(', ', '`, `')}`"
        yield f"| `{limit.setting}` | {_number(internal)} | {_number(external)} | {kind} | {limit.answer} | {helps} |"


def _number(value: Any) -> str:
    return f"{value:,}" if value else "none"


if __name__ == "__main__":
    sys.stdout.write(render())
