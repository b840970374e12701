"""Decompress a body before its handler sees it: gzip, deflate, br, zstd.

Place: http.reader → http.head.bad_encoding; http.around.request_rate → HERE → the handler of the route, which gets a
plain body.
Rules:
1. Output is made piece by piece and counted: against ``max_decompressed_bytes``, against ``max_ratio`` times the bytes
   that were sent, and as bytes in flight, of the worker and of the client. A bomb is refused as soon as it shows.
2. A body that is not done at once continues in the turns of its client (server.timing.turns). A decoder of br or zstd
   may hold a window of 16 MiB, however small its body is, so only ``MAX_WIDE`` of them may last longer than a turn.
   Another one that is not done by then begins again in a later turn.
3. The streams must fill the body to its end; any other body is damaged and answered with 400.
4. A body that no client waits for is not decompressed: the client sends too often (http.around.request_rate), or has
   disconnected meanwhile.
Not here: the decoders (http.around.decoders), which encodings are supported (http.around.content), bodies that are too
large as sent (http.reader).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from server.http.around import decoders
from server.http.around.decoders import (
    IN_BYTES,
    MAX_STREAMS,
    WINDOW_LOG,
    DamagedError,
    Decoder,
    ManyStreamsError,
    WideWindowError,
)
from server.http.around.refused_kinds import not_compressed
from server.http.around.request_rate import behind
from server.http.limits import REQUEST_BYTES, RequestLimits
from server.http.problem import INTERNAL, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from server.http.protocol import Connection
    from server.http.request import Request
    from server.http.routes import Handler
    from server.http.server import HttpServer
    from server.timing.turns import Turns

SLICE_S: Final = 0.001
RATIO_FROM_BYTES: Final = 65_536  # Fewer decompressed bytes than this are no bomb, whatever their ratio.
MAX_WIDE: Final = 3

DAMAGED: Final = Refusal(
    400,
    "The body does not match its Content-Encoding: it is damaged, cut off, or followed by other bytes. Send "
    "whole compressed streams and nothing behind them.",
)
MANY_STREAMS: Final = Refusal(
    413, f"The body is made of more than {MAX_STREAMS} compressed streams. Compress it as one.", kind="body"
)
WIDE_WINDOW: Final = Refusal(
    400,
    f"The zstd body asks for a window of more than {(1 << WINDOW_LOG) >> 20} MiB, and a larger one is not taken "
    "(RFC 9659). Compress it at a lower level and without a long window.",
)


class Decompressor:
    """Wraps handlers of one worker so that they get plain bodies, and counts its wide decoders."""

    def __init__(self, clock: Callable[[], float], server: HttpServer, bounds: RequestLimits, turns: Turns) -> None:
        self.clock = clock
        self.server = server
        self.bounds = bounds
        self.wide = 0  # How many decoders hold a window between two turns.
        self._turns = turns

    def before(self, handler: Handler, encoding: str) -> Handler:
        """Return a handler that decompresses ``encoding`` and then calls ``handler``. A client over its rate limit is
        refused before that."""
        return behind(handler, lambda inner: lambda request: self._take(request, inner, encoding))

    def _take(self, request: Request, handler: Handler, encoding: str) -> None:
        if not request.body:
            handler(request)  # An empty body is empty in every encoding.
            return
        self.server.hold(request, REQUEST_BYTES + len(request.body))
        job = Decompression(self, request, handler, encoding)
        if self._turns.has_any() or not job.go_on(SLICE_S):
            self._turns.take(self.server.client_of(request), job)


class Decompression:
    """The decompression of one body, as a job of its client (server.timing.turns)."""

    __slots__ = (
        "_decoder",
        "_encoding",
        "_handler",
        "_has_place",
        "_late_s",
        "_made_bytes",
        "_of",
        "_pieces",
        "_request",
        "_rest",
    )

    def __init__(self, of: Decompressor, request: Request, handler: Handler, encoding: str) -> None:
        self._of = of
        self._request = request
        self._handler = handler
        self._encoding = encoding
        self._has_place = False  # The decoder is counted in ``wide``.
        self._late_s = of.clock() + of.bounds.answer_s / 2
        self._begin()

    def _begin(self) -> None:
        self._decoder: Decoder | None = None
        self._rest = memoryview(self._request.body)  # The input that the decoder has not been given yet.
        self._pieces: list[bytes] = []
        self._made_bytes = 0

    def is_wanted(self) -> bool:
        """Whether the client still waits."""
        return cast("Connection", self._request.answering).is_waiting_for(self._request)

    def is_late(self) -> bool:
        """Whether less of ``answer_s`` is left than the handler may need."""
        return self._of.clock() > self._late_s

    def refuse(self) -> None:
        """Refuse the request: its client sends more than its share."""
        self._end(self._of.bounds.full)

    def drop(self) -> None:
        """Release the request: its client has disconnected."""
        self._leave()
        self._of.server.release(self._request)

    def on_bug(self) -> None:
        """Answer 500 after an exception in a decoder or in the handler."""
        self._end(INTERNAL, is_bug=True)

    def go_on(self, time_s: float) -> bool:
        """Decompress for ``time_s``. Returns whether the job is done."""
        try:
            return self._go_on(self._of.clock() + time_s)
        except Exception:
            self.on_bug()
            return True

    def _go_on(self, until_s: float) -> bool:
        decoder = self._decoder or decoders.decoder_of(self._encoding, self._request.body)
        self._decoder = decoder
        while True:
            try:
                refusal = self._step(decoder)
            except DamagedError:
                refusal = not_compressed(self._request.body) or DAMAGED
            except ManyStreamsError:
                refusal = MANY_STREAMS
            except WideWindowError:
                refusal = WIDE_WINDOW
            if refusal is not None:
                self._end(refusal)
                return True
            if decoder.is_done() and not self._rest:
                self._hand_on()
                return True
            if self._of.clock() >= until_s:
                break
        if decoder.is_wide and not self._has_place:
            self._take_place()
        return False

    def _take_place(self) -> None:
        """Keep the decoder if there is room for one more, or begin again in the next turn."""
        of = self._of
        if of.wide < MAX_WIDE:
            of.wide += 1
            self._has_place = True
        else:
            self._begin()
            of.server.hold(self._request, REQUEST_BYTES + len(self._request.body))

    def _leave(self) -> None:
        self._of.wide -= self._has_place
        self._has_place = False
        self._decoder = None

    def _end(self, refusal: Refusal, *, is_bug: bool = False) -> None:
        server, request = self._of.server, self._request
        self._leave()
        self._pieces.clear()
        if is_bug:
            server.on_handler_error(request)
        server.count(refusal)
        server.cors.over(refusal.handle)(request)

    def _hand_on(self) -> None:
        request = self._request
        self._leave()
        request.compressed_bytes = len(request.body)
        request.body = b"".join(self._pieces)
        self._pieces.clear()
        self._handler(request)

    def _step(self, decoder: Decoder) -> Refusal | None:
        """Decompress one piece. Returns a refusal if the body exceeds a limit. Raises DamagedError,
        ManyStreamsError, WideWindowError."""
        cut = IN_BYTES if decoder.is_hungry() else 0
        received, self._rest = self._rest[:cut], self._rest[cut:]
        made = decoder.more(received)
        if not (decoder.is_done() or made or received or self._rest) and decoder.is_hungry():
            raise DamagedError  # The body is cut off.
        if not made:
            return None
        self._pieces.append(made)
        self._made_bytes += len(made)
        return self._refusal()

    def _refusal(self) -> Refusal | None:
        bounds, server, sent_bytes = self._of.bounds, self._of.server, len(self._request.body)
        if self._made_bytes > bounds.max_decompressed_bytes:
            return bounds.big_inside
        if self._made_bytes > max(RATIO_FROM_BYTES, bounds.max_ratio * sent_bytes):
            return bounds.swelling
        server.hold(self._request, REQUEST_BYTES + sent_bytes + self._made_bytes)
        return bounds.full if server.is_too_much(self._request) else None
