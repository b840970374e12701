"""Logging: one line per fact, in JSON by default, readable in a terminal.

Place: used by everything; cold paths only.
Rule: trouble caused by clients goes through ``Limited``: at most one line per kind per 10 s, with a count.
Not here: counters (scoreboard), what happens while standard error has no reader (host.stdio).
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, Literal

import orjson

LINE_EVERY_S = 10.0  # One line per kind of client trouble: EventGate releases were rolled back for log spam.

STACKS = "stacks"  # The extra field that is shown on lines of its own in a terminal.
_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", None, None))) | {"message", "asctime", "taskName"}
_SHOWN_APART = _STANDARD | {STACKS}


class JsonFormatter(logging.Formatter):
    """Formats lines as ``{"time","level","logger","message",…extra}``; JSON itself escapes control characters."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
        }
        for name, value in vars(record).items():
            if name not in _STANDARD:
                line[name] = value
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(line, default=str).decode()
        except TypeError:  # Half of a surrogate pair, as in a file name that is not UTF-8.
            plain = {name: str(value).encode("utf-8", "backslashreplace").decode() for name, value in line.items()}
            return orjson.dumps(plain).decode()


class TextFormatter(logging.Formatter):
    """Formats lines as ``12:30:01 INFO  master[42]: message (kind=full)``. Unprintable characters are escaped, so that
    no text can forge a line."""

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        more = [f"{name}={value}" for name, value in vars(record).items() if name not in _SHOWN_APART and value]
        shown = f"{record.getMessage()} ({', '.join(more)})" if more else record.getMessage()
        line = f"{clock} {record.levelname:<7} {record.name}[{record.process}]: {printable(shown)}"
        for each in getattr(record, STACKS, "").splitlines():
            line += f"\n  {printable(each)}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def printable(text: str) -> str:
    """Return text of a stranger without characters that a terminal obeys, or that no file can hold."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def set_up(level: str, style: Literal["auto", "json", "text"]) -> None:
    """Send every logger to standard error. ``auto`` is text on a terminal, JSON elsewhere."""
    is_text = style == "text" or (style == "auto" and sys.stderr.isatty())
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextFormatter() if is_text else JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def on_resumed(dropped: int) -> None:
    """Log how many lines were dropped, once lines are written again. It is an error, so that every level shows it."""
    logging.getLogger("log").error(
        "%d lines of the log were dropped: standard error or output was not read for a while", dropped
    )


class Level:
    """The log level that all processes are asked for (notices): ``look`` now and then takes it up."""

    def __init__(self) -> None:
        self._taken = ""
        self._before = logging.NOTSET

    def look(self, wanted: str) -> None:
        """``""``: that of the settings again."""
        if wanted == self._taken:
            return
        root = logging.getLogger()
        if not self._taken:
            self._before = root.level
        self._taken = wanted
        root.setLevel(wanted.upper() if wanted else self._before)


class Limited:
    """A logger that logs each kind of trouble once per ``LINE_EVERY_S`` and counts the rest."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._kinds: dict[str, tuple[float, int]] = {}

    def warning(self, kind: str, message: str, *args: object, request_id: str = "") -> None:
        """Log, or count silently. ``kind`` must come from a closed set. ``request_id`` is that of the request in
        question."""
        self._log(logging.WARNING, kind, message, args, request_id)

    def error(self, kind: str, message: str, *args: object) -> None:
        """The same for trouble that an operator has to end before events are lost."""
        self._log(logging.ERROR, kind, message, args, "")

    def _log(self, level: int, kind: str, message: str, args: tuple[object, ...], request_id: str) -> None:
        now = time.monotonic()
        due, unsaid = self._kinds.get(kind, (0.0, 0))
        if now < due:
            self._kinds[kind] = (due, unsaid + 1)
            return
        self._kinds[kind] = (now + LINE_EVERY_S, 0)
        extra: dict[str, object] = {"kind": kind, "unsaid": unsaid}
        if request_id:
            extra["request_id"] = request_id
        self._logger.log(level, message, *args, extra=extra)
