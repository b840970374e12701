"""Damage the files of a spool, start on them, and look at what is delivered.

Place: tests/server/sink/spool/test_damage.py runs some cases, ``python -m tests.fuzz.spool_files`` many.
Rules: a case is made of its number alone, so that a finding is seen again. After any damage the spool opens, the replay
goes on, new events are taken and delivered, nothing is delivered that was not put, and events whose bytes are intact
are delivered in order per key. Which those are is known for damage that leaves the database readable; for the rest
``least`` says how many there are.
Not here: damage to the code's own state in memory.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import logging
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import uvloop

from server.sink.memory.sink import MemorySink
from server.sink.spool import backlog, pace, replay, spool, writer
from server.sink.spool.event import Spooled
from server.sink.spool.keys import LEAST_CELLS, Mark
from server.sink.spool.lane import Lane
from server.sink.spool.pace import ReplayPace
from server.sink.spool.replay import Replay
from server.sink.spool.spool import Spool
from server.timing import timers
from tests.fakes import Message

EVENTS: Final = 100
FIRST: Final = 1_700_000_000_000_000  # Numbers are Unix microseconds, as those of the intake.
NEW: Final = 5
PAGE_BYTES: Final = 4096
MAP_BYTES: Final = 8 * LEAST_CELLS  # Of the smallest map, without its head.
CASE_S: Final = 120.0


class Damage(NamedTuple):
    """One way of damage, after which at least ``least`` events are delivered all the same."""

    name: str
    make: Callable[[Path, random.Random], None]
    least: int


def _database(directory: Path) -> Path:
    return directory / "spool-0.db"


def _flip(path: Path, chance: random.Random, count: int) -> None:
    raw = bytearray(path.read_bytes())
    for _ in range(count):
        raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
    path.write_bytes(raw)


def flip_one(directory: Path, chance: random.Random) -> None:
    """Flip one bit anywhere in the database."""
    _flip(_database(directory), chance, 1)


def flip_many(directory: Path, chance: random.Random) -> None:
    """Flip 2 to 50 bits."""
    _flip(_database(directory), chance, chance.randrange(2, 51))


def flip_log(directory: Path, chance: random.Random) -> None:
    """Flip 1 to 10 bits of the log; what is behind them in it is gone, as after a power cut."""
    path = Path(f"{_database(directory)}-wal")
    if path.exists() and path.stat().st_size:
        _flip(path, chance, chance.randrange(1, 11))


def cut(directory: Path, chance: random.Random) -> None:
    """Cut the database."""
    path = _database(directory)
    with path.open("r+b") as file:
        file.truncate(chance.randrange(path.stat().st_size))


def swap_pages(directory: Path, chance: random.Random) -> None:
    """Swap two pages."""
    raw = bytearray(_database(directory).read_bytes())
    one, other = (PAGE_BYTES * number for number in chance.sample(range(len(raw) // PAGE_BYTES), 2))
    raw[one : one + PAGE_BYTES], raw[other : other + PAGE_BYTES] = (
        raw[other : other + PAGE_BYTES],
        raw[one : one + PAGE_BYTES],
    )
    _database(directory).write_bytes(raw)


def overwrite_page(directory: Path, chance: random.Random) -> None:
    """Overwrite a page with zeros or noise."""
    raw = bytearray(_database(directory).read_bytes())
    at = PAGE_BYTES * chance.randrange(len(raw) // PAGE_BYTES)
    raw[at : at + PAGE_BYTES] = chance.choice((bytes(PAGE_BYTES), chance.randbytes(PAGE_BYTES)))
    _database(directory).write_bytes(raw)


def delete_log(directory: Path, chance: random.Random) -> None:
    """Delete the log or its index, or both."""
    for ending in chance.choice((["-wal"], ["-shm"], ["-wal", "-shm"])):
        Path(f"{_database(directory)}{ending}").unlink(missing_ok=True)


def foreign(directory: Path, chance: random.Random) -> None:
    """Put something else in the place of the database, or next to it."""
    name = chance.choice(("spool-0.db", "spool-1.db", "spool-x.db", "spool-2.map", "spool-3.lock", "reserve", "new.db"))
    kind = chance.randrange(5)
    path = directory / name
    if kind == 0 and name != "spool-0.db":
        path.unlink(missing_ok=True)
        path.mkdir()
    else:
        path.write_bytes((b"", b"hello", chance.randbytes(20_000), b"SQLite format 3\0" + bytes(9000))[kind % 4])


def map_of_another_size(directory: Path, chance: random.Random) -> None:
    """Make the map shorter or longer, with what it had or with noise."""
    path = directory / "spool-0.map"
    if chance.random() < 0.5:
        with path.open("r+b") as file:
            file.truncate(chance.choice((0, 8, 4096, MAP_BYTES - 1, MAP_BYTES + 4096)))
    else:
        path.write_bytes(chance.randbytes(chance.choice((1, 100, 8192, MAP_BYTES - 1))))


def garbage_in_map(directory: Path, chance: random.Random) -> None:
    """Fill the map, or its head, with noise or ones."""
    path = directory / "spool-0.map"
    size = chance.choice((8 * len(Mark), 8 * 64, path.stat().st_size))
    with path.open("r+b") as file:
        file.write(chance.choice((chance.randbytes(size), b"\xff" * size, b"\x7f" + b"\xff" * (size - 1))))


DAMAGES: Final = (
    Damage("one bit flipped", flip_one, 0),
    Damage("bits flipped", flip_many, 0),
    Damage("bits of the log flipped", flip_log, 0),
    Damage("cut", cut, 0),
    Damage("pages swapped", swap_pages, 0),
    Damage("a page overwritten", overwrite_page, 0),
    Damage("log deleted", delete_log, 0),
    Damage("a foreign file", foreign, 0),
    Damage("a map of another size", map_of_another_size, EVENTS),
    Damage("garbage in the map", garbage_in_map, EVENTS),
)


def message(number: int, chance: random.Random) -> Message:
    """Make the event with this number. Its bytes can be told from those of every other."""
    key = chance.choice((None, b'{"k":%d}' % chance.randrange(8)))
    value = b'{"n":%d,"x":"%s"}' % (number, b"x" * chance.choice((0, 10, 300, 5000)))
    headers = [("content-type", b"application/json"), ("n", b"%d" % number)]
    return Message(f"topic{chance.randrange(3)}", value, key, FIRST // 1000 + number, headers)


def put(one: Spool, number: int, record: Any) -> None:
    """Put an event that is owed."""
    if not one.put(number, "s", record, lambda _outcome: None, is_owed=True, is_awaited=False):
        raise AssertionError(f"event {number} was refused")


async def _until(look: Callable[[], object]) -> None:
    while not look():
        await asyncio.sleep(0.001)


class Seed:
    """A directory with EVENTS events in two databases, a map and a log, as a killed worker leaves them. ``put`` has
    each event by its number."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.put: dict[int, Message] = {}
        self._is_checkpointed = False
        uvloop.run(self._fill())

    async def _fill(self) -> None:
        chance, made = random.Random(1), self.directory.with_name("filling")
        one, other = Spool(made, max_bytes=1 << 26), Spool(made, max_bytes=1 << 26)
        for each in (one, other):
            await each.open()
        for number in range(FIRST, FIRST + EVENTS):
            self.put[number] = message(number, chance)
            put(one if number % 4 else other, number, self.put[number])
            if number % 20 == 0:
                await one.flush(asyncio.get_running_loop().time() + CASE_S)
        for each in (one, other):
            await each.flush(asyncio.get_running_loop().time() + CASE_S)
        # Half of it is in the database and half in its log, for a file that is closed has no log.
        (one_own,) = [one._own.file._database]
        assert one_own is not None
        one_own.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        extra = {FIRST + EVENTS + index: message(FIRST + EVENTS + index, chance) for index in range(20)}
        for number, record in extra.items():
            self.put[number] = record
            put(one, number, record)
        await one.flush(asyncio.get_running_loop().time() + CASE_S)
        shutil.copytree(made, self.directory)
        for each in (one, other):
            await each.close()


class Outcome(msgspec.Struct):
    """``delivered`` numbers in order, ``damaged`` as counted, and ``what`` is wrong: None if nothing is."""

    damage: str
    delivered: list[int]
    damaged: int
    what: str | None


class Case:
    """One case in a directory of its own."""

    def __init__(self, seed: Seed, directory: Path, number: int) -> None:
        self._seed = seed
        self._directory = directory
        self._chance = random.Random(number)
        self._damage = DAMAGES[number % len(DAMAGES)]
        self._number = number

    def run(self) -> Outcome:
        """Damage the files, start, and wait until everything is gone from the spool that can go."""
        shutil.copytree(self._seed.directory, self._directory)
        self._damage.make(self._directory, self._chance)
        self._sink = MemorySink()
        self._damaged = 0
        failures = timers.failures()
        what = None
        try:
            uvloop.run(self._bounded(self._start))
        except Exception as failed:
            what = f"{type(failed).__name__}: {failed}"
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)
        if what is None and timers.failures() != failures:
            what = "a task has failed, and was started again"
        delivered = [json.loads(record.value)["n"] if record.value else -1 for record in self._sink.records]
        return Outcome(self._damage.name, delivered, self._damaged, what or self._judge(delivered))

    async def _bounded(self, function: Callable[[], Awaitable[None]]) -> None:
        async with asyncio.timeout(CASE_S):
            await function()

    async def _start(self) -> None:
        one = Spool(self._directory, max_bytes=1 << 26)
        await one.open()
        await self._sink.open()
        pacing = ReplayPace(1e6)
        pacing.per_s = 1e6
        replaying = Replay(one, self._sink, lambda: True, _ignore, pacing)
        first = max(one.first_number(), FIRST + 1_000_000)
        self.new = {first + index: message(first + index, self._chance) for index in range(NEW)}
        for number, record in self.new.items():
            put(one, number, record)
        replaying.start()
        await one.flush(asyncio.get_running_loop().time() + CASE_S / 2)
        try:
            async with asyncio.timeout(CASE_S / 2):
                await _until(lambda: self._is_over(one, replaying))
        finally:
            self._damaged = one.damaged + replaying.damaged
            replaying.stop()
            await self._sink.close()
            await replaying.finish(asyncio.get_running_loop().time() + 5)
            await one.close()

    def _is_over(self, one: Spool, replaying: Replay) -> bool:
        one.maps.look()
        found = replaying._backlog
        if found is None or not found._parts or one.waiting():
            return False
        # Another database is adopted after a while, and removed once it is empty.
        parts = [part for part in found._parts.values() if part.path.is_file()]
        is_seen = all(part._keys is not None and (part.is_adopted or part.path == one._own.path) for part in parts)
        left = sum(part.remaining + len(part._gone) for part in parts)
        return is_seen and not left and one._own.keys[Mark.COMMITTED] <= one._own.keys[Mark.HORIZON]

    def _judge(self, delivered: list[int]) -> str | None:
        known = {**self._seed.put, **self.new}
        for record in self._sink.records:
            number = json.loads(record.value)["n"]
            was = known.get(number)
            if was is None:
                return f"{number} was delivered and never put"
            is_same = (record.topic, record.key, record.value, record.timestamp_ms) == (
                was.topic,
                was.key,
                was.value,
                was.timestamp_ms,
            )
            if not is_same or [tuple(one) for one in record.headers] != was.headers:
                return f"{number} was delivered in another way than it was put"
        if missing := self.new.keys() - set(delivered):
            return f"{len(missing)} new events were not delivered"
        twice = [number for number, count in collections.Counter(delivered).items() if count > 1]
        if twice:
            return f"{twice[0]} was delivered twice"
        if len(set(delivered) & self._seed.put.keys()) < self._damage.least:
            return f"{len(set(delivered) & self._seed.put.keys())} of {len(self._seed.put)} were delivered"
        return self._disorder()

    def _disorder(self) -> str | None:
        last: dict[tuple[str, bytes], int] = {}
        for record in self._sink.records:
            number = json.loads(record.value)["n"]
            if record.key is not None and number < last.get((record.topic, record.key), 0):
                return f"{number} was delivered behind a younger one of its key"
            if record.key is not None:
                last[record.topic, record.key] = number
        return None


def _ignore(_event: Spooled) -> None:
    """What leaves is looked at in the sink."""


def quicken(setattr_: Callable[[Any, str, Any], None] = setattr) -> None:
    """Let the spool wait for milliseconds where it would for seconds."""
    for name in ("TURN_S", "IDLE_S", "ASIDE_S", "LEAD_S", "TROUBLE_S"):
        setattr_(replay, name, 0.002)
    setattr_(backlog, "ADOPT_EVERY_S", 0.005)
    setattr_(writer, "RETRY_S", 0.01)
    setattr_(spool, "WATCH_S", 0.005)
    for name in ("START_PER_S", "MIN_PER_S"):
        setattr_(pace, name, 1e6)
    setattr_(Lane.rest, "__defaults__", (0.02,))


def run(first: int, count: int, seconds: float = 1e9) -> tuple[list[tuple[int, Outcome]], dict[str, list[Outcome]]]:
    """Run these cases. Returns what went wrong, and the outcomes of each kind of damage."""
    wrong: list[tuple[int, Outcome]] = []
    kinds: dict[str, list[Outcome]] = {}
    ends = time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="penstock-fuzz-") as root:
        seed = Seed(Path(root) / "seed")
        for number in range(first, first + count):
            if time.monotonic() > ends:
                break
            outcome = Case(seed, Path(root) / "case", number).run()
            kinds.setdefault(outcome.damage, []).append(outcome)
            if outcome.what is not None:
                wrong.append((number, outcome))
    return wrong, kinds


def main() -> int:
    """The command line. Exit code 1: something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.spool_files", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="how many (10,000)")
    parser.add_argument("--first", type=int, default=0, help="the first one (0)")
    parser.add_argument("--seconds", type=float, default=1e9, help="at the most")
    chosen = parser.parse_args()
    logging.disable(logging.CRITICAL)
    quicken()
    start = time.monotonic()
    wrong, kinds = run(chosen.first, chosen.cases, chosen.seconds)
    for name, outcomes in kinds.items():
        delivered = [len([number for number in one.delivered if number < FIRST + 1_000_000]) for one in outcomes]
        damaged = sum(one.damaged for one in outcomes)
        mean = sum(delivered) / len(delivered)
        print(f"{name}: {len(outcomes):,} cases, {mean:.1f} delivered (least {min(delivered)}), {damaged:,} damaged")
    for number, outcome in wrong[:50]:
        print(f"case {number} ({outcome.damage}): {outcome.what}")
    count = sum(map(len, kinds.values()))
    print(f"{count:,} cases from {chosen.first}, {len(wrong)} findings, {time.monotonic() - start:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
