"""Type=notify and socket activation, spoken over real sockets to the toy service."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.errors import BindError
from server.master import activation
from server.master.notify import Notifier
from tests.server.master.toy import Toy

# systemd gives the descriptor the number 3 and names the process that it is meant for.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="events")
os.execv(sys.executable, [sys.executable, "-m", "tests.server.master.toy", sys.argv[2]])
"""


@pytest.fixture(params=["file", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A service manager's socket and its NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.settimeout(60.0)
        name = f"{tmp_path}/notify"
        receiver.bind(name if request.param == "file" else f"\0{name}")
        yield receiver, name if request.param == "file" else f"@{name}"


def received(receiver: socket.socket, wanted: str) -> dict[str, str]:
    """The next message that has this variable."""
    while True:  # The socket has a time-out.
        message = dict(line.split("=", 1) for line in receiver.recv(4096).decode().split("\n"))
        if wanted in message:
            return message


def test_the_service_manager_hears_of_ready_reload_watchdog_and_stop(
    tmp_path: Path, manager: tuple[socket.socket, str]
) -> None:
    receiver, address = manager
    Toy.write(tmp_path)
    with Toy(tmp_path, {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "200000"}) as toy:
        ready = received(receiver, "READY")
        before_us = time.monotonic_ns() // 1000
        toy.signal(signal.SIGHUP)
        reloading = received(receiver, "RELOADING")
        again = received(receiver, "READY")
        watchdog = received(receiver, "WATCHDOG")
        toy.signal(signal.SIGTERM)
        stopping = received(receiver, "STOPPING")

        assert ready["STATUS"].startswith("Ready: generation 1, 2 workers on unix:")
        assert int(reloading["MONOTONIC_USEC"]) >= before_us
        assert again["STATUS"].startswith("Ready: generation 2")
        assert watchdog == {"WATCHDOG": "1"}
        assert stopping["STOPPING"] == "1"
        assert toy.exit_code() == 0


def test_ready_comes_when_all_workers_are(tmp_path: Path, manager: tuple[socket.socket, str]) -> None:
    """A service that cannot boot never says it."""
    receiver, address = manager
    Toy.write(tmp_path, "half_bootable")
    with Toy(tmp_path, {"NOTIFY_SOCKET": address}) as toy:
        assert toy.exit_code() == 5
        assert "READY" not in received(receiver, "STATUS")


def test_a_refused_reload_is_ready_again_with_the_reason(tmp_path: Path, manager: tuple[socket.socket, str]) -> None:
    """systemctl reload would wait for ever otherwise."""
    receiver, address = manager
    Toy.write(tmp_path)
    with Toy(tmp_path, {"NOTIFY_SOCKET": address}) as toy:
        received(receiver, "READY")
        (tmp_path / "toy.json").write_text("{")
        toy.signal(signal.SIGHUP)

        assert received(receiver, "READY")["STATUS"].startswith("Reload refused: toy.json")


def test_the_environment_is_cleaned_and_a_foreign_watchdog_ignored(tmp_path: Path) -> None:
    """Workers must not speak for the service; WATCHDOG_PID may mean another process."""
    environ = {"NOTIFY_SOCKET": f"{tmp_path}/x", "WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1", "OTHER": "stays"}
    notifier = Notifier(environ)

    assert environ == {"OTHER": "stays"}
    assert notifier.ping(0.0) == float("inf")
    notifier.close()


def test_a_manager_that_is_gone_is_complained_about_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": f"{tmp_path}/gone"})
    for _ in range(3):
        notifier.ready("Ready")
    notifier.close()

    assert len(caplog.records) == 1


def test_a_socket_handed_over_is_served_across_a_reload(tmp_path: Path) -> None:
    """It takes the place of http.listen, and its file is left to the service manager."""
    path = tmp_path / "activated"
    Toy.write(tmp_path)
    with socket.socket(socket.AF_UNIX) as handed:
        handed.bind(str(path))
        handed.listen()
        with Activated(tmp_path, handed.fileno()) as toy:
            toy.says(f"ready: generation 1, 2 workers on unix:{path}")
            assert toy.ask(str(path)).endswith(" 1")
            toy.signal(signal.SIGHUP)
            toy.says("ready: generation 2")
            toy.until(lambda: toy.ask(str(path)).endswith(" 2"))
            toy.signal(signal.SIGTERM)
            assert toy.exit_code() == 0
    assert path.exists()
    assert not (tmp_path / "socket").exists()


class Activated(Toy):
    """The toy service, started as systemd would with one socket."""

    def __init__(self, directory: Path, fd: int) -> None:
        self._settings = directory / "toy.json"
        super(Toy, self).__init__(["-c", ACTIVATE, str(fd), str(self._settings)], directory / "log", pass_fds=[fd])


def test_sockets_meant_for_another_process_are_not_taken() -> None:
    environ = {"LISTEN_PID": str(os.getppid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "a"}

    assert activation.take(environ) is None
    assert environ == {}


def test_what_is_not_a_listening_stream_socket_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as wrong:
        monkeypatch.setattr(activation, "FIRST_FD", os.dup(wrong.fileno()))
        with pytest.raises(BindError, match="socket activation: intake is not a listening stream socket"):
            activation.take({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "intake"})
