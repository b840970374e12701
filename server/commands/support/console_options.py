"""Options of the commands that ask a console: where it is, and its token.

Place: HERE → the ``arguments`` of tail, expect, coverage, record, replay.
Rule: without ``--console`` the address and the token are those of the settings, so a command that is given the same
settings as the service finds it.
Not here: what is asked (console.client).
"""

from __future__ import annotations

import argparse
import os
import re
from urllib.parse import urlsplit

from server.commands.support.options import add_settings
from server.config.load import load
from server.console.access import read_token
from server.console.client import ConsoleClient
from server.errors import UsageError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)?")
_SESSION = re.compile(r"[A-Za-z0-9._:-]{0,64}")  # The default is "": none.
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}


def add_console(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add_settings(parser)
    parser.add_argument("--console", metavar="URL", help="the admin address; without it that of the settings")
    parser.add_argument(
        "--token",
        metavar="TOKEN",
        help="the console's token; without it CONSOLE_TOKEN of the environment, or console.token_file",
    )


def client_of(options: argparse.Namespace) -> ConsoleClient:
    """Return the client of the console that the options name. Raises SettingsError and UsageError."""
    token = options.token or os.environ.get("CONSOLE_TOKEN", "")
    if not token.isascii() or not (token.isprintable() or not token):
        raise UsageError("the token of the console has visible ASCII characters alone")
    if options.console:
        return ConsoleClient(_checked(options.console), token)
    loaded = load(options.config, options.set, os.environ)
    listen = loaded.config.admin.listen
    if "/" in listen or "@" in listen or listen.endswith(":0"):
        raise UsageError(f"admin.listen is {listen}: name the console's address with --console http://host:port")
    token = token or read_token(loaded.config.console.token_file, loaded.base_dir)
    host, _, port = listen.rpartition(":")
    return ConsoleClient(f"http://{host if host not in ('', '0.0.0.0', '[::]') else '127.0.0.1'}:{port}", token)


def _checked(url: str) -> str:
    """Return the address of a console. Raises UsageError."""
    given = url if "//" in url else f"http://{url}"
    try:
        split = urlsplit(given)
        is_good = split.scheme == "http" and split.hostname is not None and split.port != 0
    except ValueError:  # A port beyond 65535, or half of a bracket.
        is_good = False
    if not is_good:
        raise UsageError(f"--console {url}: write the admin address as http://host:port")
    return given


def count(text: str) -> int:
    """Parse a number of events."""
    if not text.isascii() or not text.isdecimal() or len(text) > 15:
        raise argparse.ArgumentTypeError(f"{text} is no whole number, 0 or more")
    return int(text)


def positive(text: str) -> int:
    """Parse a number of events that is not 0."""
    found = count(text)
    if not found:
        raise argparse.ArgumentTypeError("0 is no number of events to wait for")
    return found


def session(text: str) -> str:
    """Parse the id of a test session."""
    if not _SESSION.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no id of a session: 1 to 64 letters, digits and . _ : -")
    return text


def percent(text: str) -> float:
    """Parse a percentage."""
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found <= 100:
        raise argparse.ArgumentTypeError(f"{text} is no percentage from 0 to 100")
    return found


def duration(text: str) -> float:
    """Parse a number of seconds: ``500ms``, ``5s``, ``2m`` or ``5``."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text} is no time, such as 500ms, 5s or 2m")
    return float(found[1]) * _UNITS[found[2]]
