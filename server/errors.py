"""Exceptions of the cold path, each with the exit code of the process.

Place: start-up, reload and the commands; never on the way of an event.
Rule: a message names what is wrong, where, and what to do; it is shown without a traceback.
Not here: expected outcomes of events, which are values (intake.verdict).
"""

from __future__ import annotations

EXIT_DONE = 0
EXIT_FOUND = 1
EXIT_USAGE = 2
EXIT_SETTINGS = 3
EXIT_BIND = 4
EXIT_BOOT = 5
EXIT_INTERRUPTED = 130  # 128 and the number of INT, as shells have it.


class PenstockError(Exception):
    """An error that an operator can mend. ``str(error)`` is the whole message."""

    exit_code = EXIT_FOUND


class UsageError(PenstockError):
    """The command line names something that cannot be used."""

    exit_code = EXIT_USAGE


class SettingsError(PenstockError):
    """Settings, streams or schemas cannot be used as they are."""

    exit_code = EXIT_SETTINGS


class BindError(PenstockError):
    """A listening address cannot be bound."""

    exit_code = EXIT_BIND


class BootError(PenstockError):
    """A worker cannot start. The same settings would fail again, so the master does not retry."""

    exit_code = EXIT_BOOT
