"""The service with a bug: its sink forgets events of one topic that it took. ``python -m tests.process.forgetful``

Nothing that happens to a sound service makes its books not add up, so that alert gets the bug that it is there for.
Everything else is the service as it is.
"""

from __future__ import annotations

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
        return None if record.topic == FORGOTTEN else submit(record, *more)

    sink.submit = submit_or_forget
    return sink


if __name__ == "__main__":
    with patch("server.durability.make", make_forgetful):
        sys.exit(main())
