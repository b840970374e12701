"""A service of toy workers under the real master: ``python -m tests.server.master.toy SETTINGS``.

SETTINGS is a JSON file: ``config`` as in settings.py, and ``behaviour``, one of the functions at the end of this file.
It is read again on every HUP. ``worker`` functions use no loop: the master cannot tell.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from server.config.settings import Config
from server.errors import EXIT_BOOT, BootError, SettingsError
from server.log import set_up
from server.master.generation import Role, WorkerContext
from server.master.loop import Master
from server.shared.row import READY, State
from tests.harness.running import Running


class ToyGeneration:
    """One reading of the toy's settings."""

    def __init__(self, path: Path) -> None:
        try:
            read = msgspec.json.decode(path.read_bytes())
            self.config = msgspec.convert(read["config"], Config)
        except msgspec.MsgspecError as error:
            raise SettingsError(f"{path.name}: {error}") from None
        self.behaviour = read["behaviour"]

        self.companions = [Role("toy", globals()[f"be_{read['companion']}"])] if read.get("companion") else []
        self.closed = path.with_name("closed")

    def run_worker(self, context: WorkerContext) -> int:
        """Behave as the settings say."""
        code: int = globals()[f"be_{self.behaviour}"](context)
        return code

    def adopt(self, newer: object) -> bool:
        """Only when the newer one says so."""
        return isinstance(newer, ToyGeneration) and newer.behaviour == "adopted"

    def close(self) -> None:
        """Leave a mark."""
        with self.closed.open("a") as mark:
            mark.write("x")


class Toy(Running):
    """The toy service, run by a test in a directory of its own."""

    def __init__(self, directory: Path, environ: dict[str, str] | None = None, **options: Any) -> None:
        self._settings = directory / "toy.json"
        super().__init__(["-m", "tests.server.master.toy", str(self._settings)], directory / "log", environ, **options)

    @classmethod
    def serving(cls, directory: Path, behaviour: str = "serve", /, **config: Any) -> Toy:
        """Start a service of two workers."""
        cls.write(directory, behaviour, **config)
        return cls(directory)

    @staticmethod
    def write(directory: Path, behaviour: str = "serve", /, *, companion: str | None = None, **config: Any) -> None:
        """Settings for now or for the next HUP.

        Patient ones: on a busy machine nobody must be taken for late who is not. A test that wants somebody late says
        which time is short, so that all others stay long.
        """
        http = {"listen": [f"unix:{directory}/socket"]} | config.pop("http", {})
        process = {"beat_s": 0.05, "late_s": 30.0, "abort_s": 30.0, "boot_s": 30.0} | config.pop("process", {})
        config = {"workers": 2, "drain_s": 30.0, "http": http, "process": process} | config
        (directory / "toy.json").write_bytes(
            msgspec.json.encode({"behaviour": behaviour, "companion": companion, "config": config})
        )

    def ask(self, path: str) -> str:
        """Connect, and return what the worker says: ``pid slot generation``."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(60.0)
            client.connect(path)
            return client.recv(100).decode()


def _serve(context: WorkerContext, drain_s: float = 0.0, live_s: float = 1e9) -> int:
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: told.append(number))
    end = time.monotonic() + live_s
    context.row.set_state(READY)
    while not told and not context.is_orphan() and time.monotonic() < end:
        context.row.beat()
        for ready in select.select(context.sockets, (), (), 0.01)[0]:
            _answer(ready, context)
    context.row.set_state(State.DRAINING)
    for index, listening in enumerate(context.sockets):
        while context.row.is_last_call(index) and _answer(listening, context):
            pass
    if signal.SIGINT not in told:
        end = time.monotonic() + drain_s
        while time.monotonic() < end:
            context.row.beat()
            time.sleep(0.01)
    return 0


def _answer(listening: socket.socket, context: WorkerContext) -> bool:
    try:
        connection, _ = listening.accept()
    except BlockingIOError:
        return False
    with connection:
        connection.send(f"{os.getpid()} {context.slot} {context.generation}".encode())
    return True


def be_serve(context: WorkerContext) -> int:
    return _serve(context)


def be_a_companion(context: WorkerContext) -> int:
    print(f"companion {os.getpid()} runs with {len(context.sockets)} sockets", file=sys.stderr)
    return _serve(context)


def be_slow_to_drain(context: WorkerContext) -> int:
    return _serve(context, drain_s=0.5)


def be_never_drained(context: WorkerContext) -> int:
    return _serve(context, drain_s=600.0)


def be_short_lived(context: WorkerContext) -> int:
    return _serve(context, live_s=0.0)


def be_stuck(context: WorkerContext) -> int:
    context.row.set_state(READY)
    return this_loop_is_stuck()


def this_loop_is_stuck() -> int:
    """Named so that it is found in a dump of the stack."""
    while True:
        time.sleep(0.1)


def be_deaf(context: WorkerContext) -> int:
    """Stuck, and ABRT does not end it."""
    signal.signal(signal.SIGABRT, signal.SIG_IGN)
    return be_stuck(context)


def be_crashing(context: WorkerContext) -> int:
    context.row.set_state(READY)
    os.kill(os.getpid(), signal.SIGSEGV)
    return 0


def be_buggy(context: WorkerContext) -> int:
    raise ZeroDivisionError


def be_unbootable(context: WorkerContext) -> int:
    return EXIT_BOOT


def be_half_bootable(context: WorkerContext) -> int:
    if context.slot == 1:
        raise BootError("the sink's directory is not writable")
    return _serve(context)


def be_bootable_once(context: WorkerContext) -> int:
    """The second worker of slot 1 cannot boot."""
    mark = Path(sys.argv[1]).with_name("mark")
    if context.slot == 1:
        if mark.exists():
            raise BootError("the disk is full")
        mark.touch()
    return _serve(context)


def be_never_ready(context: WorkerContext) -> int:
    return this_loop_is_stuck()


def on_ready(generation: Any, _addresses: list[str]) -> None:
    """A bug of the program that the master serves, in one of its behaviours."""
    if generation.behaviour == "serve_with_a_bug":
        raise ZeroDivisionError("told that all are ready")


def be_serve_with_a_bug(context: WorkerContext) -> int:
    return _serve(context)


if __name__ == "__main__":
    set_up("info", "text")
    try:
        sys.exit(Master(lambda: ToyGeneration(Path(sys.argv[1])), on_ready=on_ready).run())
    except SettingsError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
