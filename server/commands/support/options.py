"""Options that several commands share, and the kinds of numbers that options take.

Place: HERE → the ``arguments`` of each command.
Rule: a value that no command could use is refused by argparse, which names the option and exits with 2.
Not here: the options of a single command.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add ``-c FILE`` and ``--set A.B=VALUE``, as ``config`` and ``set``."""
    parser.add_argument("-c", "--config", type=Path, metavar="FILE", help="settings; without it the embedded default")
    parser.add_argument(
        "--set", type=override, action="append", default=[], metavar="A.B=VALUE", help="override one setting"
    )


def override(text: str) -> str:
    """Check that an override has the form ``a.b=value``; what it sets is checked with the settings."""
    name, equals, _ = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text} is not of the form a.b=value. Write --set http.backlog=2048")
    return text


def minutes(text: str) -> float:
    """Parse a number of minutes: more than none, a day at most."""
    number = float(text)
    if not 0 < number <= 24 * 60:
        raise argparse.ArgumentTypeError(f"{text} is not a number of minutes above 0 and up to {24 * 60}")
    return number


def positive(text: str) -> float:
    """Parse a number above zero, a billion at most."""
    number = float(text)
    if not 0 < number <= 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not above 0 and up to {1e9:g}")
    return number


def whole(text: str) -> int:
    """Parse a whole number above zero, 2^30 at most."""
    number = int(text)
    if not 0 < number <= 1 << 30:
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and {1 << 30}")
    return number
