"""Report the state of the service to systemd: ready, reloading, stopping, alive (sd_notify(3), ``Type=notify``).

Place: master.loop → HERE → the service manager's datagram socket.
Rules: without NOTIFY_SOCKET every call does nothing. The environment is cleaned, so that no worker reports for the
service. A message that cannot be sent is logged once, and the master never waits for it.
Not here: socket activation (master.sockets).
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import MutableMapping

_logger = logging.getLogger("master")


class Notifier:
    """The service manager, if there is one."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        address = environ.pop("NOTIFY_SOCKET", "")
        watchdog_us = environ.pop("WATCHDOG_USEC", "")
        watchdog_pid = environ.pop("WATCHDOG_PID", "")
        self._socket: socket.socket | None = None
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._has_failed = False
        self._watchdog_s = 0.0
        self._ping_at = 0.0
        if address[:1] not in ("@", "/"):
            return
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        if watchdog_us.isdigit() and watchdog_pid in ("", str(os.getpid())):
            self._watchdog_s = int(watchdog_us) / 1e6 / 2  # Half the time, as sd_watchdog_enabled(3) advises.

    @property
    def sockets(self) -> list[socket.socket]:
        """Return the sockets that a child must close."""
        return [self._socket] if self._socket else []

    def ready(self, status: str) -> None:
        self._send(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}\nSTATUS=Reloading settings")

    def stopping(self, status: str) -> None:
        self._send(f"STOPPING=1\nSTATUS={status}")

    def ping(self, now: float) -> float:
        """Report that the master is alive, when that is due. Returns the instant of the next ping."""
        if not self._watchdog_s:
            return float("inf")
        if now >= self._ping_at:
            self._send("WATCHDOG=1")
            self._ping_at = now + self._watchdog_s
        return self._ping_at

    def close(self) -> None:
        if self._socket:
            self._socket.close()
            self._socket = None

    def _send(self, message: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(message.encode(), self._address)
        except OSError as error:
            if not self._has_failed:
                _logger.warning("the service manager cannot be notified (%s): NOTIFY_SOCKET is stale or full", error)
            self._has_failed = True
