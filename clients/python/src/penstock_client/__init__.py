"""Send events to a Penstock intake.

``Intake`` is for programs with threads or without, ``AsyncIntake`` for asyncio. Importing this package starts nothing,
prints nothing and leaves logging as it is. What takes long to load is loaded when a client is made.
"""

from __future__ import annotations

from penstock_client.errors import Closed, QueueFull, SpoolError
from penstock_client.intake import Intake
from penstock_client.process import exit_on_sigterm
from penstock_client.version import VERSION

__version__ = VERSION

TYPE_CHECKING = (
    False  # Type checkers take it for true. The module typing takes as long as all else that is loaded here.
)
if TYPE_CHECKING:
    from penstock_client.async_intake import AsyncIntake
    from penstock_client.outcomes import FlushResult, Health, Outcome, Ticket

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
    if name in ("FlushResult", "Health", "Outcome", "Ticket"):
        from penstock_client import outcomes

        return getattr(outcomes, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
