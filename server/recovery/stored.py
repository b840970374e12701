"""Find out which refused events are stored already, by the records of their streams.

Place: recovery.run → HERE → the ``read`` of the sink's kind.
Rules: the sink itself is the account of what was recovered. A record that a recovery has stored names its error event
in a header, and any record may have the ID of the event; both stand or fall with the record, so that no second account
can disagree with it. Only keys of wanted events are kept in memory.
Not here: the keys of a refused event (recovery.refused).
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from server.recovery.lines import WholeLines
from server.recovery.members import Path, text_at
from server.recovery.refused import key_of_id, key_of_name

HEADER: Final = "recovered-from"  # Its value is the ID of the error event.


class _Line(Struct):
    """The part of a line of ``penstock events`` that is used."""

    value: Raw
    headers: dict[str, Any] = {}


class Stored(WholeLines):
    """Takes the lines of stored records. ``keys`` are those of ``wanted`` events that are stored."""

    def __init__(self, wanted: AbstractSet[bytes], id_field: Path) -> None:
        super().__init__()
        self._wanted = wanted
        self._id_field = id_field
        self._decode = msgspec.json.Decoder(_Line).decode
        self.keys: set[bytes] = set()

    def take(self, line: bytes) -> None:
        found = self._decode(line)
        name = found.headers.get(HEADER)
        if isinstance(name, str):
            self._note(key_of_name(name))
        event_id = text_at(found.value, self._id_field)
        if event_id is not None:
            self._note(key_of_id(event_id))

    def _note(self, key: bytes) -> None:
        if key in self._wanted:
            self.keys.add(key)
