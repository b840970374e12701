"""Events prepared by a pipeline with checks in the background, and judged at once."""

from __future__ import annotations

import asyncio
import functools
import json
from pathlib import Path
from typing import Any

from server.boot.generation import read
from server.intake.arrival import Arrival
from server.intake.background.budget import Budget
from server.intake.background.checks import BackgroundChecks, Take
from server.intake.background.counts import TIME, parsed
from server.intake.pipeline import Pipeline, make_pipeline

RECEIVED = 1_767_323_045_678, b'"2026-01-02T03:04:05.678Z"'


def event(stream: str, version: str = "1.0.0", **more: Any) -> bytes:
    meta = {"stream": stream, "id": "x", "dt": "2026-01-02T03:04:05Z"}
    title = "t/o" if stream.startswith("odd") else "t/e"
    return json.dumps({"$schema": f"/{title}/{version}", "meta": meta, **more}).encode()


class Unlimited(Budget):
    """A budget that never ends, so that no test waits for its share of a busy machine."""

    def has_time(self) -> bool:
        return True


class Tried:
    """A pipeline with checks in the background. ``kept`` are the examples."""

    def __init__(self, settings_path: Path) -> None:
        generation = read(settings_path, [])
        self.kept: list[tuple[str, bytes]] = []
        self.checks = BackgroundChecks(
            generation.schemas.find,
            generation.schemas.versions,
            lambda *kept: self.kept.append(kept[:2]),
            budget=Unlimited(),
            expecting=generation.schemas,
        )
        self.sees: Take | None = None
        self.checks.on_needed = functools.partial(setattr, self, "sees")
        self.pipeline: Pipeline = make_pipeline(
            generation.config, generation.schemas.find, generation.snapshot.find, checks=self.checks.of
        )

    def take(self, *raws: bytes) -> dict[tuple[str, str, str], list[int]]:
        """Prepare events and judge them in the background. Returns the counts, without those of time."""

        async def test() -> None:
            events = [self.pipeline.prepare(0, raw, Arrival(*RECEIVED, {})) for raw in raws]
            if self.sees is not None:
                self.sees(events, 0)
            while self.checks._waiting:
                self.checks.work()

        asyncio.run(test())
        return self.seen()

    def seen(self) -> dict[tuple[str, str, str], list[int]]:
        named = ((parsed(line), numbers) for line, numbers in self.checks.counts.lines())
        return {(n.stream, n.version, n.rule): list(c) for n, c in named if n is not None and n.kind != TIME.kind}
