"""Bench ``alarms``: how soon plausibility alarms tell of a fault, how often they are wrong, and what they cost.

    nice -n 19 python -m bench alarms [--streams 24] [--weeks 4] [--seed 1]

The first table has a row for each scenario of tests.harness.traffic, with the time from the event to the alarm and the
alarms that were wrong. Then ``--streams`` streams of all sizes to which nothing happens are watched for ``--weeks``
weeks after four weeks of learning. At last, 500 streams are watched for ten minutes, for time and memory, and samples
of their events are judged, of which some streams watch their fields.

Place: ``python -m bench`` → HERE → server.plausibility. Nothing listens and nothing is sent.
Rule: the same seed gives the same tables, apart from what things cost.
Not here: the traffic (tests.harness.traffic), the limits that tests hold (tests.server.plausibility.test_model).
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import resource
import time
import tracemalloc
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from server.plausibility.alarms import Alarms
from server.plausibility.model import StreamModel, encode
from server.plausibility.sampling.sample import StreamSample
from server.plausibility.versions import VersionModels
from tests.harness.traffic import DAY, LEARN_WEEKS, START, WEEK, Scenario, counts, scenarios, well

MONTH: Final = 30 * DAY
MANY: Final = 500
URIS: Final = ("/a/1.0.0", "/a/1.1.0")
SEVERAL: Final = 5  # One stream in so many has events of both versions.
FIELDS: Final = 8
WATCHING: Final = 20  # Streams that are sampled; what they take is counted up to MANY.
PER_STREAM: Final = 100
ROUNDS: Final = 12


class Watched(NamedTuple):
    """What became of a scenario: minutes until an alarm told of its event, None: none did; the wrong alarms, and the
    minutes in which there might have been one."""

    delay: int | None
    kind: str
    false: list[str]
    minutes: int


def watch(scenario: Scenario, until: int, seed: int) -> Watched:
    """Watch a scenario to this minute."""
    model, alarms = StreamModel(scenario.born), Alarms()
    delay, kind, false = None, "", []
    for minute, count in counts(scenario.rate, scenario.born, until, seed):
        if minute == scenario.gone:  # As the watcher does; then there is no model that could judge.
            alarms.drop(["s"])
            until = minute
            break
        model.add(minute, count)
        before = set(alarms.active)
        found = model.signals() if minute - scenario.born >= WEEK else []
        alarms.take(minute, {"s": found} if found else {}, 1)
        for key in set(alarms.active) - before:
            is_right = scenario.event is not None and minute >= scenario.event and key[1] in scenario.kinds
            if is_right and delay is None:
                delay, kind = minute - (scenario.event or 0), key[1]
            elif scenario.event is None or minute < scenario.event:
                false.append(key[1])
    return Watched(delay, kind, false, until - scenario.born - WEEK)


def run(arguments: Sequence[str]) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="bench alarms")
    parser.add_argument("--streams", type=int, default=24)
    parser.add_argument("--weeks", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    print(f"{'scenario':36} {'told after':>12}  {'by':8} wrong alarms")
    for at, scenario in enumerate(scenarios()):
        found = watch(scenario, START + (LEARN_WEEKS + 2) * WEEK, options.seed + at)
        delay = "-" if scenario.event is None else "never" if found.delay is None else _text(found.delay)
        print(f"{scenario.name:36} {delay:>12}  {found.kind:8} {', '.join(found.false) or 'none'}", flush=True)
    print("\n" + false_alarms(options.streams, options.weeks, options.seed), flush=True)
    print(cost(), flush=True)
    print(cost_of_samples(0), flush=True)
    print(cost_of_samples(FIELDS), flush=True)
    return 0


def false_alarms(streams: int, weeks: int, seed: int) -> str:
    """Watch streams to which nothing happens, and say how many alarms there were."""
    false: list[str] = []
    minutes = 0
    for at, scenario in enumerate(well(streams)):
        found = watch(scenario, START + (LEARN_WEEKS + weeks) * WEEK, seed + 1000 + at)
        false += [f"{scenario.name}: {kind}" for kind in found.false]
        minutes += found.minutes
    rate = len(false) / (minutes / MONTH)
    return f"{len(false)} alarms in {minutes / MONTH:.0f} stream-months without a fault: {rate:.3f} each ({false})"


def cost() -> str:
    """Watch many streams for ten minutes, and say what one minute takes, and by how much the process has grown."""
    series = [list(counts(one.rate, START, START + 130, at)) for at, one in enumerate(well(MANY))]
    gc.collect()
    before_bytes = resident_bytes()
    models = [StreamModel(START) for _ in series]
    several = range(0, MANY, SEVERAL)
    versions = VersionModels({(str(at), uri): StreamModel(START) for at in several for uri in URIS})
    rates: dict[str, float | None] = {str(at): None for at in range(MANY)}
    every = [*models, *versions.models.values()]
    for model in every:
        model.hours = array("f", [60.0]) * len(model.hours)
    for minute in range(120):
        _one_minute(models, versions, series, rates, minute)
    for model in every:
        model.born = START - 4 * WEEK
    gc.collect()
    grown_bytes = resident_bytes() - before_bytes
    began_s = time.process_time()
    for minute in range(120, 130):
        _one_minute(models, versions, series, rates, minute)
    minute_s = (time.process_time() - began_s) / 10
    stored = sum(len(encode(model)) for model in every)
    return (
        f"{MANY} streams, {len(several)} of them of {len(URIS)} versions: {minute_s * 1000:.1f} ms of CPU a minute "
        f"({minute_s / 60:.3%} of a core), the process grew by {grown_bytes / 1e6:.1f} MB, {stored / 1e6:.1f} MB stored"
    )


def _one_minute(
    models: list[StreamModel],
    versions: VersionModels,
    series: list[list[tuple[int, int]]],
    rates: dict[str, float | None],
    at: int,
) -> None:
    """Take the counts of one minute of all streams, and judge them."""
    minute = START + at
    for model, minutes in zip(models, series, strict=True):
        model.add(minute, minutes[at][1])
        model.signals()
    counts = {key: series[int(key[0])][at][1] // 2 for key in versions.models}
    versions.take(minute, counts, rates, {})
    versions.signals(())


def resident_bytes() -> int:
    """Return the memory that this process has in RAM."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def cost_of_samples(fields: int) -> str:
    """Judge samples of many streams, so many fields of which are watched, and say what one round takes."""
    source = random.Random(1)
    event = {f"f{at}": at for at in range(FIELDS)}
    rounds = [
        [
            [_event(event, source, stream, number) for number in range(first, first + PER_STREAM)]
            for stream in range(WATCHING)
        ]
        for first in range(0, ROUNDS * PER_STREAM, PER_STREAM)
    ]
    names = [f"f{at}" for at in range(fields)]
    tracemalloc.start()
    samples = [StreamSample(0, b"0" * 32) for _ in range(WATCHING)]
    for minute, streams in enumerate(rounds[:-1]):
        for sample, values in zip(samples, streams, strict=True):
            sample.take(values, names, None, minute * 20)
    held = tracemalloc.get_traced_memory()[0] / WATCHING
    tracemalloc.stop()
    began_s = time.process_time()
    for sample, values in zip(samples, rounds[-1], strict=True):
        sample.take(values, names, None, ROUNDS * 20)
    event_us = (time.process_time() - began_s) / WATCHING / PER_STREAM * 1e6
    minute_s = event_us * PER_STREAM * MANY / 1e6
    return (
        f"samples, {fields} fields: {event_us:.1f} us of CPU an event, {minute_s:.2f} s a round of {PER_STREAM} events "
        f"of {MANY} streams ({minute_s / 60:.2%} of a core), {held / 1e3:.0f} kB in memory for a stream"
    )


def _event(event: dict[str, int], source: random.Random, stream: int, number: int) -> bytes:
    words = {name: source.choice((f"word {at % 7}", source.random(), None)) for name, at in event.items()}
    meta = {"id": f"{stream}-{number}", "dt": "2026-11-29T12:00:00Z", "domain": "here"}
    return json.dumps({"meta": meta, "dt": "2026-11-29T12:00:00Z", **words}).encode()


def _text(minutes: int) -> str:
    return (
        f"{minutes} min"
        if minutes < 2 * 60
        else f"{minutes / 60:.1f} h"
        if minutes < 2 * DAY
        else f"{minutes / DAY:.1f} d"
    )
