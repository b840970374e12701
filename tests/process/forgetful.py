"""The service with two bugs: its sink forgets events of one topic that it took, and a callback fails for each of them.
``python -m tests.process.forgetful``

Nothing that happens to a sound service makes its books not add up or a task of it fail, so those alerts get what they
are there for.
Everything else is the service as it is.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any
from unittest.mock import patch

from server.__main__ import main
from server.sink.make import make

FORGOTTEN = "app.forgotten"


def make_forgetful(*settings: Any) -> Any:
    """The sink of the settings, with the bug."""
    sink: Any = make(*settings)
    submit = sink.submit

    def submit_or_forget(record: Any, *more: Any) -> Any:
        if record.topic != FORGOTTEN:
            return submit(record, *more)
        asyncio.get_running_loop().call_soon(fail)
        return None

    sink.submit = submit_or_forget
    return sink


def fail() -> None:
    """What a callback with a bug does."""
    raise RuntimeError("forgotten")


if __name__ == "__main__":
    with patch("server.worker.durability.make", make_forgetful):
        sys.exit(main())
