"""One run: send every canary that is expected, look for each where the sink stores events, and judge.

Place: canary.process, and the command ``penstock canary once`` → HERE → canary.event, canary.post, canary.listen,
sink.watch.
Rules: the end of the topic is noted before a canary is sent, and its own identity is looked for behind it. Every step
has a deadline, and the whole run has one: what is not done by then has failed, at the stage that the facts show. At
most ``canary.concurrency`` canaries are under way, each with a watch and a thread of its own while it needs them.
Not here: which canaries are expected (canary.plan), how often runs are (canary.process), what is kept (canary.state).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from msgspec import Struct

from server.canary.event import Canary, NoCanaryError
from server.canary.listen import Listening, Reads
from server.canary.verdict import Facts, Reply, Verdict, judge
from server.sink.watch import Mark, Sought, Watch, WatchError

if TYPE_CHECKING:
    from server.canary.plan import Check
    from server.config.canary_settings import CanarySettings

LEAST_S: Final = 0.1  # What a step gets even when its deadline is near.
SPARE_S: Final = 0.5  # A search ends so much before its deadline, so that its result is known by then.

Result = TypeVar("Result")


class Posts(Reads, Protocol):
    """The part of canary.post.Poster that is used here."""

    async def post(self, check: Check, canary: Canary) -> Reply: ...


class Outcome(Struct, frozen=True):
    """The result of one canary. ``ended_s`` is in seconds since 1970."""

    check: Check
    verdict: Verdict
    ended_s: float
    roundtrip_s: float | None = None


class _Guarded:
    """A watch of which one step runs at a time: a step that the run no longer waits for may still be under way when the
    watch is closed."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._lock = threading.Lock()

    def mark(self, topic: str, within_s: float) -> Mark:
        with self._lock:
            return self._watch.mark(topic, within_s)

    def find(self, mark: Mark, needle: bytes, within_s: float) -> Sought:
        with self._lock:
            return self._watch.find(mark, needle, within_s)

    def close(self) -> None:
        with self._lock:
            self._watch.close()


class Run:
    """One run. ``make_event`` makes the canary of a stream, ``make_watch`` what finds it again. ``sink`` names the
    stage of the sink."""

    def __init__(
        self,
        settings: CanarySettings,
        sink: str,
        make_event: Callable[[Check], Canary],
        make_watch: Callable[[], Watch],
        poster: Posts,
    ) -> None:
        self._settings = settings
        self._sink = sink
        self._make_event = make_event
        self._make_watch = make_watch
        self._poster = poster
        self._idle: list[Watch] = []

    async def outcomes(self, checks: Sequence[Check]) -> list[Outcome]:
        """Send all canaries, and return their outcomes in the same order, ``canary.run_s`` later at the latest."""
        loop = asyncio.get_running_loop()
        self._until = loop.time() + self._settings.run_s
        self._free = asyncio.Semaphore(self._settings.concurrency)
        self._threads = ThreadPoolExecutor(self._settings.concurrency, thread_name_prefix="canary")
        facts = [Facts(self._sink, self._settings.max_skew_s) for _ in checks]
        tasks = [asyncio.create_task(self._try(check, seen)) for check, seen in zip(checks, facts, strict=True)]
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=self._settings.run_s)
            return [self._outcome(*each) for each in zip(checks, facts, tasks, strict=True)]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for watch in self._idle:
                self._threads.submit(watch.close)
            self._threads.shutdown(wait=False)

    @staticmethod
    def _outcome(check: Check, facts: Facts, task: asyncio.Task[None]) -> Outcome:
        if task.done():
            task.result()  # An unexpected exception is a bug, and no verdict.
        return Outcome(check, judge(facts), time.time(), facts.roundtrip_s)

    async def _try(self, check: Check, facts: Facts) -> None:
        async with self._free:
            loop = asyncio.get_running_loop()
            until = min(self._until, loop.time() + self._settings.roundtrip_s)
            facts.is_begun = True
            try:
                canary = self._make_event(check)
            except NoCanaryError as why:
                facts.no_canary, facts.no_canary_stage = str(why), why.stage
                return
            listening = None
            if check.reader_url is not None:
                listening = Listening(self._poster, check.reader_url, canary, facts)
            try:
                await self._send_and_find(check, canary, facts, listening, until)
                if listening is not None and facts.roundtrip_s is not None:
                    await listening.until_shown(max(LEAST_S, self._left_s(until)))
            finally:
                if listening is not None:
                    await listening.stop()

    async def _send_and_find(
        self, check: Check, canary: Canary, facts: Facts, listening: Listening | None, until: float
    ) -> None:
        loop, is_usable = asyncio.get_running_loop(), False
        watch = await self._watch(facts)
        try:
            mark = await self._mark(watch, check, facts, until)
            if listening is not None:
                await listening.until_open(self._step_s(until))
            began_s = loop.time()
            facts.posted_s = time.time()
            facts.reply = await self._poster.post(check, canary)
            if watch is not None and mark is not None and facts.reply.is_accepted:
                facts.sought = await self._find(watch, mark, canary, facts, until)
            if facts.sought is not None and facts.sought.found is not None:
                facts.roundtrip_s = loop.time() - began_s
            is_usable = facts.no_mark is None and facts.not_read is None
        finally:
            self._give_back(watch, is_usable=is_usable)

    async def _watch(self, facts: Facts) -> Watch | None:
        if self._idle:
            return self._idle.pop()
        try:
            return await self._in_thread(lambda: _Guarded(self._make_watch()))
        except WatchError as failed:
            facts.no_mark = str(failed)
            return None

    async def _mark(self, watch: Watch | None, check: Check, facts: Facts, until: float) -> Mark | None:
        if watch is None:
            return None
        within_s = self._step_s(until)
        try:
            mark = await self._in_thread(lambda: watch.mark(check.topic, within_s))
        except WatchError as failed:
            facts.no_mark = str(failed)
            return None
        facts.topic_exists = mark.exists
        return mark

    async def _find(self, watch: Watch, mark: Mark, canary: Canary, facts: Facts, until: float) -> Sought | None:
        within_s = max(LEAST_S, self._left_s(until) - SPARE_S)
        try:
            return await self._in_thread(lambda: watch.find(mark, canary.identity.encode(), within_s))
        except WatchError as failed:
            facts.not_read = str(failed)
            return None

    def _give_back(self, watch: Watch | None, *, is_usable: bool) -> None:
        """Keep a watch for the next canary. After a fault, or in the middle of a step, it may be in any state."""
        if watch is None:
            return
        if is_usable:
            self._idle.append(watch)
        else:
            self._threads.submit(watch.close)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _step_s(self, until: float) -> float:
        """Return the time for a step before the request, which must have its own even where nothing answers."""
        return max(LEAST_S, min(self._left_s(until) / 3, self._settings.request_s))

    @staticmethod
    def _left_s(until: float) -> float:
        return until - asyncio.get_running_loop().time()
