"""One way to use every driver of the client, so that the same tests run over all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

from penstock_client import AsyncIntake, FlushResult, Health, Intake, Outcome, Ticket

DRIVERS = ("thread", "inline", "asyncio")
# Short waits between attempts: the tests are about what is done, not about when.
SOON: dict[str, Any] = {"retry_base_s": 0.01, "retry_cap_s": 0.02, "linger_s": 0.01}


class Driven(Protocol):
    """What all of them can do."""

    def submit(self, stream: str, event: Mapping[str, Any], *, hasty: bool | None = None) -> Ticket:
        """Queue an event."""

    def submit_now(self, stream: str, event: Mapping[str, Any], *, timeout: float | None = 15.0) -> Outcome:
        """Send one and wait."""

    def flush(self, timeout: float | None = 5.0) -> FlushResult:
        """Send all."""

    def close(self, timeout: float | None = 5.0) -> FlushResult:
        """End."""

    def health(self) -> Health:
        """State."""

    def metrics(self) -> dict[str, Any]:
        """Numbers."""


class OnLoop:
    """An AsyncIntake that is used from outside its loop."""

    def __init__(self, url: str, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._is_over = False
        self._intake = AsyncIntake(url, **options)
        self.health, self.metrics = self._intake.health, self._intake.metrics

    def submit(self, stream: str, event: Mapping[str, Any], *, hasty: bool | None = None) -> Ticket:
        """On the loop, while there is one."""
        if self._is_over:
            return self._intake.submit(stream, event, hasty=hasty)

        async def submit() -> Ticket:
            return self._intake.submit(stream, event, hasty=hasty)

        return self._runner.run(submit())

    def submit_now(self, stream: str, event: Mapping[str, Any], *, timeout: float | None = 15.0) -> Outcome:
        """On the loop."""
        return self._runner.run(self._intake.submit_now(stream, event, timeout=timeout))

    def flush(self, timeout: float | None = 5.0) -> FlushResult:
        """On the loop."""
        return self._runner.run(self._intake.flush(timeout))

    def close(self, timeout: float | None = 5.0) -> FlushResult:
        """On the loop, which ends."""
        if self._is_over:
            return asyncio.run(self._intake.close(timeout))
        self._is_over = True
        result = self._runner.run(self._intake.close(timeout))
        self._runner.close()
        return result


def make(driver: str, url: str, **options: Any) -> Driven:
    """Return a client with this driver."""
    if driver == "asyncio":
        return OnLoop(url, **options)
    return Intake(url, driver="inline" if driver == "inline" else "thread", **options)
