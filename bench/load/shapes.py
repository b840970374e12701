"""The number of users over time: steady, a daily wave, or a spike.

Place: run by Locust beside locustfile.py: `make load SHAPE=wave`. Without it, Locust's own web page asks for numbers.
Rule: `--users` is the most that are there at once and `--run-time` the length, for every shape.
Not here: what users do (locustfile).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from locust import LoadTestShape, events

QUIET = 0.1  # Share of users in the night of the wave, and around the spike.


def steady(_passed: float) -> float:
    """All the time the same."""
    return 1.0


def wave(passed: float) -> float:
    """A day: from the night up to the evening and back."""
    return QUIET + (1 - QUIET) * (1 - math.cos(2 * math.pi * passed)) / 2


def spike(passed: float) -> float:
    """A quiet time, then all users at once for a fifth of it."""
    return 1.0 if 0.4 <= passed < 0.6 else QUIET


SHAPES: dict[str, Callable[[float], float]] = {"steady": steady, "wave": wave, "spike": spike}


@events.init_command_line_parser.add_listener
def add_options(parser: Any) -> None:
    """Which one."""
    parser.add_argument("--shape", choices=SHAPES, default="steady")


class Shape(LoadTestShape):
    """The one that was asked for."""

    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        """Users, and how many of them may come or go in a second. None: it is over."""
        options = self.runner.environment.parsed_options
        length_s = float(options.run_time or 60)
        passed = self.get_run_time() / length_s
        if passed >= 1:
            return None
        return max(1, round((options.num_users or 1) * SHAPES[options.shape](passed))), float(options.spawn_rate or 1)
