"""Simulated traffic: events per minute of streams that are well, and of streams to which something happens.

Rule: the same seed gives the same counts. A scenario is a rate, in events per minute, of the minute of Unix time.
Not here: what is made of the counts (server.plausibility).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

DAY: Final = 1440
WEEK: Final = 7 * DAY
START: Final = 2900 * WEEK  # A Thursday at 0:00 UTC.
LEARN_WEEKS: Final = 4

Rate = Callable[[int], float]


class Scenario(NamedTuple):
    """``rate`` of a stream; ``event`` is the minute at which something happens, None: nothing does; ``kinds`` are the
    alarms that may tell of it. ``gone``: the minute from which on the stream is declared no longer."""

    name: str
    rate: Rate
    event: int | None = None
    kinds: tuple[str, ...] = ()
    born: int = START
    gone: int | None = None


EVENT: Final = START + LEARN_WEEKS * WEEK + 3 * DAY + 14 * 60 + 7  # A Sunday afternoon.


def daily(peak: float, night: float = 0.3, shift: int = 0) -> Rate:
    """A day with a maximum in the afternoon and ``night`` of it at its minimum."""
    return lambda minute: peak * (night + (1 - night) * (0.5 - 0.5 * math.cos(2 * math.pi * (minute + shift) / DAY)))


def weekly(peak: float, weekend: float = 0.3) -> Rate:
    """Working days, and a weekend."""
    day = daily(peak)
    return lambda minute: day(minute) * (weekend if (minute // DAY + 4) % 7 in (0, 6) else 1.0)


def office(peak: float) -> Rate:
    """Nothing at all at night."""
    return lambda minute: peak if 7 * 60 <= minute % DAY < 19 * 60 else 0.0


def _from(event: int, before: Rate, after: Rate) -> Rate:
    return lambda minute: before(minute) if minute < event else after(minute)


def scenarios() -> list[Scenario]:
    """Return all of them. Those without an event must have no alarm."""
    usual = weekly(40.0)
    midnight = EVENT - EVENT % DAY
    return [
        Scenario("flat night", office(20.0)),
        Scenario("weekly pattern", usual),
        Scenario("quiet stream", lambda minute: 0.02),
        Scenario("ramp, +3 % a day", lambda minute: usual(minute) * 1.03 ** ((minute - START) / DAY)),
        Scenario("summer time", _from(midnight, usual, lambda minute: usual(minute + 60))),
        Scenario("new stream", usual, born=EVENT),
        Scenario("removed stream", _from(EVENT, usual, lambda minute: 0.0), gone=EVENT + 2),
        Scenario("step to zero", _from(EVENT, usual, lambda minute: 0.0), EVENT, ("silent", "drop")),
        Scenario("step to zero of a quiet stream", _from(EVENT, lambda m: 0.1, lambda m: 0.0), EVENT, ("silent",)),
        Scenario("step to a half", _from(EVENT, usual, lambda minute: usual(minute) / 2), EVENT, ("drop",)),
        Scenario(
            "leak, -5 % a day",
            _from(midnight, usual, lambda minute: usual(minute) * 0.95 ** ((minute - midnight) / DAY)),
            midnight,
            ("leak", "drop"),
        ),
        Scenario(
            "spike, ten times for half an hour",
            lambda minute: usual(minute) * (10 if EVENT <= minute < EVENT + 30 else 1),
            EVENT,
            ("rise",),
        ),
    ]


def well(count: int) -> list[Scenario]:
    """Return streams of all sizes to which nothing happens."""
    makers: list[Callable[[float], Rate]] = [weekly, daily, office, lambda peak: lambda minute: peak]
    return [Scenario(f"well {at}", makers[at % 4](0.05 * 4.0 ** (at // 4 % 6))) for at in range(count)]


def counts(rate: Rate, first: int, last: int, seed: int) -> Iterator[tuple[int, int]]:
    """Yield minute and count, with Poisson's scatter and minutes that are busier than others."""
    source = random.Random(seed)
    for minute in range(first, last):
        mean = rate(minute) * source.lognormvariate(-0.02, 0.2)
        yield minute, poisson(mean, source)


def poisson(mean: float, source: random.Random) -> int:
    """Return a number of Poisson's distribution; above 30 the normal one is near enough."""
    if mean > 30:
        return max(0, round(source.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, source.random()
    while product > limit:
        count += 1
        product *= source.random()
    return count
