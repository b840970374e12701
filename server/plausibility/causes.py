"""Remember what may have caused an alarm: schemas that were seen first, changes that were announced, and the programs
that send invalid events.

Place: plausibility.watcher → HERE; plausibility.shown asks for an alarm.
Rules: pure and bounded. A cause is near an alarm in time, and no proof.
Not here: changes of settings (admin.pages), what is unusual (plausibility.model).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

MOST_SCHEMAS: Final = 10_000
MOST_CHANGES: Final = 50
MOST_CHARS: Final = 200
NEAR: Final = 120  # Minutes before an alarm.
SHOWN: Final = 3
FADE: Final = 0.97  # Of numbers by program in each minute: half of them after 23.


class Change(Struct, frozen=True):
    """Something that was done to senders or services, as it was announced. ``minute`` is one of Unix time."""

    minute: int
    text: str


class Causes:
    """The memory of causes. ``schemas`` has the minute in which each was seen first."""

    def __init__(self, schemas: Mapping[str, int] | None = None, changes: Iterable[Change] = ()) -> None:
        self.schemas: dict[str, int] = dict(schemas or {})
        self.changes = list(changes)
        self._agents: dict[str, float] = {}

    def take(self, minute: int, schemas: Iterable[str], agents: Mapping[str, int]) -> None:
        """Take the schemas that events have had, and the numbers of invalid events of a minute, by stream and
        program."""
        for uri in schemas:
            if len(self.schemas) < MOST_SCHEMAS:
                self.schemas.setdefault(uri, minute)
        faded = {name: FADE * number for name, number in self._agents.items()}
        for name, number in agents.items():
            faded[name] = faded.get(name, 0.0) + max(0, number)
        self._agents = {name: number for name, number in faded.items() if number >= 0.5}

    def announce(self, minute: int, text: str) -> Change:
        """Remember a change."""
        change = Change(minute, text)
        self.changes = [*self.changes, change][-MOST_CHANGES:]
        return change

    def new_schemas(self, title: str, since: int) -> list[str]:
        """Return the schemas of a title that were seen first shortly before this minute."""
        prefix = f"/{title}/"
        return sorted(
            uri
            for uri, minute in self.schemas.items()
            if since - NEAR <= minute <= since and uri.rpartition("/")[0] + "/" == prefix
        )

    def announced(self, since: int) -> list[Change]:
        """Return the changes that were announced shortly before this minute."""
        return [one for one in self.changes if since - NEAR <= one.minute <= since]

    def agents(self, stream: str) -> list[tuple[str, float]]:
        """Return the programs that have sent most of a stream's invalid events lately, with their shares."""
        prefix = f"{stream} "
        found = {name[len(prefix) :]: number for name, number in self._agents.items() if name.startswith(prefix)}
        whole = sum(found.values())
        return [(name, found[name] / whole) for name in sorted(found, key=lambda one: -found[one])[:SHOWN]]
