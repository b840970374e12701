"""One open stream as a connection: writing, keep-alive, deadlines, and its end.

Place: client is this and more; server.http.server carries it like any connection and watches its deadline.
Rules: a stream ends between two events, with a reason, except when the peer is gone or cut off. A client that takes
nothing for ``write_stall_s`` although something waits for it is cut off; one that is slow is not.
Not here: what is written (client, group).
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import zlib
from typing import TYPE_CHECKING, Final

from eventstreams.flow.group import PIECE_BYTES, Group

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventstreams.flow.bound import Bound
    from eventstreams.flow.frames import Wire
    from eventstreams.flow.hub import Hub
    from eventstreams.flow.positions import Positions
    from eventstreams.flow.projection import Projection
    from server.http.server import HttpServer
    from server.http.wheel import Timed

HIGH_WATER_BYTES: Final = PIECE_BYTES
SPARE_BYTES: Final = 65_536  # A client may send this much after its request, which is never read.
LAST_WORDS_S: Final = 5.0
DRAIN_SHARE: Final = 0.6  # Of ``drain_s``; the rest is for the last bytes.
JITTER: Final = random.Random()

_logger = logging.getLogger("eventstreams")


class OpenStream(asyncio.Protocol):
    """The connection of one client. ``on_gone`` is called once, when it is gone. ``label`` names streams and start for
    the log. It has a position of its own (``own``), or is a member of a group, which then has it."""

    __slots__ = (
        "_again_s",
        "_age_at",
        "_begun_s",
        "_bound",
        "_checksum",
        "_hub",
        "_is_over",
        "_is_paused",
        "_is_reading",
        "_is_scheduled",
        "_keepalive_at",
        "_label",
        "_left_unsent_bytes",
        "_on_gone",
        "_peer",
        "_plain_bytes",
        "_read_bytes",
        "_reason",
        "_received_bytes",
        "_server",
        "_stall_at",
        "_taken_bytes",
        "_transport",
        "bucket",
        "deadline",
        "events",
        "group",
        "own",
        "projection",
        "told_mark",
        "wire",
    )

    def __init__(
        self,
        hub: Hub,
        server: HttpServer,
        transport: asyncio.Transport,
        peer: str,
        projection: Projection,
        positions: Positions,
        wire: Wire,
        bound: Bound | None,
        label: str,
        on_gone: Callable[[], None],
    ) -> None:
        self._hub = hub
        self._server = server
        self._transport = transport
        self._peer = peer
        self._bound = bound
        self._label = label
        self._on_gone = on_gone
        self.projection = projection
        self.own: Positions | None = positions
        self.group: Group | None = None
        self.wire = wire
        self.told_mark = positions.mark  # The mark of the position that the client was told last.
        self.events = 0
        self.bucket: set[Timed] | None = None
        now = server.wheel.now
        settings = hub.settings
        self._begun_s = time.monotonic()
        self._keepalive_at = now + settings.keepalive_s * JITTER.uniform(0.9, 1.0)
        self._age_at = now + settings.max_age_s * JITTER.uniform(0.9, 1.0)
        if bound is not None and bound.at_unix_s is not None:
            self._age_at = min(self._age_at, now + max(0.0, bound.at_unix_s - time.time()))
        self._stall_at = 0.0
        self.deadline = min(self._keepalive_at, self._age_at)
        self._checksum = 0
        self._plain_bytes = 0
        self._taken_bytes = 0
        self._received_bytes = 0
        self._left_unsent_bytes = 0
        self._read_bytes = 0  # How much the last reading was, and how long to wait after one that failed (client).
        self._again_s = 0.0
        self._is_paused = self._is_reading = self._is_scheduled = self._is_over = False
        self._reason = "client"

    # Writing.

    def send(self, plain: bytes, wired: bytes) -> None:
        """Write a piece, of which ``wired`` is the form on this client's wire. The caller counts its bytes."""
        if self.wire.encoding == "gzip":
            self._checksum = zlib.crc32(plain, self._checksum)
            self._plain_bytes += len(plain)
        self._keepalive_at = self._server.wheel.now + self._hub.settings.keepalive_s
        self._taken_bytes += len(wired)
        self._transport.write(wired)

    def _write(self, plain: bytes) -> None:
        if plain:
            wired = self.wire.wrap(plain)
            self._hub.counts.sent_bytes += len(wired)
            self.send(plain, wired)

    # Ending.

    def finish(self, reason: str, why: str = "") -> None:
        """End the stream after what was written. ``why`` is told to the client as an error."""
        if self._is_over:
            return
        self._leave()
        own = self.own
        assert own is not None
        self._is_over = True
        self._reason = reason
        plain = self.wire.notice("error", {"type": reason, "title": "Stream Ended", "detail": why}) if why else b""
        if own.mark > self.told_mark and self.wire.is_sse:
            plain += self.wire.position(own.text())
        if self.wire.is_sse:
            plain += b":end %b\n\n" % reason.encode()
        self._write(plain)
        closing = self.wire.closing(self._checksum, self._plain_bytes, own.text())
        if closing:
            self._transport.write(closing)
        self.deadline = self._server.wheel.after(LAST_WORDS_S)
        self._server.wheel.add(self)
        self._transport.close()

    def on_deadline(self) -> None:
        """Act on the first deadline that has passed."""
        now = self._server.wheel.now
        if self._is_over:
            self._transport.abort()
        elif self._stall_at and now >= self._stall_at:
            self._on_stalled()
        elif now >= self._age_at:
            self.finish("done" if self._bound is not None and self._bound.has_come() else "age")
        elif now >= self._keepalive_at and not self._is_paused:
            self._keep_alive()
        self._set_deadline()

    def _set_deadline(self) -> None:
        if not self._is_over:
            keepalive_at = self._age_at if self._is_paused else self._keepalive_at
            self.deadline = min(keepalive_at, self._age_at, self._stall_at or self._age_at)

    def _watch(self) -> None:
        self._set_deadline()
        self._server.wheel.add(self)

    def _keep_alive(self) -> None:
        """Send the position if it has moved without an event, so that a client returns to it; else a comment."""
        positions = self.own if self.own is not None else self.group.positions if self.group is not None else None
        if positions is not None and positions.mark > self.told_mark:
            self.told_mark = positions.mark
            self._write(self.wire.position(positions.text()))
        else:
            self._write(self.wire.comment(b"keepalive"))
        self._keepalive_at = self._server.wheel.now + self._hub.settings.keepalive_s * JITTER.uniform(0.9, 1.0)

    def _on_stalled(self) -> None:
        unsent_bytes = self._transport.get_write_buffer_size()
        if unsent_bytes < self._left_unsent_bytes:  # Slow, but it reads.
            self._left_unsent_bytes = unsent_bytes
            self._stall_at = self._server.wheel.after(self._hub.settings.limits.write_stall_s)
            return
        self._reason = "stalled"
        self._transport.abort()

    # Called by the transport and by the server.

    def data_received(self, received: bytes) -> None:
        """Pass over what a client sends after its request, up to a limit."""
        self._received_bytes += len(received)
        if self._received_bytes > SPARE_BYTES:
            self._reason = "cut"
            self._transport.abort()

    def eof_received(self) -> bool:
        """The client has closed: nothing is sent to it any more."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget this client."""
        self._is_over = True
        if self._reason == "client" and isinstance(exc, TimeoutError):
            self._reason = "timeout"  # The kernel ended it: the peer has confirmed nothing for ``peer_timeout_s``.
        hub = self._hub
        self._forget()
        self._server.on_lost(self, self._peer)
        self._on_gone()
        hub.counts.ends[self._reason] += 1
        _logger.info(
            "a stream has ended (%s): %s; %d events and %d bytes in %.1f s",
            *(self._reason, self._label, self.events, self._taken_bytes, time.monotonic() - self._begun_s),
        )

    def drain(self, deadline: float) -> None:
        """End at some time of the drain: not all clients may return at once."""
        if not self._is_over:
            spread_s = self._hub.settings.drain_s * DRAIN_SHARE
            self._server.call_later(JITTER.uniform(0.0, spread_s), self._on_drain)

    def _on_drain(self) -> None:
        self.finish("drain")

    def is_owed(self) -> bool:
        """False: a stream may be ended at any time."""
        return False

    def abort(self) -> bool:
        """Close now. Returns whether that cuts something short."""
        if not self._is_over:
            self._reason = "cut"
        self._transport.abort()
        return not self._is_over

    # The part of it that reads on (client).

    def _leave(self) -> None:
        """Leave the group, if this is a member of one."""
        raise NotImplementedError

    def _forget(self) -> None:
        """Leave everything: this is gone."""
        raise NotImplementedError

    def pump(self) -> None:
        """Write what comes next (client)."""
        raise NotImplementedError
