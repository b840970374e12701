"""``penstock dev``: the service with its console, and schemas and streams that are used as soon as they are saved.

Place: __main__ → HERE, a process above the master → ``penstock serve`` below it.
Rules: a change is checked first, as ``penstock check`` does. If it can be used, the service reads its settings again;
else the old ones stay in force, and the fault is shown in the terminal and on the page until it is mended. A signal to
this process reaches the service.
Not here: serving (commands.serve), how a reload works (master.succession).
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType

from server.commands import check
from server.commands.support.console_options import client_of
from server.commands.support.options import add_settings
from server.commands.support.output import say
from server.config.load import load
from server.config.urls import is_url
from server.console.client import ConsoleClient, ConsoleError
from server.errors import PenstockError, SettingsError
from server.schemas.repository import fingerprint

LOOK_S = 0.3
DEVELOPMENT = ("console.enabled=true", "console.mode=development")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    add_settings(parser)
    parser.set_defaults(run=_run, console=None, token=None)


def _run(options: argparse.Namespace) -> int:
    options.set = [*DEVELOPMENT, *options.set]
    files = ["-c", str(options.config)] if options.config else []
    overrides = [part for text in options.set for part in ("--set", text)]
    service = subprocess.Popen([sys.executable, "-m", "server", "serve", *files, *overrides])
    over = threading.Event()

    def pass_on(number: int, _: FrameType | None) -> None:
        if service.poll() is None:
            service.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, pass_on)
    watcher = threading.Thread(target=_watch, args=(options, service, over), daemon=True)
    watcher.start()
    try:
        return service.wait()
    finally:
        over.set()


def _watch(options: argparse.Namespace, service: subprocess.Popen[bytes], over: threading.Event) -> None:
    """Look for changes until the service ends."""
    before = state_of(options.config, options.set)
    client = _console_of(options)
    while not over.wait(LOOK_S):
        state = state_of(options.config, options.set)
        if state == before:
            continue
        before = state
        fault = fault_of(options.config, options.set)
        client = _console_of(options) or client  # With settings that cannot be read, the last ones are in force.
        _show(client, fault)
        if fault:
            say(f"\npenstock: the change cannot be used; the service goes on as before\n{fault}")
        elif service.poll() is None:
            service.send_signal(signal.SIGHUP)


def state_of(config: Path | None, overrides: list[str]) -> str:
    """Return a text that changes when a schema, a stream or the settings do."""
    try:
        loaded = load(config, overrides, os.environ)
    except SettingsError as error:
        return f"{_stamp(config) if config else ''} {error}"
    streams = [loaded.base_dir / text for text in loaded.config.streams.sources if not is_url(text)]
    stamps = [_stamp(path) for path in (*([config] if config else []), *streams)]
    return " ".join([fingerprint(loaded.config.schemas, loaded.base_dir), *stamps])


def _stamp(path: Path) -> str:
    try:
        found = path.stat()
    except OSError as error:
        return str(error.errno)
    return f"{found.st_mtime_ns} {found.st_size} {found.st_ino}"


def fault_of(config: Path | None, overrides: list[str]) -> str:
    """Return what ``penstock check`` says of settings that cannot be used; "" if they can."""
    said = io.StringIO()
    return said.getvalue().strip() if check.run(config, overrides, out=said) else ""


def _console_of(options: argparse.Namespace) -> ConsoleClient | None:
    """Return the console of these settings; None if they cannot be used, or it has no fixed port."""
    try:
        return client_of(options)
    except PenstockError:
        return None


def _show(client: ConsoleClient | None, fault: str) -> None:
    """Show a fault on the page, or take it away."""
    if client is None:
        return
    try:
        client.ask("PUT", "/notice", {"text": fault, "is_error": bool(fault)})
    except ConsoleError as error:
        if fault:
            say(f"penstock: the page cannot be told: {error}")
