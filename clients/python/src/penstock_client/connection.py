"""Make requests over blocking sockets, each within a deadline. One connection per address is kept open."""

from __future__ import annotations

import select
import socket
import sys
import time
from urllib.parse import urlsplit

from penstock_client.decisions import Failure
from penstock_client.http1 import AnswerReader, BadAnswer, request_bytes
from penstock_client.jobs import Failed, Job, Result
from penstock_client.options import Options
from penstock_client.resolving import resolve

IDLE_S = (
    20.0  # Intakes and proxies close what idles for longer; a request into a closed connection has no clear outcome.
)
# To poll a socket lets other threads have the interpreter, and waits up to 5 ms to have it back. Of a connection that
# was used a moment ago only its state is read, which needs no such wait where the kernel has it.
BUSY_S = 0.05
ESTABLISHED = 1  # Of Linux's struct tcp_info, whose first byte is the state.
MAX_CONNECT_S = 5.0
READ_BYTES = 64 << 10


class Connections:
    """The connections of one thread of control."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._context = options.ssl_context
        self._open: dict[tuple[str, str], tuple[socket.socket, float]] = {}

    def attempt(self, job: Job, deadline_s: float) -> Result:
        """As ``run``, with an exception as the result instead of raising it."""
        try:
            return self.run(job, deadline_s)
        except Exception as error:
            return error

    def run(self, job: Job, deadline_s: float) -> Result:
        """Make the request; return the answer, or how it failed, soon after the deadline (``time.monotonic``)."""
        method, headers, body = job.render()
        parts = urlsplit(job.url)
        place = parts.scheme, parts.netloc
        request = request_bytes(method, job.url, headers, body)
        try:
            connection = self._reuse(place) or self._connect(place, deadline_s)
        except OSError as error:
            return why(error)
        failure: Failure = "reset"
        reader = AnswerReader()
        keeps = False
        try:
            _bound(connection, deadline_s)
            connection.sendall(request)
            while reader.answer is None:
                _bound(connection, deadline_s)
                reader.feed(connection.recv(READ_BYTES))
            keeps = reader.keeps
        except TimeoutError:
            failure = "timeout"
        except (OSError, BadAnswer):
            failure = "reset"
        finally:
            if keeps:
                self._open[place] = connection, time.monotonic()
            else:
                connection.close()
        return reader.answer or failure

    def close(self) -> None:
        """Close what idles."""
        while self._open:
            self._open.popitem()[1][0].close()

    def _reuse(self, place: tuple[str, str]) -> socket.socket | None:
        kept = self._open.pop(place, None)
        if kept is None:
            return None
        connection, since_s = kept
        idle_s = time.monotonic() - since_s
        if idle_s < IDLE_S and _is_usable(connection, idle_s):
            return connection
        connection.close()
        return None

    def _connect(self, place: tuple[str, str], deadline_s: float) -> socket.socket:
        parts = urlsplit(f"{place[0]}://{place[1]}")
        is_secure = parts.scheme == "https"
        host = parts.hostname or ""
        deadline_s = min(deadline_s, time.monotonic() + MAX_CONNECT_S)
        error: OSError = OSError("no address")
        for family, address in resolve(host, parts.port or (443 if is_secure else 80), deadline_s):
            connection = socket.socket(family, socket.SOCK_STREAM)
            try:
                connection.settimeout(_left(deadline_s))
                connection.connect(address)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return self._secured(connection, host, deadline_s) if is_secure else connection
            except OSError as failed:  # TLS errors and time-outs are OSErrors too.
                connection.close()
                error = failed
        raise error

    def _secured(self, connection: socket.socket, host: str, deadline_s: float) -> socket.socket:
        if self._context is None:
            import ssl

            self._context = ssl.create_default_context()
        connection.settimeout(_left(deadline_s))
        return self._context.wrap_socket(connection, server_hostname=host)


def why(error: OSError) -> Failed:
    """Return what kept a connection from being made."""
    ssl = sys.modules.get("ssl")
    if ssl is not None and isinstance(error, ssl.SSLError):  # Such as a certificate that is not trusted.
        return Failed("tls", f"TLS: {getattr(error, 'verify_message', '') or error}")
    return Failed("connect", str(error) or "no answer in time")


def _is_usable(connection: socket.socket, idle_s: float) -> bool:
    if idle_s < BUSY_S and sys.platform == "linux":
        return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == ESTABLISHED
    return not _is_readable(connection)  # Bytes that were not asked for are the end of the connection, or nonsense.


def _is_readable(connection: socket.socket) -> bool:
    if not hasattr(select, "poll"):
        return bool(select.select([connection], [], [], 0)[0])
    poll = select.poll()  # Not select(): its descriptors end at 1,023.
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def _bound(connection: socket.socket, deadline_s: float) -> None:
    """Let the next call on a connection take until the deadline, or a hundredth longer: to set its time-out takes a
    system call, and another thread may have the interpreter meanwhile. One that fits is left."""
    left_s = _left(deadline_s)
    set_s = connection.gettimeout()
    if set_s is None or not left_s <= set_s <= left_s * 1.01:
        connection.settimeout(left_s * 1.005)


def _left(deadline_s: float) -> float:
    """Return the time to the deadline, for ``settimeout``: zero would mean not to block at all."""
    left_s = deadline_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the deadline has passed")
    return left_s
