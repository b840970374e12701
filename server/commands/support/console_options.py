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

from server.commands.support.options import add_settings
from server.config.load import load
from server.console.access import read_token
from server.console.client import ConsoleClient
from server.errors import UsageError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)?")
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
    if options.console:
        return ConsoleClient(options.console, token)
    loaded = load(options.config, options.set, os.environ)
    listen = loaded.config.admin.listen
    if "/" in listen or "@" in listen or listen.endswith(":0"):
        raise UsageError(f"admin.listen is {listen}: name the console's address with --console http://host:port")
    token = token or read_token(loaded.config.console.token_file, loaded.base_dir)
    host, _, port = listen.rpartition(":")
    return ConsoleClient(f"http://{host if host not in ('', '0.0.0.0', '[::]') else '127.0.0.1'}:{port}", token)


def duration(text: str) -> float:
    """Parse a number of seconds: ``500ms``, ``5s``, ``2m`` or ``5``."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text} is no time, such as 500ms, 5s or 2m")
    return float(found[1]) * _UNITS[found[2]]
