"""The streams for which types are written, and what they are made from.

Place: commands.types → HERE → event_types.python, event_types.typescript.
Rules: of each schema the newest version is used. The lock holds a hash of every schema as it was used, so that a check
can say which stream's schema has changed since types were written.
Not here: reading settings and schemas (boot.generation).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from server.event_types.shapes import Fields


class TypedStream(NamedTuple):
    """A declared stream: its name, or a regular expression between slashes. ``uri`` is of the schema that was used."""

    name: str
    uri: str
    sha256: str
    shape: Fields

    @property
    def is_pattern(self) -> bool:
        """Whether the name is a regular expression."""
        return len(self.name) > 2 and self.name[0] == self.name[-1] == "/"


def digest_of(schema: Mapping[str, Any]) -> str:
    """Return the hash of a schema's content; it does not depend on the order and the blanks of its file."""
    return hashlib.sha256(json.dumps(schema, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def lock_of(language: str, streams: Sequence[TypedStream]) -> str:
    """Return the text of the lock."""
    content = {
        "language": language,
        "streams": {stream.name: {"schema": stream.uri, "sha256": stream.sha256} for stream in streams},
    }
    return json.dumps(content, indent=1) + "\n"


def differences(before: str, now: str) -> list[str]:
    """Return what differs between two locks, a line for each stream."""
    try:
        old, new = json.loads(before)["streams"], json.loads(now)["streams"]
    except (ValueError, KeyError, TypeError):
        return ["the lock cannot be read"]
    lines = []
    for name in dict.fromkeys([*old, *new]):
        if name not in new:
            lines.append(f"stream {name} is no longer declared")
        elif name not in old:
            lines.append(f"stream {name} is new")
        elif old[name]["schema"] != new[name]["schema"]:
            lines.append(f"stream {name} has schema {new[name]['schema']} instead of {old[name]['schema']}")
        elif old[name] != new[name]:
            lines.append(f"stream {name}: the content of {new[name]['schema']} has changed")
    return lines
