"""The counters of the intake: plain integers of one worker.

Place: intake.receive adds; worker copies them to the scoreboard on the beat.
Rules: an event counted in ``by_type`` was not accepted, or was accepted and its sender was told later that it failed.
Streams are those of routes (intake.books.tally); events without a known stream are counted for "". A time is the
difference of two readings of one clock.
Not here: outcomes of accepted events (intake.books.tally), HTTP's own counters, who reads the counters
(server.worker.measures).
"""

# hot path

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, NamedTuple

from server.intake.verdict import ERROR_TYPES, INVALID_TYPES, Verdict
from server.shared.lines import OTHERS

# In seconds. The bounds lie around the linger of 5 ms, after which a guaranteed event is acked at the earliest, and go
# up to answer_s.
GUARANTEED_BOUNDS: Final[tuple[float, ...]] = (
    0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
# A single event takes some 10 µs, the largest batches milliseconds.
HASTY_BOUNDS: Final[tuple[float, ...]] = (
    0.000_01, 0.000_02, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 1.0,
)  # fmt: skip

REPEATED: Final = ("2", "3", "4", "5 to 9", "10 or more")  # Attempts of requests that are not the first.

INVALID, ERROR, OBSERVED = range(3)  # Places in a stream's counts; behind them are the invalid events by type.
TYPES: Final = tuple(sorted(INVALID_TYPES))
PLACES: Final = {error_type: place for place, error_type in enumerate(TYPES, OBSERVED + 1)}
MAX_AGENTS: Final = 255  # Senders of invalid events; further ones are counted together.
MAX_AGENT_CHARS: Final = 64
MAX_STREAMS: Final = 2047  # A worker has this many lines, and one for all further streams.

# One request in this many is measured. measured: bench worker, all of them: a clock reading and a bucket are 3 % of a
# request without the kernel. It is a prime, so that clients that send in cycles of two or ten are all sampled.
MEASURED_EVERY: Final = 17


class Times:
    """A histogram of durations: ``counts`` per bound and beyond the last one, and the sum of all in seconds."""

    __slots__ = ("bounds", "counts", "sum_s")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Add one duration."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum_s += seconds


class Example(NamedTuple):
    """The first event that failed for a reason since the last report, and how many there were."""

    stream: str
    request_id: str
    text: str


class Counts:
    """Counters of events and requests.

    ``received`` events of well-formed requests; ``refused_hasty`` events of hasty requests that neither the sink nor
    the spool took; ``observed`` accepted events that are invalid; ``refused_full``, ``refused_draining`` and
    ``refused_many`` (too many events) refused requests; ``repeated``, by ``REPEATED``, requests that a client sent
    again. ``guaranteed`` holds times of requests from receipt to answer, ``hasty`` to the hand-over of their events.
    ``examples`` are by ``error_type``; the code that logs them removes them. ``by_agent`` counts invalid events of
    known streams by stream and program, with a space between.
    """

    __slots__ = (
        "by_agent",
        "by_stream",
        "by_type",
        "examples",
        "guaranteed",
        "hasty",
        "observed",
        "received",
        "refused_draining",
        "refused_full",
        "refused_hasty",
        "refused_many",
        "repeated",
    )

    def __init__(self) -> None:
        self.received = 0
        self.observed = 0
        self.refused_hasty = 0
        self.refused_full = 0
        self.refused_draining = 0
        self.refused_many = 0
        self.repeated = [0] * len(REPEATED)
        self.by_type = dict.fromkeys(sorted(INVALID_TYPES | ERROR_TYPES), 0)
        self.by_agent: dict[str, int] = {}
        self.by_stream: dict[str, list[int]] = {}
        self.examples: dict[str, Example] = {}
        self.guaranteed = Times(GUARANTEED_BOUNDS)
        self.hasty = Times(HASTY_BOUNDS)

    def repeat(self, attempt: int) -> None:
        """A client has sent a request for this time, from 2."""
        self.repeated[attempt - 2 if attempt < 5 else 3 + (attempt >= 10)] += 1

    def note(self, found: Verdict, stream: str, request_id: str, *, is_observed: bool) -> None:
        """Count a verdict. An event that ``is_observed`` was accepted in spite of it."""
        if is_observed:
            self.observed += 1
            place = OBSERVED
        else:
            self.by_type[found.error_type] += 1
            place = INVALID if found.is_invalid else ERROR
        counts = self.by_stream.get(stream)
        if counts is None:
            name = stream if len(self.by_stream) < MAX_STREAMS else OTHERS
            counts = self.by_stream.setdefault(name, [0] * (OBSERVED + 1 + len(TYPES)))
        counts[place] += 1
        if place == INVALID:
            counts[PLACES[found.error_type]] += 1
        if found.error_type not in self.examples:
            self.examples[found.error_type] = Example(stream, request_id, found.told or found.text)

    def note_agent(self, stream: str, user_agent: bytes) -> None:
        """Count an invalid event by the program that sent it, as the ``User-Agent`` says up to a comment."""
        text = user_agent.partition(b" (")[0][:MAX_AGENT_CHARS].decode("latin-1")
        name = f"{stream} {text if text.isprintable() else ''}"
        if name not in self.by_agent and len(self.by_agent) >= MAX_AGENTS:
            name = OTHERS
        self.by_agent[name] = self.by_agent.get(name, 0) + 1
