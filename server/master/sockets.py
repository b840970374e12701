"""Bind and hold the listening sockets of the service; the workers accept from them.

Place: config.addresses → HERE → http.listener (by fork).
Rules: the master holds a socket as long as its address is in the settings, so its queue outlives every worker. A new
set is bound whole before anything is closed, and what both sets name is the same socket. Nothing is accepted here.
Not here: who accepts, and when (http.listener); sockets handed over by systemd (master.activation).
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Sequence
from pathlib import Path

from server.config.addresses import TcpAddress, UnixAddress, parse
from server.errors import BindError, PenstockError

MAX_SOCKETS = 62  # Each has one bit in WorkerRow.set_last_call.

_HINTS = {
    errno.EADDRINUSE: "another process listens there: stop it (`ss -ltnp` names it) or choose another address, "
    """such as by --set 'http.listen=["127.0.0.1:8292"]' or --set admin.listen=127.0.0.1:8293""",
    errno.EACCES: "a port below 1024 needs CAP_NET_BIND_SERVICE, and a path needs write permission in its directory",
    errno.EADDRNOTAVAIL: "no interface of this machine has that address: `ip addr` lists its addresses",
    errno.EAFNOSUPPORT: "this machine does not support that kind of address",
    errno.ENOENT: "the directory does not exist: make it first",
    errno.ENOTSOCK: "a file that is not a socket is in the way: move it",
    errno.ENAMETOOLONG: "a socket's path has 107 bytes at most",
}


class Listening:
    """One listening socket. ``inode`` is the identity of its file, if it has one that this process must remove."""

    __slots__ = ("inode", "path", "socket", "spec")

    def __init__(self, spec: str, listening: socket.socket, path: str = "") -> None:
        self.spec = spec
        self.socket = listening
        self.path = path
        self.inode = _inode(path) if path else None

    def label(self) -> str:
        """Return the address for clients: ``http://127.0.0.1:8192``, ``unix:/run/penstock.sock``."""
        name = self.socket.getsockname()
        if self.socket.family == socket.AF_INET6:
            return f"http://[{name[0]}]:{name[1]}"
        if self.socket.family == socket.AF_INET:
            return f"http://{name[0]}:{name[1]}"
        return f"unix:@{name[1:].decode(errors='replace')}" if isinstance(name, bytes) else f"unix:{name}"

    def close(self) -> None:
        """Close the descriptor, and remove the file unless another process has replaced it."""
        self.socket.close()
        if self.inode is not None and _inode(self.path) == self.inode:
            Path(self.path).unlink(missing_ok=True)


class Sockets:
    """The listening sockets of one generation, in the order of the settings."""

    def __init__(self, entries: Sequence[Listening]) -> None:
        self.entries = list(entries)

    def sockets(self) -> list[socket.socket]:
        return [entry.socket for entry in self.entries]

    def labels(self) -> list[str]:
        return [entry.label() for entry in self.entries]

    def missing_in(self, other: Sockets) -> int:
        """Return a number whose bit n is set when the n-th socket is not in the other set (WorkerRow.set_last_call)."""
        return sum(1 << index for index, entry in enumerate(self.entries) if entry not in other.entries)

    def close(self, keep: Sockets | None = None) -> None:
        """Close the sockets, except those that the set ``keep`` has too."""
        for entry in self.entries:
            if keep is None or entry not in keep.entries:
                entry.close()


def bind(listen: Sequence[str], backlog: int, held: Sockets | None = None) -> Sockets:
    """Bind the addresses in ``listen``; an address that ``held`` has too keeps its sockets.

    Raises BindError or SettingsError; then nothing has changed.
    """
    entries: list[Listening] = []
    fresh: list[Listening] = []
    try:
        for spec in dict.fromkeys(listen):
            known = [entry for entry in held.entries if entry.spec == spec] if held else []
            if not known:
                address = parse(spec)
                known = _bind_tcp(address, backlog) if isinstance(address, TcpAddress) else _bind_unix(address, backlog)
                fresh += known
            entries += known
        if len(entries) > MAX_SOCKETS:
            raise BindError(f"http.listen: {len(entries)} sockets, at most {MAX_SOCKETS} can be served")
    except PenstockError:
        Sockets(fresh).close()
        raise
    for entry in entries:
        entry.socket.listen(backlog)  # Held sockets listen again, because the number may have changed.
    return Sockets(entries)


def _bind_tcp(address: TcpAddress, backlog: int) -> list[Listening]:
    """Bind a socket for each address of the host. An address that the machine lacks is skipped if another works."""
    try:
        found = socket.getaddrinfo(address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise BindError(f"cannot listen on {address.spec}: the host name cannot be resolved ({error})") from None
    bound: list[Listening] = []
    lacking: OSError | None = None
    for family, _, _, _, place in dict.fromkeys(found):
        try:
            listening = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            lacking = error
            continue
        try:
            # Connections in TIME_WAIT must not prevent a start.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind(place)
            _listen(listening, backlog)
        except OSError as error:
            listening.close()
            if error.errno != errno.EADDRNOTAVAIL:
                Sockets(bound).close()
                raise _bind_error(address.spec, error) from None
            lacking = error
        else:
            bound.append(Listening(address.spec, listening))
    if not bound and lacking:
        raise _bind_error(address.spec, lacking)
    return bound


def _bind_unix(address: UnixAddress, backlog: int) -> list[Listening]:
    """Bind a socket in the file system, with its mode from the first moment on, or an abstract one."""
    is_abstract = address.path.startswith("@")
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if is_abstract:
            listening.bind("\0" + address.path[1:])
        else:
            _remove_stale(address.path)
            umask = os.umask(0o777 & ~address.mode)
            try:
                listening.bind(address.path)
            finally:
                os.umask(umask)
        _listen(listening, backlog)
    except OSError as error:
        listening.close()
        too_long = OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        raise _bind_error(address.spec, error if error.errno else too_long) from None
    return [Listening(address.spec, listening, "" if is_abstract else address.path)]


def _remove_stale(path: str) -> None:
    """Remove a socket file without a listener. Raises OSError when a process listens on it, or when it is no socket."""
    try:
        mode = Path(path).lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.ENOTSOCK, "the path is taken")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        if probe.connect_ex(path) != errno.ECONNREFUSED:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    Path(path).unlink()


def _listen(listening: socket.socket, backlog: int) -> None:
    listening.listen(backlog)
    adopt(listening)


def adopt(listening: socket.socket) -> None:
    """Set the options of a listening socket. Accepted sockets inherit TCP_NODELAY, which saves a call for each."""
    listening.setblocking(False)
    if listening.family != socket.AF_UNIX:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _bind_error(spec: str, error: OSError) -> BindError:
    hint = _HINTS.get(error.errno or 0, "choose another address in http.listen")
    return BindError(f"cannot listen on {spec}: {error.strerror}; {hint}")


def _inode(path: str) -> tuple[int, int] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
