"""The names of tables.

Place: landing, spark → HERE.
Rules: a stream has one name for each major version of its schema, and one for its rejected events. Names are in lower
case, because many engines do not tell cases apart.
Not here: what happens if two streams have one name (tables).
"""

from __future__ import annotations

import re


def table_name(stream: str, major: int | None) -> str:
    """Return the name of a table: for a major version other than 1 with its number; for None, of the rejected
    events."""
    name = re.sub(r"[^a-z0-9_]", "_", stream.lower())
    if major is None:
        return f"{name}__rejected"
    return name if major == 1 else f"{name}_v{major}"
