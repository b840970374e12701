"""Show no traceback of INT where no program catches it, such as while it is still being imported.

Place: server/__init__.py installs it, before the other modules of the server are imported.
Rule: Python itself ends the process by the signal, which shells show as 130; only its traceback is left out.
Not here: INT while a command runs (__main__), and before Python has read this module.
"""

from __future__ import annotations

import sys
from types import TracebackType


def _show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)


def install() -> None:
    """Show no traceback of KeyboardInterrupt from now on."""
    sys.excepthook = _show
