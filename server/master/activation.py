"""Take the listening sockets that systemd hands over (sd_listen_fds(3)).

Place: environment and inherited descriptors → HERE → master.loop.
Rules: sockets handed over take the place of ``http.listen``, now and after every reload; they are the service
manager's, so they are never unlinked. The environment is cleaned: children are not the ones meant.
Not here: binding our own (master.sockets).
"""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

from server.errors import BindError
from server.master.sockets import MAX_SOCKETS, Listening, Sockets, adopt

FIRST_FD = 3  # SD_LISTEN_FDS_START


def take(environ: MutableMapping[str, str]) -> Sockets | None:
    """The sockets that were handed to this process, or None. Raises BindError when one cannot be served."""
    pid = environ.pop("LISTEN_PID", "")
    count = environ.pop("LISTEN_FDS", "")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdigit() or count == "0":
        return None
    if int(count) > MAX_SOCKETS:
        raise BindError(f"socket activation: {count} sockets, at most {MAX_SOCKETS} can be served")
    entries = []
    for index in range(int(count)):
        name = names[index] if index < len(names) and names[index] else f"fd {FIRST_FD + index}"
        entries.append(_take_one(FIRST_FD + index, name))
    return Sockets(entries)


def _take_one(fd: int, name: str) -> Listening:
    try:
        os.set_inheritable(fd, False)
        handed = socket.socket(fileno=fd)
        is_listening = handed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise BindError(f"socket activation: {name} is not a socket ({error.strerror})") from None
    if handed.type != socket.SOCK_STREAM or not is_listening:
        handed.close()
        raise BindError(f"socket activation: {name} is not a listening stream socket: use ListenStream=, Accept=no")
    adopt(handed)
    return Listening(f"activation:{name}", handed)
