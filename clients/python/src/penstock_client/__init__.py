"""Send events to a Penstock intake.

``Intake`` is for programs with threads or without, ``AsyncIntake`` for asyncio. Importing this package starts nothing,
prints nothing and leaves logging as it is; modules that take long to load are loaded when they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penstock_client.errors import Closed, QueueFull, SpoolError
from penstock_client.intake import Intake
from penstock_client.outcomes import FlushResult, Health, Outcome, Ticket
from penstock_client.process import exit_on_sigterm
from penstock_client.version import VERSION

__version__ = VERSION

if TYPE_CHECKING:
    from penstock_client.async_intake import AsyncIntake

__all__ = [
    "AsyncIntake",
    "Closed",
    "FlushResult",
    "Health",
    "Intake",
    "Outcome",
    "QueueFull",
    "SpoolError",
    "Ticket",
    "__version__",
    "exit_on_sigterm",
]


def __getattr__(name: str) -> object:
    if name == "AsyncIntake":  # asyncio takes 40 ms to import, which programs with threads need not pay.
        from penstock_client.async_intake import AsyncIntake

        return AsyncIntake
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
