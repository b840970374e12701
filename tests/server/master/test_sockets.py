"""Binding, holding and letting go of listening sockets."""

from __future__ import annotations

import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from server.errors import BindError, SettingsError
from server.master.sockets import Sockets, bind


@contextmanager
def bound(*listen: str, held: Sockets | None = None) -> Iterator[Sockets]:
    sockets = bind(listen, 16, held)
    try:
        yield sockets
    finally:
        sockets.close()


def test_port_0_is_shown_as_the_port_that_the_kernel_chose() -> None:
    with bound("127.0.0.1:0") as sockets:
        port = sockets.sockets()[0].getsockname()[1]

        assert port
        assert sockets.labels() == [f"http://127.0.0.1:{port}"]


def test_accepted_sockets_have_no_delay_without_a_call_of_their_own() -> None:
    with bound("127.0.0.1:0") as sockets, socket.create_connection(sockets.sockets()[0].getsockname()):
        sockets.sockets()[0].setblocking(True)
        connection, _ = sockets.sockets()[0].accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_taken_port_is_refused_with_address_reason_and_hint() -> None:
    with bound("127.0.0.1:0") as sockets:
        spec = f"127.0.0.1:{sockets.sockets()[0].getsockname()[1]}"
        with pytest.raises(BindError) as refused:
            bind([spec], 16)

        assert refused.value.exit_code == 4
        assert str(refused.value).startswith(f"cannot listen on {spec}: Address already in use; another process")


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("192.0.2.1:0", "no interface of this machine has that address"),
        ("unix:/nowhere/at/all", "the directory does not exist"),
        ("unix:/" + "x" * 200, "107 bytes at most"),
        ("no.such.host.invalid:80", "cannot be resolved"),
    ],
)
def test_an_address_that_cannot_be_had_is_refused_with_a_hint(spec: str, reason: str) -> None:
    with pytest.raises(BindError, match=reason):
        bind([spec], 16)


def test_a_unix_socket_has_its_mode_and_goes_with_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with bound(f"unix:{path}?mode=600") as sockets:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert sockets.labels() == [f"unix:{path}"]
    assert not path.exists()


def test_a_stale_unix_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    with bound(f"unix:{path}"), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_unix_socket_in_use_and_a_plain_file_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with bound(f"unix:{tmp_path}/socket"):
        with pytest.raises(BindError, match="already in use"):
            bind([f"unix:{tmp_path}/socket"], 16)
        with pytest.raises(BindError, match="not a socket is in the way"):
            bind([f"unix:{tmp_path}/file"], 16)

    assert (tmp_path / "file").read_text() == "mine"


def test_a_socket_file_that_somebody_else_has_made_since_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with bound(f"unix:{path}"):
        path.unlink()
        path.write_text("another")
    assert path.read_text() == "another"


def test_an_abstract_socket_leaves_no_file(tmp_path: Path) -> None:
    with bound(f"unix:@{tmp_path}") as sockets, socket.socket(socket.AF_UNIX) as client:
        client.connect(f"\0{tmp_path}")

        assert sockets.labels() == [f"unix:@{tmp_path}"]


def test_a_new_set_shares_what_both_name_and_knows_what_it_lacks(tmp_path: Path) -> None:
    first, second, third = (f"unix:{tmp_path}/{name}" for name in "123")
    with bound(first, second) as old:
        new = bind([second, third], 16, old)

        assert new.entries[0] is old.entries[1]
        assert old.missing_in(new) == 0b01
        old.close(keep=new)
        assert [path.name for path in sorted(tmp_path.iterdir())] == ["2", "3"]
        new.close()


@pytest.mark.parametrize("wrong", ["unix:/nowhere/at/all", "nonsense"])
def test_a_set_that_cannot_be_bound_whole_leaves_no_trace(tmp_path: Path, wrong: str) -> None:
    with pytest.raises((BindError, SettingsError)):
        bind([f"unix:{tmp_path}/socket", wrong], 16)

    assert list(tmp_path.iterdir()) == []
