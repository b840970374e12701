"""Bring the source events of a wiki into the inputs of several data centres, as badly as the bounds allow.

Place: oracle.history → HERE → the runners, and tests.
Rules: everything follows from the seed. Within one input an event is at most ``disorder_ms`` older than the newest
before it, unless its page is one of ``late_pages``. Some events come twice, in the same or another data centre. One
data centre is silent for a while, and one input has a single event.
Not here: writing them to a sink (oracle.run).
"""

from __future__ import annotations

import random
from typing import Final

import orjson
from msgspec import Struct

from processors.page_change.oracle.history import SPAN_MS, START_MS, Wiki

CENTRES: Final = ("eqiad", "codfw", "idle")
TWICE: Final = 0.1
LATE_PAGES: Final = 0.05
LATE: Final = 0.2  # Of the events of such a page.


class Arrival(Struct, frozen=True):
    """One record of an input."""

    stream: str
    at: int
    page_id: int
    raw: bytes


class Inputs(Struct):
    """The records of each data centre in the order in which they are read. ``late_pages`` have late events."""

    centres: dict[str, list[Arrival]]
    late_pages: set[int]

    @property
    def count(self) -> int:
        """The number of all records."""
        return sum(len(records) for records in self.centres.values())


def spread(wiki: Wiki, seed: int, disorder_ms: int, reorder_ms: int, *, late_share: float = LATE_PAGES) -> Inputs:
    """Deliver everything that a wiki has sent. ``late_share`` is the share of pages that have late events."""
    chance = random.Random(f"inputs {seed}")
    late_pages = {page for page in wiki.truth if chance.random() < late_share}
    silent_from = START_MS + chance.randrange(SPAN_MS // 2)
    silent_to = silent_from + SPAN_MS // 4
    found: dict[str, list[tuple[float, Arrival]]] = {centre: [] for centre in CENTRES}
    for sent in wiki.sent:
        arrival = Arrival(sent.event["meta"]["stream"], sent.at, sent.page_id, orjson.dumps(sent.event))
        for _ in range(2 if chance.random() < TWICE else 1):
            delay = chance.random() * disorder_ms * 0.98
            if sent.page_id in late_pages and chance.random() < LATE:
                delay = disorder_ms + reorder_ms + 10_000 + chance.random() * 3_600_000
            is_silent = silent_from <= sent.at < silent_to
            centre = "eqiad" if is_silent or chance.random() < 0.6 else "codfw"
            found[centre].append((sent.at + delay, arrival))
    if found["codfw"]:
        found["idle"].append(found["codfw"].pop(0))
    ordered = {
        centre: [arrival for _, arrival in sorted(records, key=lambda one: (one[0], one[1].at, one[1].raw))]
        for centre, records in found.items()
    }
    return Inputs(ordered, late_pages)
