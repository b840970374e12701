"""``penstock key NAME``: make an API key, and the entry for a key file.

Place: a command of its own; its entry is printed, or appended to one of ``auth.key_files`` with ``--file``.
Rules: the key is shown once, on standard error; standard output and the file have its hash alone. A file that would be
refused with the entry stays as it is.
Not here: the form of a key (auth.api_keys), further members of its entry (auth.key_entries).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TextIO

from server.auth.api_keys import hashed, new_key
from server.config.auth_settings import KEY_NAME
from server.config.framework import document
from server.errors import EXIT_DONE, SettingsError, UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("name", metavar="NAME", help="the holder of the key")
    parser.add_argument("--hash", action="store_true", help="make no key, but read one from standard input")
    parser.add_argument("--file", type=Path, metavar="FILE", help="append the entry to this key file; made if absent")
    parser.set_defaults(run=lambda options: run(options.name, is_given=options.hash, file=options.file))


def run(
    name: str,
    *,
    is_given: bool,
    file: Path | None = None,
    given: TextIO | None = None,
    out: TextIO | None = None,
    secret: TextIO | None = None,
) -> int:
    """Make a key, or read one from standard input if ``is_given``, and print its entry or append it to ``file``. Raises
    UsageError."""
    if not KEY_NAME.fullmatch(name):
        raise UsageError("a key's name has 1 to 64 letters, digits, '.', '_', '-'. Name who holds the key")
    key = (sys.stdin if given is None else given).readline().strip() if is_given else new_key()
    try:
        kept = hashed(key)
    except ValueError as error:
        raise UsageError(f"the text on standard input {error}") from None
    entry = [f"- name: {name}", f'  hash: "{kept}"']
    if file is not None:
        _append(file, entry)  # Before the key is shown: a key without an entry would be of no use.
    if not is_given:
        then = "Write this into one of auth.key_files, at the end, then send HUP:\n"
        if file is not None:
            then = f"{file} has its entry. If auth.key_files names the file, send HUP."
        print(
            f"The key of {name}, shown this once. Give it to its owner alone:\n\n  {key}\n\n{then}",
            file=sys.stderr if secret is None else secret,
            flush=True,
        )
    if file is None:
        print(*entry, sep="\n", file=sys.stdout if out is None else out)
    return EXIT_DONE


def _append(path: Path, entry: list[str]) -> None:
    """Append an entry with the indentation of the list that the file holds. Raises UsageError, and SettingsError for a
    file that could not be used before."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    count, indentation = 0, ""
    if text.strip():
        before = document.parse(text, str(path), list_key="keys")
        keys = before.value.get("keys")
        if isinstance(keys, list) and keys:
            count = len(keys)
            line = text.splitlines()[before.origin(("keys", 0))[1] - 1]
            indentation = line[: len(line) - len(line.lstrip(" "))]
    whole = "\n".join([*([text.rstrip("\n")] if text else []), *(indentation + line for line in entry)]) + "\n"
    try:
        after = document.parse(whole, str(path), list_key="keys").value.get("keys")
    except SettingsError:
        after = None
    if not isinstance(after, list) or len(after) != count + 1:
        raise UsageError(f"{path}: an entry cannot be appended here. Write the keys as a list, each below `- name:`")
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(whole, encoding="utf-8")
        if text:
            beside.chmod(path.stat().st_mode & 0o777)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
