"""``penstock key NAME``: make an API key, and the entry for a key file.

Place: a command of its own; what it prints is appended to one of ``auth.key_files``.
Rule: the key is shown once, on standard error; standard output, which ends up in files, has its hash alone.
Not here: the form of a key (auth.api_keys), further members of its entry (auth.key_entries).
"""

from __future__ import annotations

import argparse
import sys
from typing import TextIO

from server.auth.api_keys import hashed, new_key
from server.config.auth_settings import KEY_NAME
from server.errors import EXIT_DONE, UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("name", metavar="NAME", help="the holder of the key")
    parser.add_argument("--hash", action="store_true", help="make no key, but read one from standard input")
    parser.set_defaults(run=lambda options: run(options.name, is_given=options.hash))


def run(
    name: str,
    *,
    is_given: bool,
    given: TextIO | None = None,
    out: TextIO | None = None,
    secret: TextIO | None = None,
) -> int:
    """Make a key, or read one from standard input if ``is_given``, and print its entry. Raises UsageError."""
    if not KEY_NAME.fullmatch(name):
        raise UsageError("a key's name has 1 to 64 letters, digits, '.', '_', '-'. Name who holds the key")
    key = (sys.stdin if given is None else given).readline().strip() if is_given else new_key()
    try:
        kept = hashed(key)
    except ValueError as error:
        raise UsageError(f"the text on standard input {error}") from None
    if not is_given:
        print(
            f"The key of {name}, shown this once. Give it to its owner alone:\n\n  {key}\n\n"
            "Write this into one of auth.key_files, at the end, then send HUP:\n",
            file=sys.stderr if secret is None else secret,
            flush=True,
        )
    print(f'- name: {name}\n  hash: "{kept}"', file=sys.stdout if out is None else out)
    return EXIT_DONE
