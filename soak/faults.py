"""Inflict faults on a running service and its brokers, drawn from a seed.

Place: commands.soak → HERE → soak.brokers, soak.service.
Rules: the same seed inflicts the same faults in the same order; times are those of the clock, so two runs are similar
but not equal. Every fault except a wrong clock is ended before the run ends; each is recorded with its time.
Not here: the effects on events (soak.verdict).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

from msgspec import Struct

from soak import brokers
from soak.brokers import Brokers
from soak.service import Service
from soak.strangers import Strangers

GAP_S: Final = (1.0, 4.0)
OUTAGE_S: Final = (0.5, 10.0)  # The longest outage exceeds the time-out of an event, the shortest does not.

# The spool must be empty within this multiple of an outage, and is given this time at least.
RECOVERY: Final = 2.0
LEAST_RECOVERY_S: Final = 15.0

REFUSE: Final = "brokers refuse"
FULL: Final = "the disk is full while the brokers are away"
STAYS_FULL: Final = "the disk stays full when the brokers are back"
FULL_DISK: Final = frozenset({FULL, STAYS_FULL})


class Fault(Struct):
    """One fault and its time; ``until`` is 0.0 for a fault without a duration. ``is_of_brokers``: they were away, or
    refused records."""

    name: str
    at: float
    until: float = 0.0
    detail: str = ""
    is_of_brokers: bool = False


class Faults:
    """Inflicts faults. ``done`` lists them, and ``late`` those after which the spool was not empty in time. ``names``
    are the faults that this machine and these brokers support."""

    def __init__(self, seed: int, service: Service, cluster: Brokers, strangers: Strangers) -> None:
        self._chance = random.Random(f"{seed}/faults")
        self._service = service
        self._brokers = cluster
        self.done: list[Fault] = []
        self.late: list[str] = []
        acts: dict[str, Callable[[], Awaitable[str]]] = {
            "kill a worker": self._kill_worker,
            "kill the master": self._kill_master,
            "TERM and start again": self._restart,
            "TERM to a worker": self._drain_worker,
            "HUP": self._reload,
            "strangers pipeline requests and hang up": strangers.hang_up,
            "strangers send Expect with their body and hang up": strangers.expect,
            "strangers leave large refusals unread": strangers.leave_refusals,
            "strangers use up the descriptors": lambda: strangers.use_up_descriptors(self._chance.uniform(*OUTAGE_S)),
            "the reader of the log stalls": self._stall_log,
            "the reader of the log is gone": self._lose_log,
        }
        of_brokers = {
            "hang": ("brokers hang", lambda: self._without("brokers hang", cluster.hang, cluster.go_on)),
            "down": ("brokers die", lambda: self._without("brokers die", cluster.down, cluster.up)),
            "sicken": ("one broker dies", lambda: self._without("one broker dies", cluster.sicken, cluster.up)),
            "slow": ("brokers are slow", self._slow),
            "refuse": (REFUSE, self._refuse),
            "shrink": ("brokers take no batches", self._shrink),
        }
        at_brokers = dict(act for can, act in of_brokers.items() if can in cluster.can)
        at_brokers["the logs of the spool are deleted while the brokers are away"] = self._delete_log
        if service.can_fill_disk:
            at_brokers[FULL] = self._fill_disk
            at_brokers[STAYS_FULL] = self._keep_disk_full
        if service.can_jump:
            acts["the clock jumps"] = self._jump
        self._of_brokers = frozenset(at_brokers)
        self._acts = acts | at_brokers
        self.names = list(self._acts)

    async def run(self, until: float) -> None:
        """Inflict one fault after the other, each kind once before any comes twice."""
        while time.time() < until:
            for name in self._chance.sample(self.names, len(self.names)):
                await asyncio.sleep(self._chance.uniform(*GAP_S))
                if time.time() >= until:
                    return
                fault = Fault(name, time.time(), is_of_brokers=name in self._of_brokers)
                self.done.append(fault)
                fault.detail = await self._acts[name]()
                fault.until = time.time()

    async def _kill_worker(self) -> str:
        return self._service.kill_worker(self._chance)

    async def _kill_master(self) -> str:
        await self._service.kill_all()
        await self._service.start()
        return "and its workers"

    async def _restart(self) -> str:
        seconds = await self._service.stop()
        await self._service.start()
        return f"gone after {seconds:.1f} s"

    async def _drain_worker(self) -> str:
        return self._service.drain_worker(self._chance)

    async def _reload(self) -> str:
        self._service.reload()
        return ""

    async def _stall_log(self) -> str:
        seconds = self._chance.uniform(2, 6)
        self._service.stall_log()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._service.go_on_with_log()
        return f"{seconds:.1f} s"

    async def _lose_log(self) -> str:
        self._service.lose_log()
        await asyncio.sleep(self._chance.uniform(2, 6))
        await self._restart()
        return "until the next start"

    async def _shrink(self) -> str:
        seconds = self._chance.uniform(1, 5)
        await asyncio.to_thread(self._brokers.shrink, brokers.SMALL_BYTES)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(self._brokers.shrink, 0)
        return f"{brokers.SMALL_BYTES} bytes, {seconds:.1f} s"

    async def _without(self, name: str, leave: Callable[[], None], come_back: Callable[[], None]) -> str:
        """Take brokers away for a while, and wait for the recovery."""
        leave()
        began = time.monotonic()
        try:
            told = await self._outage()
        finally:
            await asyncio.to_thread(come_back)
        return told + await self._recovered(name, time.monotonic() - began)

    async def _recovered(self, name: str, outage_s: float) -> str:
        """Wait until the spool is empty under the load that goes on, at most as long as is promised."""
        began, most_s = time.monotonic(), max(LEAST_RECOVERY_S, RECOVERY * outage_s)
        while self._service.waiting():
            if time.monotonic() > began + most_s:
                self.late.append(f"{name} for {outage_s:.1f} s: the spool is not empty {most_s:.0f} s later")
                return ", spool not empty in time"
            await asyncio.sleep(0.1)
        return f", spool empty after {time.monotonic() - began:.1f} s"

    async def _outage(self) -> str:
        """Wait for the length of an outage; sometimes kill a worker, restart or reload meanwhile."""
        seconds = self._chance.uniform(*OUTAGE_S)
        trouble = self._chance.choice(("", "", "kill", "TERM", "HUP"))
        await asyncio.sleep(seconds / 2)
        if trouble == "kill":
            self._service.kill_worker(self._chance)
            self.done.append(Fault("kill a worker", time.time(), time.time()))
        elif trouble == "TERM":
            await self._restart()
        elif trouble == "HUP":
            self._service.reload()
        await asyncio.sleep(seconds / 2)
        return f"{seconds:.1f} s" + (f", {trouble} meanwhile" if trouble else "")

    async def _slow(self) -> str:
        ms = self._chance.choice((200, 800, 2500))
        self._brokers.slow(ms)
        await asyncio.sleep(self._chance.uniform(1, 5))
        self._brokers.slow(0)
        return f"{ms} ms an answer"

    async def _refuse(self) -> str:
        names = {
            brokers.NOT_ENOUGH_REPLICAS: "not enough replicas",
            brokers.MESSAGE_TOO_LARGE: "message too large",
            brokers.TOPIC_AUTHORIZATION_FAILED: "not authorised",
        }
        code = self._chance.choice(self._brokers.refusals)
        count = self._chance.choice((1, 5, 20))
        await asyncio.to_thread(self._brokers.refuse, code, count)
        await asyncio.sleep(1)
        await asyncio.to_thread(self._brokers.refuse, code, 0)
        return f"{names[code]}, up to {count} times"

    async def _jump(self) -> str:
        """Set the clock until the next jump, also for processes that start meanwhile."""
        seconds = self._chance.choice((-7200, -600, -10, 0, 10, 600, 7200))
        self._service.jump(seconds)
        return f"to {seconds:+d} s"

    async def _fill_disk(self) -> str:
        self._brokers.hang()
        try:
            await asyncio.sleep(4)
            self._service.fill_disk()
            await asyncio.sleep(3)
            self._service.free_disk()
            await asyncio.sleep(2)
        finally:
            self._service.free_disk()
            self._brokers.go_on()
        return "3 s" + await self._recovered("a full disk while brokers hang", 9.0)

    async def _keep_disk_full(self) -> str:
        self._brokers.hang()
        try:
            await asyncio.sleep(4)
            self._service.fill_disk()
            await asyncio.sleep(3)
            self._brokers.go_on()
            told = await self._recovered("a disk that stays full", 7.0)
        finally:
            self._brokers.go_on()
            self._service.free_disk()
        return told.removeprefix(", ")

    async def _delete_log(self) -> str:
        self._brokers.hang()
        try:
            await asyncio.sleep(4)
            self._service.delete_log()
            await asyncio.sleep(2)
        finally:
            self._brokers.go_on()
        return (await self._recovered("deleted logs", 6.0)).removeprefix(", ")
